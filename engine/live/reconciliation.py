"""Comparison of what we know with what the venue knows (LIVE-7); decides, does nothing.

The caller fetches the venue's open orders, positions, balances and fills since its cursor, and
carries the actions out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique
from typing import Final

from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair
from engine.model.orders import Fill

GRACE_NS: Final = 5 * SECOND_NS
MISSES: Final = 3
_BASIS_POINT: Final = Decimal("0.0001")
_LEAST: Final = Decimal("0.000001")
_PERCENT: Final = Decimal("0.01")


@unique
class ActionKind(StrEnum):
    """What a finding asks for."""

    APPLY_FILL = "apply_fill"
    ADOPT_ORDER = "adopt_order"
    LEAVE_FOREIGN = "leave_foreign"
    CANCEL_FOREIGN = "cancel_foreign"
    QUERY_ORDER = "query_order"
    CANCEL_MISSING = "cancel_missing"
    UPDATE_ORDER = "update_order"
    BLOCK_ENTRIES = "block_entries"
    ADJUST_POSITION = "adjust_position"
    WARN_BALANCE = "warn_balance"
    DEGRADE = "degrade"


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order as one side knows it."""

    client_id: str
    market: ConnectorPair
    lots: int
    filled_lots: int
    limit_ticks: int | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one side knows of the account at one moment."""

    orders: Mapping[str, KnownOrder]
    positions: Mapping[ConnectorPair, int]
    balances: Mapping[str, Decimal]
    fills: Sequence[Fill] = ()
    average_ticks: Mapping[ConnectorPair, int] | None = None


@dataclass(frozen=True, slots=True)
class ReconAction:
    """One finding, and what is to be done about it."""

    kind: ActionKind
    subject: str
    text: str
    order: KnownOrder | None = None
    fill: Fill | None = None
    market: ConnectorPair | None = None
    lots: int = 0
    ticks: int | None = None


class Reconciler:
    """Finds differences; remembers misses and drifts from one run to the next.

    Args:
        prefix: what our client ids start with.
        cancel_foreign: whether orders that are not ours are cancelled.
    """

    def __init__(self, *, prefix: str, cancel_foreign: bool = False) -> None:
        self._prefix = prefix
        self._cancel_foreign = cancel_foreign
        self._misses: dict[str, int] = {}
        self._drifts: dict[ConnectorPair, int] = {}
        self.last_ns: int | None = None

    def run(
        self,
        ours: Snapshot,
        venue: Snapshot,
        *,
        now_ns: int,
        in_flight: Mapping[ConnectorPair, int] | None = None,
    ) -> tuple[ReconAction, ...]:
        """Return the actions; symbols with actions in flight within the grace are left out.

        Args:
            ours: what we know; ``fills`` are those that we have applied.
            venue: what the venue says.
            now_ns: the time.
            in_flight: when something was last sent, by market.
        """
        busy = {market for market, sent in (in_flight or {}).items() if now_ns - sent < GRACE_NS}
        self.last_ns = now_ns
        return (
            *self._fills(ours, venue),
            *self._venue_orders(ours, venue, busy),
            *self._our_orders(ours, venue, busy),
            *self._positions(ours, venue, busy),
            *self._balances(ours, venue),
        )

    def found(self, client_order_id: str) -> None:
        """Take back the misses of an order: the venue knows it after all."""
        self._misses.pop(client_order_id, None)

    def _fills(self, ours: Snapshot, venue: Snapshot) -> list[ReconAction]:
        known = {fill.fill_id for fill in ours.fills}
        return [
            ReconAction(
                ActionKind.APPLY_FILL,
                fill.fill_id,
                f"fill {fill.fill_id} of {fill.market} is unknown here and is applied",
                fill=fill,
                market=fill.market,
            )
            for fill in venue.fills
            if fill.fill_id not in known
        ]

    def _venue_orders(
        self, ours: Snapshot, venue: Snapshot, busy: set[ConnectorPair]
    ) -> list[ReconAction]:
        actions = []
        for client_id, order in venue.orders.items():
            if order.market in busy:
                continue
            mine = ours.orders.get(client_id)
            if mine is None:
                actions.append(self._unknown_here(client_id, order))
            elif (mine.lots, mine.filled_lots, mine.limit_ticks) != (
                order.lots,
                order.filled_lots,
                order.limit_ticks,
            ):
                text = f"order {client_id} differs: the venue wins"
                actions.append(
                    ReconAction(
                        ActionKind.UPDATE_ORDER, client_id, text, order=order, market=order.market
                    )
                )
        return actions

    def _unknown_here(self, client_id: str, order: KnownOrder) -> ReconAction:
        if client_id.startswith(self._prefix):
            kind, text = ActionKind.ADOPT_ORDER, "is ours by its id and is adopted"
        elif self._cancel_foreign:
            kind, text = ActionKind.CANCEL_FOREIGN, "is not ours and is cancelled (cancel_foreign)"
        else:
            kind, text = ActionKind.LEAVE_FOREIGN, "is not ours and is left alone, unattributed"
        return ReconAction(
            kind, client_id, f"order {client_id} {text}", order=order, market=order.market
        )

    def _our_orders(
        self, ours: Snapshot, venue: Snapshot, busy: set[ConnectorPair]
    ) -> list[ReconAction]:
        actions = []
        for client_id, order in ours.orders.items():
            if client_id in venue.orders:
                self._misses.pop(client_id, None)
                continue
            if order.market in busy:
                continue
            misses = self._misses.get(client_id, 0) + 1
            self._misses[client_id] = misses
            if misses >= MISSES:
                del self._misses[client_id]
                kind = ActionKind.CANCEL_MISSING
                text = f"order {client_id} is unknown to the venue after {misses} looks: CANCELLED "
                text += "RECON_MISSING"
            else:
                kind = ActionKind.QUERY_ORDER
                text = f"order {client_id} is not listed by the venue: asked for by its id"
            actions.append(ReconAction(kind, client_id, text, order=order, market=order.market))
        return actions

    def _positions(
        self, ours: Snapshot, venue: Snapshot, busy: set[ConnectorPair]
    ) -> list[ReconAction]:
        actions = []
        for market in sorted({*ours.positions, *venue.positions}):
            drift = venue.positions.get(market, 0) - ours.positions.get(market, 0)
            if market in busy:
                continue
            if not drift:
                self._drifts.pop(market, None)
                continue
            seen = self._drifts.get(market, 0) + 1
            self._drifts[market] = seen
            if seen == 1:
                text = f"position of {market} drifts by {drift} lots: entries are blocked"
                actions.append(
                    ReconAction(
                        ActionKind.BLOCK_ENTRIES, str(market), text, market=market, lots=drift
                    )
                )
                continue
            self._drifts.pop(market)
            average = (venue.average_ticks or {}).get(market)
            text = (
                f"position of {market} drifts by {drift} lots again: booked as unattributed RECON"
            )
            actions.append(
                ReconAction(
                    ActionKind.ADJUST_POSITION,
                    str(market),
                    text,
                    market=market,
                    lots=drift,
                    ticks=average,
                )
            )
        return actions

    def _balances(self, ours: Snapshot, venue: Snapshot) -> list[ReconAction]:
        actions = []
        for asset in sorted({*ours.balances, *venue.balances}):
            here = ours.balances.get(asset, Decimal(0))
            there = venue.balances.get(asset, Decimal(0))
            drift = abs(there - here)
            if drift <= max(abs(here) * _BASIS_POINT, _LEAST):
                continue
            is_large = drift > abs(here) * _PERCENT
            kind = ActionKind.DEGRADE if is_large else ActionKind.WARN_BALANCE
            text = f"balance of {asset} is {there} at the venue and {here} here"
            actions.append(ReconAction(kind, asset, text))
        return actions
