"""Executors that open one position on one side and close it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from engine.executors.config import ExecutorConfigBase
from engine.executors.held_order import HeldOrder
from engine.executors.one_sided import OneSidedExecutor
from engine.executors.order_roles import CLOSE
from engine.executors.plain import JsonValue
from engine.executors.settings import ExecutorSettings
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.step import Level, Step
from engine.executors.strategy import ExecutorStrategy
from engine.executors.tracked_order import TrackedOrder
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.model.instruments import ConnectorPair
from engine.model.orders import (
    OrderState,
    OrderType,
    TradeType,
)

_HANDING_OVER: Final = frozenset({CloseType.POSITION_HOLD, CloseType.FAILED})


class DirectionalExecutor(OneSidedExecutor):
    """Ledger of entries and exits, the closing order, the shutdown step.

    A closing order is placed only when no other exit can still fill beyond what is open, so
    pending and filled exits never exceed the opened amount. Retries count once for each closing
    order that ended without filling (rejected, cancelled or replaced), not for its replacement.
    """

    __slots__ = ("_close_not_before_ns", "_closing")

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: ExecutorConfigBase,
        market: ConnectorPair,
        side: TradeType,
        leverage: int,
        update_interval: float,
        max_retries: int | None,
        settings: ExecutorSettings | None,
    ) -> None:
        super().__init__(
            strategy, config, market, side, leverage, update_interval, max_retries, settings
        )
        self._closing: TrackedOrder | None = None
        self._close_not_before_ns = 0

    def _on_ended(self, now_ns: int, order: TrackedOrder) -> None:
        if order.is_complete:
            return
        role, reason = order.request.role, order.reason or order.state.name.lower()
        level: Level = "warning" if order.is_failed else "info"
        self._tell(now_ns, level, f"{role} {order.order_id} ended {order.state.name}: {reason}")
        if order is self._closing:
            count = self._count_retry(f"closing order {order.order_id}: {reason}")
            self._close_not_before_ns = now_ns + self._retry_wait_ns(count)
        else:
            self._on_working_order_ended(now_ns, order, reason)

    @abstractmethod
    def _on_working_order_ended(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        """Take account of an entry or take-profit order that ended unfilled."""

    def _retry_wait_ns(self, attempt: int) -> int:
        """Return the wait before retry *attempt*: never less than one update interval."""
        return max(self._settings.backoff_ns(attempt), self._update_interval_ns, 1)

    def _is_closable(self, lots: int) -> bool:
        """Whether *lots* can be traded at the mark, or at the entry price without one (9.4)."""
        mark = self.mark_ticks
        if mark is None:
            entry = self._totals.entry_ticks
            mark = 0 if entry is None else int(entry)
        return lots > 0 and self._instrument.is_tradable(lots, mark)

    def _shut_down(self, now_ns: int) -> None:
        is_handing_over = self._close_type in _HANDING_OVER
        for order in self._orders.live():
            if order is not self._closing or is_handing_over:
                self._cancel(now_ns, order)
        live = self._orders.live()
        if is_handing_over:
            if not live:
                self._hand_over_and_end(now_ns)
        elif not live and not self._is_closable(self._totals.remaining_lots):
            self._finish(now_ns)
        else:
            self._work_close(now_ns, live)

    def _work_close(self, now_ns: int, live: list[TrackedOrder]) -> None:
        """Keep one closing order working for what is open (9.3 step 4)."""
        closing = self._closing
        if closing is not None and closing.is_live:
            if now_ns >= closing.placed_ns + self._settings.close_wait_ns:
                self._cancel(now_ns, closing)
            return
        if now_ns < self._close_start_ns(live):
            return
        pending = sum(order.pending_lots for order in self._exits)
        lots = self._totals.remaining_lots - pending
        if not self._is_closable(lots):
            return
        lots = min(lots, self._instrument.floor_lots(self._instrument.max_qty))
        self._closing = self._send(now_ns, role=CLOSE, order_type=OrderType.MARKET, lots=lots)

    def _close_start_ns(self, live: list[TrackedOrder]) -> int:
        """Return when a closing order may go out: what works gets time to be cancelled first."""
        started = self._closing_since_ns or 0
        if live:
            return max(self._close_not_before_ns, started + self._settings.cancel_wait_ns)
        return self._close_not_before_ns

    def _finish(self, now_ns: int) -> None:
        """Terminate with nothing tradable open; dust goes to the position store (9.4)."""
        remaining = self._totals.remaining_lots
        if remaining:
            self._leave_residual(now_ns, remaining)
        self._freeze()
        self._end(now_ns, CloseType.COMPLETED)

    def _leave_residual(self, now_ns: int, remaining: int) -> None:
        cost = self._totals.cost_of(remaining)
        self._totals = replace(self._totals, residual_lots=remaining, residual_atoms=cost)
        side = self.side if remaining > 0 else self.side.opposite
        lots, atoms = abs(remaining), abs(cost)
        dust_id = f"{self.executor_id}:dust"
        self._held = (
            HeldOrder(
                dust_id,
                self.market,
                side,
                lots,
                atoms,
                0,
                amount_lots=lots,
                state=OrderState.FILLED,
                created_ns=now_ns,
                updated_ns=now_ns,
            ),
        )
        amount = self._instrument.qty(lots)
        level: Level = "info" if remaining > 0 else "error"
        what = "dust" if remaining > 0 else "closed too much"
        self._tell(now_ns, level, f"{what}: {side.name} {amount} goes to the position store")

    def _hand_over_and_end(self, now_ns: int) -> None:
        is_hold = self._close_type is CloseType.POSITION_HOLD
        is_exposed = self._totals.remaining_lots != 0
        amount = self._instrument.qty(self._totals.remaining_lots)
        if (is_hold or is_exposed) and self._hold_everything():
            level: Level = "info" if is_hold else "error"
            text = f"{self.side.name} {amount} is left to the position store, without barriers"
            self._tell(now_ns, level, text)
        elif is_hold:
            self._close_type = CloseType.EARLY_STOP
        self._freeze()
        self._end(now_ns, CloseType.FAILED)

    def runtime_state(self) -> dict[str, JsonValue]:
        """Return the blob of 14.2: with the order and fill rows, all that ``restore`` needs."""
        return super().runtime_state() | {"frozen_mark_ticks": self._frozen_mark_ticks}

    def stop(self) -> Step:
        """Stop at once (9.5): cancel what is live, leave every fill to the position store."""
        if not self.is_done:
            self._freeze()
        return super().stop()

    def _freeze(self) -> None:
        self._frozen_mark_ticks = self.mark_ticks

    def _is_left_with_dust(self) -> bool:
        """Whether exits have left nothing that could still be worked (9.4)."""
        return (
            self._totals.exit_lots > 0
            and not self._orders.live()
            and not self._is_closable(self._totals.remaining_lots)
        )

    def _wakes_after(
        self, now_ns: int, prices: tuple[PriceTrigger, ...], times: Iterable[int]
    ) -> WakeConditions:
        """Return the conditions with the earliest instant after *now_ns*, own timers included."""
        coming = [time for time in (*times, *self._live_times()) if time > now_ns]
        return WakeConditions(prices, min(coming, default=None))

    def _closable_triggers(self) -> tuple[PriceTrigger, ...]:
        """Watch for the mark at which what is open becomes too little to trade, or enough."""
        lots = self._totals.remaining_lots - sum(order.pending_lots for order in self._exits)
        mark = self.mark_ticks
        if lots < self._instrument.min_lots or mark is None:
            return ()
        worth_of_a_tick = lots * self._instrument.atoms_per_tick_lot
        level = (self._instrument.min_notional_atoms - 1) // worth_of_a_tick
        is_above = mark <= level
        field = PriceField.BID if self.side is TradeType.BUY else PriceField.ASK
        return (
            PriceTrigger(
                self.market, field, is_above=is_above, level=level + 1 if is_above else level
            ),
        )

    def _shutdown_triggers(self) -> tuple[PriceTrigger, ...]:
        """Return the prices that matter while no closing order works."""
        closing = self._closing
        if closing is not None and closing.is_live:
            return ()
        return self._closable_triggers()

    def _live_times(self) -> list[int]:
        """Return the instants at which a shutdown must look again."""
        poll = self._settings.shutdown_poll_ns
        times = [
            order.cancel_sent_ns + poll
            for order in self._orders.live()
            if order.cancel_sent_ns is not None
        ]
        if self._status is not RunnableStatus.SHUTTING_DOWN:
            return times
        closing = self._closing
        if closing is not None and closing.is_live:
            if closing.cancel_sent_ns is None:
                times.append(closing.placed_ns + self._settings.close_wait_ns)
        else:
            times.append(self._close_start_ns(self._orders.live()))
        return times

    def _on_restored(self, state: Mapping[str, JsonValue]) -> None:
        mark = state.get("frozen_mark_ticks")
        self._frozen_mark_ticks = mark if isinstance(mark, int) else None
        for order in self._orders:
            self._follow(order)
            if order.request.role == CLOSE:
                self._closing = order
        self._refresh_totals()
        if self.is_done and not self._is_handed_over and self._totals.remaining_lots:
            remaining = self._totals.remaining_lots
            cost = self._totals.cost_of(remaining)
            self._totals = replace(self._totals, residual_lots=remaining, residual_atoms=cost)
