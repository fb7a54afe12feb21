"""Executors whose fills are their product: they end by handing them over."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

from engine.executors.barrier_levels import NO_LEVELS
from engine.executors.fill_ledger import half_even, to_decimal
from engine.executors.one_sided import OneSidedExecutor
from engine.executors.plain import JsonValue
from engine.executors.snapshot import BarrierPrice, ExecutorSnapshot
from engine.executors.status import CloseType
from engine.executors.step import Level, Step
from engine.executors.tracked_order import TrackedOrder
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.model.orders import OrderType
from engine.model.quotes import QuoteTick


@dataclass(frozen=True, slots=True)
class AccumulatingSnapshot(ExecutorSnapshot):
    """State of an executor that only accumulates: it has no barriers of its own.

    ``working_ticks`` is the limit of the order that works, ``next_at_ns`` when the next one is due.
    """

    has_pnl: bool
    """Whether the fills are compared with the mark while it is active (8.3), or never (8.6)."""
    working_ticks: int | None
    next_at_ns: int | None

    @property
    def filled_atoms(self) -> int:
        """Return what was executed in quote; 0 once the fills are handed over (8.2)."""
        return 0 if self.is_handed_over else self.totals.entry_atoms

    def mark_of(self, quote: QuoteTick | None) -> int | None:
        """Return the mid, rounded down to a tick: what the fills are compared with (2.2)."""
        return None if quote is None else (quote.bid_ticks + quote.ask_ticks) // 2

    @property
    def is_linear(self) -> bool:
        """Whether no half atom has to be rounded at any mid."""
        return self.instrument.atoms_per_tick_lot % 2 == 0

    def exact_mark(self, quote: QuoteTick | None) -> int | None:
        """Return bid plus ask."""
        return None if quote is None else quote.bid_ticks + quote.ask_ticks

    def net_at(self, exact_mark: int | None) -> int:
        """Return the net PnL in atoms at bid plus ask."""
        return 0 if exact_mark is None else self.net_at_mid(exact_mark)

    def net_pnl_atoms(self, mark_ticks: int | None) -> int:
        """Return what the fills are worth at the mark less their cost and fees, or 0."""
        return 0 if mark_ticks is None else self.net_at_mid(2 * mark_ticks)

    def net_pnl_pct(self, mark_ticks: int | None) -> Decimal:
        """Return the net PnL as a fraction of what was executed."""
        return Decimal(0) if mark_ticks is None else self.net_pct_at_mid(2 * mark_ticks)

    def net_at_mid(self, mid_half_ticks: int) -> int:
        """Return the net PnL in atoms at bid plus ask, half an atom to even (8.3)."""
        return half_even(self._net_twice(mid_half_ticks), 2)

    def net_pct_at_mid(self, mid_half_ticks: int) -> Decimal:
        """Return the net PnL at bid plus ask as a fraction of what was executed (8.3)."""
        if not self.totals.entry_atoms:
            return Decimal(0)
        return to_decimal(Fraction(self._net_twice(mid_half_ticks), 2 * self.totals.entry_atoms))

    def net_return(self, mark_ticks: int | None) -> float:
        """Return ``net_pnl_pct`` as the nearest float: a key to sort by."""
        return float(self.net_pnl_pct(mark_ticks))

    def barriers(self, mark_ticks: int | None) -> tuple[BarrierPrice, ...]:
        """Return the price of the working order and the instant of the next one."""
        found: list[BarrierPrice] = []
        if self.working_ticks is not None and not self.is_done:
            away = self.working_ticks - mark_ticks if mark_ticks else 0
            distance = Decimal(away) / Decimal(mark_ticks) if mark_ticks else None
            price = self.instrument.price(self.working_ticks)
            found.append(BarrierPrice("entry", price, distance, None, "working order"))
        if self.next_at_ns is not None and not self.is_done:
            found.append(BarrierPrice("next_slot", None, None, self.next_at_ns))
        return tuple(found)

    def _net_twice(self, mid_half_ticks: int) -> int:
        totals = self.totals
        if not self.has_pnl or self.is_handed_over or not totals.entry_lots:
            return 0
        worth = mid_half_ticks * totals.entry_lots * totals.atoms_per_tick_lot
        return totals.sign * (worth - 2 * totals.entry_atoms) - 2 * totals.fee_atoms


class AccumulatingExecutor(OneSidedExecutor):
    """Works orders of one side and never flattens.

    However it ends, what is filled goes to the position store; a stop that finds nothing filled
    is an early stop, whatever it was asked to keep.
    """

    __slots__ = ()

    has_pnl: ClassVar[bool] = False

    @property
    def entry_price(self) -> Decimal | None:
        """Return the average price of the fills; None before the first."""
        average = self._totals.entry_ticks
        return None if average is None else self._instrument.tick * to_decimal(average)

    def early_stop(self, keep_position: bool | None = None) -> Step:  # noqa: FBT001 (named by the specification)
        """Stop: cancel what works and keep what is filled, whatever *keep_position* says."""
        del keep_position
        return super().early_stop(keep_position=True)

    def _send(
        self,
        now_ns: int,
        *,
        role: str,
        order_type: OrderType,
        lots: int,
        limit_ticks: int | None = None,
    ) -> TrackedOrder:
        """Place an order on the executor's side; all of them accumulate."""
        order_id = self._strategy.next_order_id()
        request = self._request(
            order_id=order_id,
            role=role,
            side=self.side,
            order_type=order_type,
            lots=lots,
            limit_ticks=limit_ticks,
        )
        order = self._place(now_ns, request)
        self._entries += (order,)
        price = "" if limit_ticks is None else f" at {self._instrument.price(limit_ticks)}"
        amount = f"{self.side.name} {self._instrument.qty(lots)}"
        self._tell(now_ns, "info", f"{role} {order_id}: {amount} {order_type.name}{price}")
        return order

    def _refresh_levels(self) -> None:
        self._levels = NO_LEVELS

    def _shut_down(self, now_ns: int) -> None:
        for order in self._orders.live():
            self._cancel(now_ns, order)
        if not self._orders.live():
            self._hand_over_and_end(now_ns)

    def _hand_over_and_end(self, now_ns: int) -> None:
        if self._hold_everything():
            amount = f"{self.side.name} {self._instrument.qty(self._totals.entry_lots)}"
            level: Level = "error" if self._close_type is CloseType.FAILED else "info"
            self._tell(now_ns, level, f"{amount} goes to the position store")
        elif self._close_type is CloseType.POSITION_HOLD:
            self._close_type = CloseType.EARLY_STOP
        self._frozen_mark_ticks = self.mark_ticks
        self._end(now_ns, CloseType.FAILED)

    def _on_ended(self, now_ns: int, order: TrackedOrder) -> None:
        if order.is_complete:
            return
        role, reason = order.request.role, order.reason or order.state.name.lower()
        level: Level = "warning" if order.is_failed else "info"
        self._tell(now_ns, level, f"{role} {order.order_id} ended {order.state.name}: {reason}")
        self._on_unfilled(now_ns, order, reason)

    @abstractmethod
    def _on_unfilled(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        """Take account of an order that ended before all of it was filled."""

    def _wakes_after(
        self, now_ns: int, prices: tuple[PriceTrigger, ...], times: Iterable[int]
    ) -> WakeConditions:
        """Return *prices* and the first instant after *now_ns*, unanswered cancels included."""
        poll = self._settings.shutdown_poll_ns
        again = (
            order.cancel_sent_ns + poll
            for order in self._orders.live()
            if order.cancel_sent_ns is not None
        )
        coming = (time for time in (*times, *again) if time > now_ns)
        return WakeConditions(prices, min(coming, default=None))

    def _is_cancel_fresh(self, now_ns: int, order: TrackedOrder) -> bool:
        """Whether *order*'s cancel was sent so recently that a timer looks after it."""
        sent_ns = order.cancel_sent_ns
        return sent_ns is not None and now_ns < sent_ns + self._settings.shutdown_poll_ns

    def _first_quote_triggers(self) -> tuple[PriceTrigger, ...]:
        """Return what wakes the executor at the first quote that it can price from."""
        return tuple(
            PriceTrigger(self.market, watched, is_above=True, level=1)
            for watched in (PriceField.BID, PriceField.ASK)
        )

    def _give_up(self, now_ns: int, close_type: CloseType, problem: str) -> None:
        """End before anything was placed."""
        self._last_error = problem
        self._tell(now_ns, "error", problem)
        self._end(now_ns, close_type)

    def _on_restored(self, state: Mapping[str, JsonValue]) -> None:
        del state
        self._entries += tuple(self._orders)
        self._refresh_totals()

    def snapshot(self) -> AccumulatingSnapshot:
        """Return the immutable state; the same object until something but the mark changes."""
        snapshot = super().snapshot()
        if not isinstance(snapshot, AccumulatingSnapshot):
            raise TypeError(f"{type(snapshot).__name__} is no state of an accumulating executor")
        return snapshot

    def _working_ticks(self) -> int | None:
        """Return the limit of the newest order that works."""
        working = [order.request.limit_ticks for order in self._orders.live()]
        return working[-1] if working else None

    def _next_at_ns(self) -> int | None:
        """Return when the next order is due by plan; None without a plan."""
        return None

    def _make_snapshot(self) -> AccumulatingSnapshot:
        return AccumulatingSnapshot(
            id=self.executor_id,
            type=self._config.type,
            controller_id=self.controller_id,
            market=self.market,
            instrument=self._instrument,
            side=self.side,
            status=self._status,
            close_type=self._close_type,
            created_ns=self._created_ns,
            closed_ns=self._closed_ns,
            closing_since_ns=self._closing_since_ns,
            config=self._config,
            amount_lots=self.amount_lots,
            totals=self._totals,
            levels=self._levels,
            frozen_mark_ticks=self._frozen_mark_ticks,
            entry_price=self.entry_price,
            end_ns=None,
            trailing_trigger=None,
            is_trailing=False,
            is_take_profit_resting=False,
            retries=self._retries,
            max_retries=self.max_retries,
            error_count=self._error_count,
            last_error=self._last_error,
            is_handed_over=self._is_handed_over,
            is_stale=self._is_stale,
            orders=self._order_roles(),
            timeline=tuple(self._timeline),
            version=self._version,
            has_pnl=self.has_pnl,
            working_ticks=self._working_ticks(),
            next_at_ns=self._next_at_ns(),
        )
