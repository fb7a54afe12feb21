"""The position executor: one entry, guarded by the triple barrier (executors.md 7.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Self

from engine.executors.activation import ALWAYS, ActivationWindow, activation_window
from engine.executors.barrier_levels import barrier_levels
from engine.executors.barriers import TrailingStopState
from engine.executors.base import UpdateRejectedError
from engine.executors.config import ns_to_seconds
from engine.executors.custom_info import CustomInfo
from engine.executors.directional import ENTRY, TAKE_PROFIT, DirectionalExecutor
from engine.executors.factory import ExecutorFactory
from engine.executors.fill_ledger import to_decimal
from engine.executors.plain import JsonValue
from engine.executors.position_config import PositionExecutorConfig, PositionExecutorUpdate
from engine.executors.settings import ExecutorSettings
from engine.executors.snapshot import ExecutorSnapshot
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.step import Step
from engine.executors.strategy import ExecutorStrategy
from engine.executors.tracked_order import TrackedOrder
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.model.clock import SECOND_NS
from engine.model.orders import OrderType, TradeType
from engine.model.quotes import QuoteTick


@dataclass(frozen=True, slots=True)
class PositionCustomInfo(CustomInfo):
    """What a position executor reports beyond the common fields. Prices in quote, times in s."""

    level_id: str | None
    current_position_average_price: Decimal | None
    current_retries: int
    max_retries: int
    close_price: Decimal | None
    open_order_last_update: float | None
    order_ids: tuple[str, ...]
    held_position_orders: tuple[Mapping[str, object], ...]
    remaining_amount: Decimal
    trailing_stop_trigger_pct: Decimal | None
    stop_loss_price: Decimal | None
    take_profit_price: Decimal | None
    end_time: float | None
    stale_price: bool
    residual_amount_base: Decimal

    @classmethod
    def from_executor(cls, executor: PositionExecutor) -> Self:
        """Build the info of *executor*."""
        snapshot, totals = executor.snapshot(), executor.totals
        instrument = snapshot.instrument
        trigger = snapshot.trailing_trigger_pct
        prices = {item.kind: item.price for item in snapshot.barriers(None)}
        return cls(
            side=executor.side,
            level_id=executor.config.level_id,
            current_position_average_price=snapshot.entry_price,
            current_retries=snapshot.retries,
            max_retries=snapshot.max_retries,
            close_price=executor.close_price,
            open_order_last_update=executor.entry_updated_s,
            order_ids=tuple(order.client_order_id for order in snapshot.orders),
            held_position_orders=tuple(
                held.to_dict(instrument) for held in executor.held_position_orders
            ),
            remaining_amount=instrument.qty(totals.remaining_lots),
            trailing_stop_trigger_pct=None if trigger is None else to_decimal(trigger),
            stop_loss_price=prices.get("stop_loss"),
            take_profit_price=prices.get("take_profit"),
            end_time=None if snapshot.end_ns is None else ns_to_seconds(snapshot.end_ns),
            stale_price=snapshot.is_stale,
            residual_amount_base=instrument.qty(totals.residual_lots),
        )


@ExecutorFactory.register_executor(
    PositionExecutorConfig, PositionExecutorUpdate, PositionCustomInfo
)
class PositionExecutor(DirectionalExecutor):
    """Works an entry, protects whatever of it is filled, and closes at the first barrier."""

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
            leverage=config.leverage,
            update_interval=update_interval,
            max_retries=max_retries,
            settings=settings,
        )
        self._entry_lots = self._instrument.floor_lots(config.amount)
        self._trailing: TrailingStopState | None = None
        self._entry: TrackedOrder | None = None
        self._entry_not_before_ns = 0
        self._entry_cancels = 0
        self._take_profit_order: TrackedOrder | None = None
        self._take_profit_target: int | None = None
        self._take_profit_not_before_ns = 0
        self._take_profit_failures = 0
        self._is_checked = False
        self._use_config(config)
        self._resolve_entry_price()
        problem = self._size_problem()
        if problem:
            self._last_error = problem
            self._tell(strategy.now_ns(), "error", problem)
            self._end(strategy.now_ns(), CloseType.FAILED)

    @property
    def config(self) -> PositionExecutorConfig:
        """Return the configuration in force, with the entry price that was resolved."""
        return self._position_config

    @property
    def amount_lots(self) -> int:
        """Return the configured amount in lots, rounded down."""
        return self._entry_lots

    @property
    def entry_price(self) -> Decimal | None:
        """Return the average of the fills, or the price at which the entry is to work."""
        average = self._totals.entry_ticks
        if average is not None:
            return self._instrument.tick * to_decimal(average)
        ticks = self._entry_ticks()
        return None if ticks is None else self._instrument.price(ticks)

    @property
    def close_price(self) -> Decimal | None:
        """Return the average price of all exits so far."""
        totals = self._totals
        if not totals.exit_lots:
            return None
        ticks = Fraction(totals.exit_atoms, totals.exit_lots * totals.atoms_per_tick_lot)
        return self._instrument.tick * to_decimal(ticks)

    @property
    def entry_updated_s(self) -> float | None:
        """Return when the entry order last changed, in seconds."""
        return None if self._entry is None else ns_to_seconds(self._entry.updated_ns)

    def update_live(self, payload: object) -> Step:
        """Change barriers or activation bounds while running, all or nothing (10.3).

        Raises:
            UpdateRejectedError: not running, a foreign payload, or the result is not valid.
        """
        if self._status is not RunnableStatus.RUNNING:
            raise UpdateRejectedError(
                f"executor {self.executor_id} is {self._status.name}; only RUNNING ones change"
            )
        if not isinstance(payload, PositionExecutorUpdate) or not payload.validate():
            raise UpdateRejectedError(
                f"executor {self.executor_id}: the update must change something, got {payload!r}"
            )
        try:
            config = payload.applied_to(self._position_config)
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

    def runtime_state(self) -> dict[str, JsonValue]:
        """Return the blob of 14.2: with the order and fill rows, all that ``restore`` needs."""
        trigger = None if self._trailing is None else self._trailing.trigger
        entry_price = self._position_config.entry_price
        return super().runtime_state() | {
            "entry_price": None if entry_price is None else str(entry_price),
            "trailing_trigger": None if trigger is None else str(trigger),
            "take_profit_failures": self._take_profit_failures,
            "take_profit_target": self._take_profit_target,
            "is_checked": self._is_checked,
        }

    def _on_restored(self, state: Mapping[str, JsonValue]) -> None:
        entry_price, trigger = state.get("entry_price"), state.get("trailing_trigger")
        if isinstance(entry_price, str):
            self._use_config(
                self._position_config.model_copy(update={"entry_price": Decimal(entry_price)})
            )
        if self._trailing is not None and isinstance(trigger, str):
            self._trailing.trigger = Fraction(trigger)
        failures, target = state.get("take_profit_failures"), state.get("take_profit_target")
        self._take_profit_failures = failures if isinstance(failures, int) else 0
        self._take_profit_target = target if isinstance(target, int) else None
        self._is_checked = bool(state.get("is_checked"))
        for order in self._orders:
            if order.request.role == ENTRY:
                self._entry = order
            elif order.request.role == TAKE_PROFIT:
                self._take_profit_order = order
        super()._on_restored(state)

    def _use_config(self, config: PositionExecutorConfig) -> None:
        """Take *config*; its values are copied, so that no tick reads a pydantic model."""
        barrier = config.triple_barrier_config
        self._config = self._position_config = config
        self._stop_loss = None if barrier.stop_loss is None else Fraction(barrier.stop_loss)
        self._take_profit = None if barrier.take_profit is None else Fraction(barrier.take_profit)
        self._take_profit_type = barrier.take_profit_order_type
        self._open_type = barrier.open_order_type
        limit = barrier.time_limit
        self._end_ns = None if limit is None else self._created_ns + limit * SECOND_NS
        if barrier.trailing_stop is None:
            self._trailing = None
        else:
            trigger = None if self._trailing is None else self._trailing.trigger
            self._trailing = TrailingStopState.of(barrier.trailing_stop, trigger)
        bounds = config.activation_bounds
        self._bounds = None if bounds is None else tuple(map(Fraction, bounds))
        self._entry_window = ALWAYS
        if config.entry_price is not None:
            exact = Fraction(config.entry_price) / Fraction(self._instrument.tick)
            self._entry_window = activation_window(exact, self.side, self._open_type, self._bounds)
        self._version += 1

    def _resolve_entry_price(self) -> None:
        """Write the entry price into the configuration once there is one (7.1.1)."""
        quote = self._valid_quote()
        if self._position_config.entry_price is None and quote is not None:
            price = self._instrument.price(self._mark_of(quote))
            self._use_config(self._position_config.model_copy(update={"entry_price": price}))

    def _entry_ticks(self) -> int | None:
        """Return the price at which an entry is to be placed now (7.1.2)."""
        price = self._position_config.entry_price
        if price is None:
            return None
        is_buy = self.side is TradeType.BUY
        ticks = self._instrument.passive_ticks(price, is_buy=is_buy)
        quote = self._valid_quote()
        if self._open_type is OrderType.LIMIT_MAKER and quote is not None:
            return min(ticks, quote.bid_ticks) if is_buy else max(ticks, quote.ask_ticks)
        return ticks

    def _size_problem(self) -> str:
        """Return why the amount can never be placed, or nothing."""
        instrument, lots = self._instrument, self._entry_lots
        amount = self._position_config.amount
        if lots < instrument.min_lots:
            least = instrument.qty(instrument.min_lots)
            return f"amount {amount} is below the least amount {least} of {self.market}"
        if instrument.qty(lots) > instrument.max_qty:
            return f"amount {amount} is above the most {instrument.max_qty} of {self.market}"
        ticks = self._entry_ticks()
        if ticks is not None and not instrument.is_tradable(lots, ticks):
            worth = instrument.money(instrument.notional_atoms(ticks, lots))
            return (
                f"amount {amount} at {instrument.price(ticks)} is worth {worth}, below the least "
                f"notional {instrument.min_notional} of {self.market}"
            )
        return ""

    def _on_start(self, now_ns: int) -> None:
        if self._valid_quote() is not None or self._position_config.entry_price is not None:
            self._check_start(now_ns)
        elif self._is_expired(now_ns):
            self._end(now_ns, CloseType.EXPIRED)

    def _check_start(self, now_ns: int) -> None:
        """Check size, balance, expiry, in this order (5.2); the entry price is known."""
        self._resolve_entry_price()
        self._is_checked = True
        ticks = self._entry_ticks() or 0
        problem = self._size_problem()
        close_type = CloseType.FAILED
        if not problem and not self._is_affordable(ticks):
            close_type = CloseType.INSUFFICIENT_BALANCE
            problem = (
                f"the balance does not cover {self.side.name} {self._position_config.amount} "
                f"{self.market} at {self._instrument.price(ticks)}"
            )
        if problem:
            self._last_error = problem
            self._tell(now_ns, "error", problem)
            self._end(now_ns, close_type)
        elif self._is_expired(now_ns):
            self._end(now_ns, CloseType.EXPIRED)

    def _is_affordable(self, ticks: int) -> bool:
        candidate = self._request(
            order_id="",
            role=ENTRY,
            side=self.side,
            order_type=self._open_type,
            lots=self._entry_lots,
            limit_ticks=ticks,
        )
        return self._strategy.is_affordable(candidate, ticks)

    def _is_expired(self, now_ns: int) -> bool:
        return self._end_ns is not None and now_ns >= self._end_ns

    def _run(self, now_ns: int) -> None:
        if self._take_profit_order is not None and self._take_profit_order.is_complete:
            self._begin_shutdown(now_ns, CloseType.TAKE_PROFIT)
            return
        quote = self._valid_quote()
        self._note_staleness(is_stale=quote is None)
        if quote is None:
            if self._is_expired(now_ns):
                self._begin_shutdown(now_ns, CloseType.TIME_LIMIT)
            return
        if not self._is_checked:
            self._check_start(now_ns)
            if self.is_done:
                return
        self._manage_entry(now_ns, quote)
        close_type = self._due_close(now_ns, quote)
        if close_type is not None:
            self._tell_close(now_ns, close_type, quote)
            self._begin_shutdown(now_ns, close_type)
            return
        self._manage_take_profit(now_ns, quote)

    def _manage_entry(self, now_ns: int, quote: QuoteTick) -> None:
        """Place, withdraw or place again the entry (7.1.3)."""
        is_inside = self._entry_window.contains(quote.bid_ticks + quote.ask_ticks)
        if self._entry is not None and self._entry.is_live:
            if not is_inside:
                self._cancel(now_ns, self._entry)
            return
        ticks = self._wanted_entry_ticks()
        if ticks is None or not is_inside or self._is_expired(now_ns):
            return
        if now_ns >= self._entry_not_before_ns:
            self._entry = self._send(
                now_ns,
                role=ENTRY,
                order_type=self._open_type,
                lots=self._unfilled_lots(),
                limit_ticks=ticks,
            )

    def _unfilled_lots(self) -> int:
        return self._entry_lots - self._totals.entry_lots

    def _wanted_entry_ticks(self) -> int | None:
        """Return the price for another entry order; None if the entry is as full as can be."""
        lots = self._unfilled_lots()
        ticks = self._entry_ticks() if lots > 0 else None
        if ticks is None or not self._instrument.is_tradable(lots, ticks):
            return None
        return ticks

    def _due_close(self, now_ns: int, quote: QuoteTick) -> CloseType | None:
        """Return the first barrier that is hit: SL, TS, TP, TL, in this order (4.1)."""
        mark = self._mark_of(quote)
        if self._instrument.is_tradable(self._totals.remaining_lots, mark):
            levels, signed = self._levels, self.side.sign * mark
            if levels.stop_loss is not None and signed <= levels.stop_loss:
                return CloseType.STOP_LOSS
            if levels.trailing_close is not None and signed <= levels.trailing_close:
                return CloseType.TRAILING_STOP
            if levels.trailing_raise is not None and signed >= levels.trailing_raise:
                self._raise_trailing(now_ns, mark)
            is_taken = levels.take_profit is not None and signed >= levels.take_profit
            if is_taken and self._is_take_profit_monitored():
                return CloseType.TAKE_PROFIT
        return CloseType.TIME_LIMIT if self._is_expired(now_ns) else None

    def _raise_trailing(self, now_ns: int, mark: int) -> None:
        if self._trailing is None:
            return
        was_armed = self._trailing.trigger is not None
        self._trailing.update(self._totals.net_pnl_pct(mark))
        self._version += 1
        self._refresh_levels()
        if not was_armed:
            price = self._instrument.price(mark)
            self._tell(now_ns, "info", f"trailing stop armed at {price}")

    def _tell_close(self, now_ns: int, close_type: CloseType, quote: QuoteTick) -> None:
        price = self._instrument.price(self._mark_of(quote))
        self._tell(now_ns, "info", f"{close_type.name} at {price}")

    def _is_take_profit_monitored(self) -> bool:
        """Whether the take profit is watched here; after too many failures it always is (5.4)."""
        return (
            not self._take_profit_type.is_limit_type
            or self._take_profit_failures > self.max_retries
        )

    def _take_profit_ticks(self) -> int | None:
        """Return the price of the resting take profit on the grid, never a worse one."""
        entry = self._totals.entry_ticks
        if entry is None or self._take_profit is None or self._is_take_profit_monitored():
            return None
        exact = entry * (1 + self.side.sign * self._take_profit)
        return ceil(exact) if self.side is TradeType.BUY else floor(exact)

    def _manage_take_profit(self, now_ns: int, quote: QuoteTick) -> None:
        """Keep a resting take profit for exactly what is open (7.1.5)."""
        target = self._take_profit_ticks()
        working = self._take_profit_order
        remaining = self._totals.remaining_lots
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
            self._begin_shutdown(now_ns, CloseType.TAKE_PROFIT)

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
            lots=self._totals.remaining_lots,
            limit_ticks=price,
        )

    def _take_profit_window(self, target: int) -> ActivationWindow:
        return activation_window(
            Fraction(target), self.side.opposite, OrderType.LIMIT, self._bounds
        )

    def _is_left_with_dust(self) -> bool:
        """Whether exits have left nothing that could still be worked (9.4)."""
        return (
            self._totals.exit_lots > 0
            and not self._orders.live()
            and not self._is_closable(self._totals.remaining_lots)
        )

    def _on_working_order_ended(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        is_unasked = order.cancel_sent_ns is None
        if order.request.role == ENTRY:
            if order.is_failed:
                count = self._count_retry(f"entry {order.order_id}: {reason}")
                self._entry_not_before_ns = now_ns + self._retry_wait_ns(count)
            elif is_unasked:
                self._entry_cancels += 1
                self._entry_not_before_ns = now_ns + self._retry_wait_ns(self._entry_cancels)
        elif order.is_failed:
            self._count_take_profit_failure(now_ns, order, reason)
        elif is_unasked:
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
        levels = barrier_levels(self._totals, self._stop_loss, self._take_profit, self._trailing)
        resting = self._take_profit_ticks()
        if resting is not None and levels.take_profit is not None:
            levels = replace(levels, take_profit=self.side.sign * resting)
        self._levels = levels

    def _wake_conditions(self, now_ns: int) -> WakeConditions:
        times = self._live_times()
        if self._status is RunnableStatus.SHUTTING_DOWN:
            return _wakes(self._shutdown_triggers(), times, now_ns)
        if self._status is RunnableStatus.NOT_STARTED:
            return _wakes((), [], now_ns)
        if self._end_ns is not None:
            times.append(self._end_ns)
        times += (self._entry_not_before_ns, self._take_profit_not_before_ns)
        quote = self._valid_quote()
        if quote is None:
            prices: tuple[PriceTrigger, ...] = (
                PriceTrigger(self.market, PriceField.BID, is_above=True, level=1),
                PriceTrigger(self.market, PriceField.ASK, is_above=True, level=1),
            )
        else:
            prices = self._price_triggers(quote.bid_ticks + quote.ask_ticks)
        return _wakes(prices, times, now_ns)

    def _price_triggers(self, mid: int) -> tuple[PriceTrigger, ...]:
        found: tuple[PriceTrigger, ...] = ()
        is_entering = self._entry is not None and self._entry.is_live
        if is_entering or self._wanted_entry_ticks() is not None:
            found += self._entry_window.edge_triggers(self.market, mid)
        if self._totals.remaining_lots >= self._instrument.min_lots:
            found += self._levels.triggers(
                self.market, is_take_profit_monitored=self._is_take_profit_monitored()
            )
        target = self._take_profit_ticks()
        if target is not None and self._bounds is not None:
            found += self._take_profit_window(target).edge_triggers(self.market, mid)
        if self._totals.exit_lots:
            found += self._closable_triggers()
        return found

    def _make_snapshot(self) -> ExecutorSnapshot:
        trailing = self._trailing
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
            entry_price=self.entry_price,
            end_ns=self._end_ns,
            trailing_trigger_pct=None if trailing is None else trailing.trigger,
            is_trailing=trailing is not None,
            is_take_profit_resting=self._take_profit_ticks() is not None,
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


def _wakes(prices: tuple[PriceTrigger, ...], times: list[int], now_ns: int) -> WakeConditions:
    return WakeConditions(prices, min((time for time in times if time > now_ns), default=None))
