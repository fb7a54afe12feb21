"""The position executor: one entry, guarded by the triple barrier."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import TypeGuard, cast

from engine.executors.activation import ActivationWindow, activation_window
from engine.executors.barrier_levels import BarrierLevels, barrier_levels, trailed
from engine.executors.barriers import TrailingStopState, TrailingTrigger
from engine.executors.base import UpdateRejectedError
from engine.executors.config_update import ConfigUpdate
from engine.executors.factory import ExecutorFactory
from engine.executors.fill_ledger import to_decimal
from engine.executors.order_roles import ENTRY, TAKE_PROFIT
from engine.executors.plain import JsonValue
from engine.executors.position_config import PositionExecutorConfig, PositionExecutorUpdate
from engine.executors.position_info import PositionCustomInfo
from engine.executors.seldom import Seldom
from engine.executors.settings import ExecutorSettings
from engine.executors.single_entry import SingleEntryExecutor
from engine.executors.snapshot import ExecutorSnapshot
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.step import Step
from engine.executors.strategy import ExecutorStrategy
from engine.executors.tracked_order import TrackedOrder
from engine.executors.wake_conditions import PriceTrigger, WakeConditions
from engine.model.clock import SECOND_NS
from engine.model.orders import OrderType, TradeType
from engine.model.quotes import QuoteTick


@ExecutorFactory.register_executor(
    PositionExecutorConfig, PositionExecutorUpdate, PositionCustomInfo
)
class PositionExecutor(SingleEntryExecutor):
    """Works an entry, protects whatever of it is filled, and closes at the first barrier."""

    __slots__ = (
        "_is_resting",
        "_take_profit_order",
        "_take_profit_target",
        "_take_profit_type",
        "_take_profit_wanted",
        "_trailing",
    )

    _take_profit_not_before_ns = Seldom("exit_not_before_ns", 0)
    _take_profit_failures = Seldom("exit_failures", 0)

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: PositionExecutorConfig,
        update_interval: float = 1.0,
        max_retries: int | None = None,
        settings: ExecutorSettings | None = None,
    ) -> None:
        super().__init__(
            strategy,
            config,
            market=config.market,
            side=config.side,
            amount=config.amount,
            leverage=config.leverage,
            update_interval=update_interval,
            max_retries=max_retries,
            settings=settings,
        )
        self._is_resting = False
        self._trailing: TrailingStopState | None = None
        self._take_profit_wanted: int | None = None
        self._take_profit_order: TrackedOrder | None = None
        self._take_profit_target: int | None = None
        self._use_config(config)
        self._refuse_impossible_amount()

    @property
    def config(self) -> PositionExecutorConfig:
        """Return the configuration in force, with the entry price that was resolved."""
        return cast(
            "PositionExecutorConfig", self._config
        )  # the factory pairs them; a second reference costs memory

    @property
    def close_price(self) -> Decimal | None:
        """Return the average price of all exits so far."""
        totals = self._totals
        if not totals.exit_lots:
            return None
        ticks = Fraction(totals.exit_atoms, totals.exit_lots * totals.atoms_per_tick_lot)
        return self._instrument.tick * to_decimal(ticks)

    def update_live(self, payload: object) -> Step:
        """Change barriers or activation bounds while running, all or nothing (10.3).

        A type of its own with this base takes the update type that it is registered with.

        Raises:
            UpdateRejectedError: not running, a foreign payload, or the result is not valid.
        """
        if self._status is not RunnableStatus.RUNNING:
            raise UpdateRejectedError(
                f"executor {self.executor_id} is {self._status.name}; only RUNNING ones change"
            )
        if not self._is_update(payload) or not payload.validate():
            raise UpdateRejectedError(
                f"executor {self.executor_id}: the update must change something, got {payload!r}"
            )
        try:
            config = payload.applied_to(self.config)
        except ValueError as error:
            raise UpdateRejectedError(f"executor {self.executor_id}: {error}") from error
        self._use_config(config)
        self._refresh_levels()
        now_ns = self._strategy.now_ns()
        changed = ", ".join(
            f"{name} {getattr(payload, name)}" for name in sorted(payload.model_fields_set)
        )
        self._tell(now_ns, "info", f"updated: {changed}")
        return self._advance(now_ns)

    def own_levels(self, levels: BarrierLevels) -> BarrierLevels:
        """Return the levels in force: *levels* of the configuration, and what the type adds.

        The hook for types of their own that derive from this one (the progressive executor has
        moving levels and does not ask). It is asked after each fill and each update; prices that
        reach a level wake the executor, and the console shows them.
        """
        return levels

    def _is_update(self, payload: object) -> TypeGuard[ConfigUpdate]:
        wanted = ExecutorFactory.get_update_type(type(self._config))
        is_wanted = wanted is not None and isinstance(payload, wanted)
        return is_wanted and isinstance(payload, ConfigUpdate)

    def runtime_state(self) -> dict[str, JsonValue]:
        """Return the blob of 14.2: with the order and fill rows, all that ``restore`` needs."""
        trigger = self._trailing_trigger
        return super().runtime_state() | {
            "trailing_trigger": None if trigger is None else str(trigger),
            "take_profit_failures": self._take_profit_failures,
            "take_profit_target": self._take_profit_target,
        }

    def _on_restored(self, state: Mapping[str, JsonValue]) -> None:
        entry_price, trigger = state.get("entry_price"), state.get("trailing_trigger")
        if isinstance(entry_price, str):
            self._keep_entry_price(Decimal(entry_price))
        if isinstance(trigger, str):
            self._set_trailing_trigger(Fraction(trigger))
        failures, target = state.get("take_profit_failures"), state.get("take_profit_target")
        self._take_profit_failures = failures if isinstance(failures, int) else 0
        self._take_profit_target = target if isinstance(target, int) else None
        for order in self._orders:
            if order.request.role == TAKE_PROFIT:
                self._take_profit_order = order
        super()._on_restored(state)

    def _use_config(self, config: PositionExecutorConfig) -> None:
        """Take *config*; its values are copied, so that no tick reads a pydantic model."""
        barrier = config.triple_barrier_config
        self._config = config
        self._take_profit_type = barrier.take_profit_order_type
        self._use_entry(config.entry_price, barrier.open_order_type, config.activation_bounds)
        limit = barrier.time_limit
        self._end_ns = None if limit is None else self._created_ns + limit * SECOND_NS
        self._use_trailing(config)
        self._is_resting = False
        self._version += 1

    def _take_order_event(
        self, tracked: TrackedOrder, *, was_live: bool, figures: tuple[int, int, int, int]
    ) -> Step:
        self._is_resting = False
        return super()._take_order_event(tracked, was_live=was_live, figures=figures)

    def _use_trailing(self, config: PositionExecutorConfig) -> None:
        """Take the trailing stop of *config*; a trigger that is set already is kept."""
        trailing, trigger = config.triple_barrier_config.trailing_stop, self._trailing_trigger
        self._trailing = None if trailing is None else TrailingStopState.of(trailing, trigger)

    @property
    def _trailing_trigger(self) -> Fraction | None:
        return None if self._trailing is None else self._trailing.trigger

    @property
    def _seen_trigger(self) -> Fraction | TrailingTrigger | None:
        return None if self._trailing is None else self._trailing.seen_trigger

    @property
    def _is_trailing(self) -> bool:
        return self._trailing is not None

    def _set_trailing_trigger(self, trigger: Fraction) -> None:
        if self._trailing is not None:
            self._trailing.trigger = trigger

    def _keep_entry_price(self, price: Decimal) -> None:
        self._use_config(self.config.changed(entry_price=price))

    def _run(self, now_ns: int) -> None:
        quote = self._valid_quote()
        if self._is_resting and quote is not None and not self._is_stale:
            close_type = self._due_close(now_ns, quote)
            if close_type is not None:
                self._close(now_ns, close_type, quote)
            elif not self._is_resting:  # a part is to be closed
                self._manage_take_profit(now_ns, quote)
            return
        self._is_resting = False
        if self._take_profit_order is not None and self._take_profit_order.is_complete:
            self._begin_shutdown(now_ns, CloseType.TAKE_PROFIT)
            return
        self._note_staleness(is_stale=quote is None)
        if quote is None:
            if self._is_time_up(now_ns, None):
                self._begin_shutdown(now_ns, CloseType.TIME_LIMIT)
            return
        if not self._is_checked:
            self._check_start(now_ns)
            if self.is_done:
                return
        self._manage_entry(now_ns, quote)
        close_type = self._due_close(now_ns, quote)
        if close_type is not None:
            self._close(now_ns, close_type, quote)
            return
        self._manage_take_profit(now_ns, quote)

    def _close(self, now_ns: int, close_type: CloseType, quote: QuoteTick) -> None:
        price = self._instrument.price(self._mark_of(quote))
        self._tell(now_ns, "info", f"{close_type.name} at {price}")
        self._begin_shutdown(now_ns, close_type)

    def _due_close(self, now_ns: int, quote: QuoteTick) -> CloseType | None:
        """Return the first barrier that is hit: SL, TS, TP, TL, in this order (4.1)."""
        sign, stop_loss, take_profit, trailing_close, trailing_raise = self._levels
        mark = quote.bid_ticks if sign > 0 else quote.ask_ticks
        if self._instrument.is_tradable(self._totals.remaining_lots, mark):
            signed = sign * mark
            if stop_loss is not None and signed <= stop_loss:
                return CloseType.STOP_LOSS
            if trailing_close is not None and signed <= trailing_close:
                return CloseType.TRAILING_STOP
            if trailing_raise is not None and signed >= trailing_raise:
                self._raise_trailing(now_ns, mark)
            if (
                take_profit is not None
                and signed >= take_profit
                and self._is_take_profit_monitored()
            ):
                return CloseType.TAKE_PROFIT
        return CloseType.TIME_LIMIT if self._is_time_up(now_ns, mark) else None

    def _is_time_up(self, now_ns: int, mark: int | None) -> bool:
        """Whether the time limit closes at *mark*, which is None without a valid quote."""
        del mark
        return self._is_expired(now_ns)

    def _raise_trailing(self, now_ns: int, mark: int) -> None:
        """Arm the trailing stop, or let it follow a better *mark*: the levels say that it does."""
        trailing = self._trailing
        if trailing is None:
            return
        if not trailing.is_armed:
            price = self._instrument.price(mark)
            self._tell(now_ns, "info", f"trailing stop armed at {price}")
        self._levels = trailed(self._levels, self._totals, trailing, self.side.sign * mark)
        trailing.raise_to(self._totals, mark)
        self._version += 1

    def _is_take_profit_monitored(self) -> bool:
        """Whether the take profit is watched here; after too many failures it always is (5.4)."""
        return (
            not self._take_profit_type.is_limit_type
            or self._take_profit_failures > self.max_retries
        )

    def _find_take_profit(self) -> int | None:
        """Return the price of the resting take profit on the grid, never a worse one."""
        take_profit = self.config.triple_barrier_config.take_profit
        if take_profit is None or self._is_take_profit_monitored():
            return None
        entry = self._totals.entry_ticks
        if entry is None:
            return None
        exact = entry * (1 + self.side.sign * Fraction(take_profit))
        ticks = ceil(exact) if self.side is TradeType.BUY else floor(exact)
        return ticks if ticks > 0 else None

    def _manage_take_profit(self, now_ns: int, quote: QuoteTick) -> None:
        """Keep a resting take profit for exactly what is open (7.1.5)."""
        target = self._take_profit_wanted
        working = self._take_profit_order
        remaining = self._unreserved_lots()
        mid = quote.bid_ticks + quote.ask_ticks
        if working is not None and working.is_live:
            if (
                target is None
                or target != self._take_profit_target
                or working.pending_lots != remaining
                or not self._take_profit_window(target).contains(mid)
            ):
                self._cancel(now_ns, working)
            return
        if (
            target is not None
            and self._instrument.is_tradable(remaining, target)
            and self._take_profit_window(target).contains(mid)
            and now_ns >= self._take_profit_not_before_ns
        ):
            self._place_take_profit(now_ns, quote, target)
        elif self._is_left_with_dust():
            self._begin_shutdown(now_ns, self._dust_close_type())

    def _unreserved_lots(self) -> int:
        """Return what a resting take profit may close."""
        return self._totals.remaining_lots

    def _dust_close_type(self) -> CloseType:
        """Return the close type when exits while running have left dust (9.4)."""
        return CloseType.TAKE_PROFIT

    def _place_take_profit(self, now_ns: int, quote: QuoteTick, target: int) -> None:
        price = target
        if self._take_profit_type is OrderType.LIMIT_MAKER:
            is_long = self.side is TradeType.BUY
            price = max(target, quote.ask_ticks) if is_long else min(target, quote.bid_ticks)
        self._take_profit_target = target
        self._take_profit_order = self._send(
            now_ns,
            role=TAKE_PROFIT,
            order_type=self._take_profit_type,
            lots=self._unreserved_lots(),
            limit_ticks=price,
        )

    def _take_profit_window(self, target: int) -> ActivationWindow:
        return activation_window(
            Fraction(target), self.side.opposite, OrderType.LIMIT, self._bounds
        )

    def _on_working_order_ended(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        if order.request.role == ENTRY:
            self._on_entry_ended(now_ns, order, reason)
        elif order.is_failed:
            self._count_take_profit_failure(now_ns, order, reason)
        elif order.cancel_sent_ns is None:
            self._take_profit_not_before_ns = now_ns + self._retry_wait_ns(1)

    def _count_take_profit_failure(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        self._take_profit_failures += 1
        self._last_error = f"take profit {order.order_id}: {reason}"
        wait_ns = self._retry_wait_ns(self._take_profit_failures)
        self._take_profit_not_before_ns = now_ns + wait_ns
        if self._is_take_profit_monitored():
            self._tell(now_ns, "warning", "take profit is watched from now on and closes at market")
            self._refresh_levels()

    def _refresh_levels(self) -> None:
        barrier = self.config.triple_barrier_config
        levels = barrier_levels(
            self._totals, barrier.stop_loss, barrier.take_profit, self._trailing
        )
        resting = self._take_profit_wanted = self._find_take_profit()
        if resting is not None and levels.take_profit is not None:
            levels = levels._replace(take_profit=self.side.sign * resting)
        self._levels = self.own_levels(levels)

    def _wake_conditions(self, now_ns: int) -> WakeConditions:
        if self._status is RunnableStatus.SHUTTING_DOWN:
            return self._wakes_after(now_ns, self._shutdown_triggers(), ())
        if self._is_resting:
            return self._resting_conditions(now_ns)
        quote = self._valid_quote()
        if quote is not None and self._is_at_rest():
            self._is_resting = True
            return self._resting_conditions(now_ns)
        prices, barrier_times = self._barrier_conditions(now_ns)
        prices = (
            self._first_quote_triggers()
            if quote is None
            else self._price_triggers(quote.bid_ticks + quote.ask_ticks, prices)
        )
        times = (self._entry_not_before_ns, self._take_profit_not_before_ns, self._end_ns or 0)
        return self._wakes_after(now_ns, prices, times + barrier_times)

    def _is_at_rest(self) -> bool:
        """Whether only a barrier can make the executor do anything before its next order event.

        Then a quote costs the barriers and nothing else. Most executors are like this most of
        their lives: the entry is filled, no order works but a resting take profit for all of it.
        """
        totals = self._totals
        if not self._is_checked or totals.exit_lots or totals.entry_lots < self._entry_lots:
            return False
        if totals.remaining_lots < self._instrument.min_lots:
            return False
        live, working = self._orders.live(), self._take_profit_order
        target = self._take_profit_wanted
        if target is None:
            return not live
        return (
            len(live) == 1
            and live[0] is working
            and working.cancel_sent_ns is None
            and self._bounds is None
            and target == self._take_profit_target
            and working.pending_lots == self._unreserved_lots()
        )

    def _resting_conditions(self, now_ns: int) -> WakeConditions:
        prices, times = self._barrier_conditions(now_ns)
        at_ns = self._end_ns if self._end_ns is not None and self._end_ns > now_ns else None
        for time in times:
            if time > now_ns and (at_ns is None or time < at_ns):
                at_ns = time
        return WakeConditions(prices, at_ns)

    def _barrier_conditions(self, now_ns: int) -> tuple[tuple[PriceTrigger, ...], tuple[int, ...]]:
        """Return the prices, and the instants, at which a barrier must be looked at."""
        del now_ns
        is_monitored = self._is_take_profit_monitored()
        return self._levels.triggers(self.market, is_take_profit_monitored=is_monitored), ()

    def _price_triggers(
        self, mid_half_ticks: int, barriers: tuple[PriceTrigger, ...]
    ) -> tuple[PriceTrigger, ...]:
        found = self._entry_triggers(mid_half_ticks)
        if self._totals.remaining_lots >= self._instrument.min_lots:
            found += barriers
        target = self._take_profit_wanted
        if target is not None and self._bounds is not None:
            window = self._take_profit_window(target)
            found += window.edge_triggers(self.market, mid_half_ticks)
        if self._totals.exit_lots:
            found += self._closable_triggers()
        return found

    def _make_snapshot(self) -> ExecutorSnapshot:
        before, totals = self._snapshot, self._totals
        is_same = before is not None and before.totals is totals and totals.entry_lots
        return ExecutorSnapshot(
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
            amount_lots=self._entry_lots,
            totals=self._totals,
            levels=self._levels,
            frozen_mark_ticks=self._frozen_mark_ticks,
            entry_price=before.entry_price if before and is_same else self.entry_price,
            end_ns=self._end_ns,
            trailing_trigger=self._seen_trigger,
            is_trailing=self._is_trailing,
            is_take_profit_resting=self._take_profit_wanted is not None,
            retries=self._retries,
            max_retries=self.max_retries,
            error_count=self._error_count,
            last_error=self._last_error,
            is_handed_over=self._is_handed_over,
            is_stale=self._is_stale,
            orders=self._order_roles(),
            timeline=tuple(self._timeline),
            version=self._version,
        )
