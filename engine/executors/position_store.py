"""All position holds of a session, by bucket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from engine.executors.config import ExecutorConfigBase
from engine.executors.held_order import HeldOrder
from engine.executors.position_hold import (
    PositionHold,
    PositionKey,
    PositionState,
    PositionSummary,
)
from engine.executors.strategy import ExecutorStrategy
from engine.model.instruments import ConnectorPair
from engine.model.orders import PositionAction, TradeType


@dataclass(frozen=True, slots=True)
class InitialPosition:
    """A position that exists before the session. ``amount`` is in base and above zero."""

    market: ConnectorPair
    amount: Decimal
    side: TradeType


class _Directional(Protocol):
    """What decides the bucket of an executor's fills."""

    @property
    def config(self) -> ExecutorConfigBase:
        """Its configuration."""
        ...


class PositionStore:
    """Buckets of fills that executors have left behind."""

    def __init__(self, strategy: ExecutorStrategy) -> None:
        self._strategy = strategy
        self._buckets: dict[PositionKey, PositionHold] = {}
        self._pending: list[tuple[str, InitialPosition]] = []
        self._expecting: set[str] = set()
        self._changed: dict[PositionKey, None] = {}

    @property
    def has_pending(self) -> bool:
        """Whether initial positions still wait for a valid mid."""
        return bool(self._pending)

    @property
    def controllers(self) -> tuple[str, ...]:
        """Return the controllers with a bucket or a pending initial position."""
        names = [key.controller_id for key in self._buckets]
        names += [controller_id for controller_id, _ in self._pending]
        return tuple(dict.fromkeys(names))

    def add(self, executor: _Directional, controller_id: str, orders: Iterable[HeldOrder]) -> None:
        """Book *orders* of *executor*; each counts once."""
        for order in orders:
            bucket = self._bucket(self._key(executor.config, controller_id, order))
            if bucket.add(order):
                self._changed[bucket.key] = None

    def expect(self, controller_id: str, position: InitialPosition) -> None:
        """Open *position* as soon as there is a valid mid (12.5)."""
        self._expecting.add(controller_id)
        self._pending.append((controller_id, position))

    def open_pending(self) -> tuple[tuple[ConnectorPair, int], ...]:
        """Open the initial positions whose market has a valid mid now.

        Returns: market and signed lots of what was opened, summed as the account nets it.
        """
        opened: dict[tuple[ConnectorPair, TradeType | None], int] = {}
        waiting: list[tuple[str, InitialPosition]] = []
        for controller_id, position in self._pending:
            mid = self.mid_half_ticks(position.market)
            if mid is None:
                waiting.append((controller_id, position))
                continue
            is_hedged = self._strategy.instrument(position.market).is_hedged
            key = PositionKey(controller_id, position.market, position.side if is_hedged else None)
            bucket = self._bucket(key)
            lots = bucket.instrument.floor_lots(position.amount) * position.side.sign
            bucket.set_initial(lots, mid)
            self._changed[key] = None
            leg = (position.market, key.side)
            opened[leg] = opened.get(leg, 0) + lots
        self._pending = waiting
        return tuple((market, lots) for (market, _), lots in opened.items())

    def restore(self, states: Iterable[PositionState]) -> None:
        """Take up stored buckets, but not of controllers that were given initial positions."""
        for state in states:
            if state.key.controller_id not in self._expecting:
                self._bucket(state.key).restore(state)

    def take_changed(self) -> tuple[PositionState, ...]:
        """Drain the buckets that changed since the last call."""
        states = tuple(self._buckets[key].state() for key in self._changed)
        self._changed.clear()
        return states

    def by_controller(self) -> dict[str, tuple[PositionHold, ...]]:
        """Return the buckets of each controller, in the order of their first order."""
        found: dict[str, list[PositionHold]] = {}
        for key, bucket in self._buckets.items():
            found.setdefault(key.controller_id, []).append(bucket)
        return {name: tuple(buckets) for name, buckets in found.items()}

    def summaries(self, controller_id: str) -> tuple[PositionSummary, ...]:
        """Return the positions of a controller at the newest mids."""
        return tuple(
            bucket.summary(
                self.mid_half_ticks(key.market),
                is_unavailable=self._strategy.quote(key.market) is None,
            )
            for key, bucket in self._buckets.items()
            if key.controller_id == controller_id
        )

    def net_lots(self, controller_id: str, market: ConnectorPair) -> int:
        """Return the signed lots that a controller holds on *market*, over both sides."""
        return sum(
            bucket.net_lots
            for key, bucket in self._buckets.items()
            if key.controller_id == controller_id and key.market == market
        )

    def mid_half_ticks(self, market: ConnectorPair) -> int | None:
        """Return bid plus ask of *market*; None without a valid quote."""
        quote = self._strategy.quote(market)
        if quote is None or quote.bid_ticks <= 0 or quote.ask_ticks <= 0:
            return None
        return quote.bid_ticks + quote.ask_ticks

    def _bucket(self, key: PositionKey) -> PositionHold:
        if key not in self._buckets:
            self._buckets[key] = PositionHold(key, self._strategy.instrument(key.market))
        return self._buckets[key]

    def _key(self, config: ExecutorConfigBase, controller_id: str, order: HeldOrder) -> PositionKey:
        if not self._strategy.instrument(order.market).is_hedged:
            return PositionKey(controller_id, order.market)
        side = getattr(config, "side", None)
        if side is None:
            # An executor on two venues has a side on each: what its orders there opened.
            side, closes = order.side, order.position_action is PositionAction.CLOSE
        else:
            closes = getattr(config, "position_action", None) is PositionAction.CLOSE
        return PositionKey(controller_id, order.market, side.opposite if closes else side)
