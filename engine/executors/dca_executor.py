"""The DCA executor: one position entered at several prices."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

from engine.executors.barrier_levels import barrier_levels, trailed
from engine.executors.barriers import TrailingStopState
from engine.executors.dca_config import DCAExecutorConfig, DCAMode
from engine.executors.dca_info import DCACustomInfo, DCASnapshot
from engine.executors.dca_level import DCALevel, level_window
from engine.executors.directional import DirectionalExecutor
from engine.executors.factory import ExecutorFactory
from engine.executors.fill_ledger import to_decimal
from engine.executors.net_line import NetLine
from engine.executors.order_roles import ENTRY, kind_of, level_of, level_role
from engine.executors.plain import JsonValue
from engine.executors.settings import ExecutorSettings
from engine.executors.snapshot import ExecutorSnapshot
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.strategy import ExecutorStrategy
from engine.executors.tracked_order import TrackedOrder
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.model.clock import SECOND_NS
from engine.model.orders import TradeType
from engine.model.quotes import QuoteTick


@ExecutorFactory.register_executor(DCAExecutorConfig, None, DCACustomInfo)
class DCAExecutor(DirectionalExecutor):
    """Places a level for each update interval, in order, and closes all of it at once.

    A level whose order was cancelled is worked again for what is missing.
    """

    default_max_retries: ClassVar[int] = 15

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: DCAExecutorConfig,
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
        self._dca_config = config
        self._mode = config.mode
        self._stop_loss = None if config.stop_loss is None else Fraction(config.stop_loss)
        self._take_profit = None if config.take_profit is None else Fraction(config.take_profit)
        stop = config.trailing_stop
        self._trailing = None if stop is None else TrailingStopState.of(stop)
        limit = config.time_limit
        self._end_ns = None if limit is None else self._created_ns + limit * SECOND_NS
        self._steps = tuple(self._level(index) for index in range(len(config.prices)))
        self._lots_wanted = sum(level.lots for level in self._steps)
        self._next_level_ns = 0
        problem = self._size_problem()
        if problem:
            self._end_with(strategy.now_ns(), CloseType.FAILED, problem)

    @property
    def config(self) -> DCAExecutorConfig:
        """Return the configuration."""
        return self._dca_config

    @property
    def amount_lots(self) -> int:
        """Return what all levels open together, in lots."""
        return self._lots_wanted

    @property
    def entry_price(self) -> Decimal | None:
        """Return the average of the fills, or the first level's price."""
        average = self._totals.entry_ticks
        if average is not None:
            return self._instrument.tick * to_decimal(average)
        return self._instrument.price(self._steps[0].ticks)

    @property
    def close_price(self) -> Decimal | None:
        """Return the average price of all exits so far."""
        totals = self._totals
        if not totals.exit_lots:
            return None
        ticks = Fraction(totals.exit_atoms, totals.exit_lots * totals.atoms_per_tick_lot)
        return self._instrument.tick * to_decimal(ticks)

    @property
    def interrupted_lots(self) -> int:
        """Return what orders executed that ended before they were full."""
        return sum(
            order.executed_lots
            for order in self._orders
            if not order.is_live and not order.is_complete
        )

    def _level(self, index: int) -> DCALevel:
        config, instrument = self._dca_config, self._instrument
        price, amount = config.prices[index], config.amounts_quote[index]
        bounds = config.activation_bounds
        ticks = instrument.passive_ticks(price, is_buy=self.side is TradeType.BUY)
        exact = Fraction(price) / Fraction(instrument.tick)
        window = level_window(
            exact, self.side, self._mode, None if bounds is None else tuple(map(Fraction, bounds))
        )
        lots = int(Fraction(amount) / Fraction(price) / Fraction(instrument.lot))
        return DCALevel(index, instrument, lots, ticks, window)

    def _size_problem(self) -> str:
        """Return why a level can never be placed, or nothing (3.6)."""
        instrument, config = self._instrument, self._dca_config
        for level, amount, price in zip(
            self._steps, config.amounts_quote, config.prices, strict=True
        ):
            where = f"level {level.index}: amount {amount} at {price}"
            if amount < instrument.min_notional:
                least = instrument.min_notional
                return f"{where} is below the least notional {least} of {self.market}"
            if not instrument.is_tradable(level.lots, level.ticks):
                lots, least = instrument.qty(level.lots), instrument.qty(instrument.min_lots)
                return f"{where} is an order of {lots}, too little for {self.market} ({least})"
            if instrument.qty(level.lots) > instrument.max_qty:
                return f"{where} is above the most {instrument.max_qty} of {self.market}"
        return ""

    def _end_with(self, now_ns: int, close_type: CloseType, problem: str) -> None:
        self._last_error = problem
        self._tell(now_ns, "error", problem)
        self._end(now_ns, close_type)

    def _on_start(self, now_ns: int) -> None:
        if not self._is_affordable():
            worth = self._dca_config.max_amount_quote
            problem = f"the balance does not cover {self.side.name} {self.market} for {worth}"
            self._end_with(now_ns, CloseType.INSUFFICIENT_BALANCE, problem)
        elif self._is_expired(now_ns):
            self._end(now_ns, CloseType.EXPIRED)

    def _is_affordable(self) -> bool:
        """Whether the account covers all levels together, at their average price rounded up."""
        lots = self._lots_wanted
        ticks = -(-sum(level.lots * level.ticks for level in self._steps) // lots)
        candidate = self._request(
            order_id="",
            role=ENTRY,
            side=self.side,
            order_type=self._mode.order_type,
            lots=lots,
            limit_ticks=ticks,
        )
        return self._strategy.is_affordable(candidate, ticks)

    def _is_expired(self, now_ns: int) -> bool:
        return self._end_ns is not None and now_ns >= self._end_ns

    def _run(self, now_ns: int) -> None:
        quote = self._valid_quote()
        self._note_staleness(is_stale=quote is None)
        if quote is None:
            if self._is_expired(now_ns):
                self._begin_shutdown(now_ns, CloseType.TIME_LIMIT)
            return
        close_type = self._due_close(now_ns, quote)
        if close_type is None:
            self._place_level(now_ns, quote)
            return
        price = self._instrument.price(self._mark_of(quote))
        self._tell(now_ns, "info", f"{close_type.name} at {price}")
        self._begin_shutdown(now_ns, close_type)

    def _place_level(self, now_ns: int, quote: QuoteTick) -> None:
        """Place the first level that is due, at most one for each update interval."""
        if now_ns < self._next_level_ns:
            return
        mid = quote.bid_ticks + quote.ask_ticks
        for level in self._candidates():
            if now_ns >= level.not_before_ns and level.window.contains(mid):
                self._next_level_ns = now_ns + max(self._update_interval_ns, 1)
                order = self._send(
                    now_ns,
                    role=level_role(ENTRY, level.index),
                    order_type=self._mode.order_type,
                    lots=level.missing_lots,
                    limit_ticks=level.ticks,
                )
                level.orders.append(order)
                return

    def _candidates(self) -> list[DCALevel]:
        """Return the levels that may be placed: reopened ones, and the first of the others."""
        found: list[DCALevel] = []
        for level in self._steps:
            if level.is_wanting:
                found.append(level)
                if not level.is_reopened:
                    break
        return found

    def _due_close(self, now_ns: int, quote: QuoteTick) -> CloseType | None:
        """Return the first barrier that is hit: SL, TS, TP, TL, in this order."""
        mark = self._mark_of(quote)
        if self._instrument.is_tradable(self._totals.remaining_lots, mark):
            levels, signed = self._levels, self.side.sign * mark
            if levels.stop_loss is not None and signed <= levels.stop_loss:
                return CloseType.STOP_LOSS
            if levels.trailing_close is not None and signed <= levels.trailing_close:
                return CloseType.TRAILING_STOP
            if levels.trailing_raise is not None and signed >= levels.trailing_raise:
                self._raise_trailing(now_ns, mark)
            if levels.take_profit is not None and signed >= levels.take_profit:
                return CloseType.TAKE_PROFIT
        return CloseType.TIME_LIMIT if self._is_expired(now_ns) else None

    def _raise_trailing(self, now_ns: int, mark: int) -> None:
        """Arm the trailing stop, or let it follow a better *mark*: the levels say that it does."""
        trailing = self._trailing
        if trailing is None:
            return
        if not trailing.is_armed:
            self._tell(now_ns, "info", f"trailing stop armed at {self._instrument.price(mark)}")
        self._levels = trailed(self._levels, self._totals, trailing, self.side.sign * mark)
        trailing.raise_to(self._totals, mark)
        self._version += 1

    def _refresh_levels(self) -> None:
        levels = barrier_levels(self._totals, None, None, self._trailing)
        line = NetLine.of(self._totals)
        if line is not None:
            levels = levels._replace(
                stop_loss=self._stop_level(line),
                take_profit=None if self._take_profit is None else line.above(self._take_profit),
            )
        self._levels = levels

    def _stop_level(self, line: NetLine) -> int | None:
        """Return the signed mark at or below which the stop loss fires; None while it cannot.

        A maker's counts once every level is filled, as a fraction of what is open; a taker's is a
        fraction of what all levels are worth.
        """
        if self._stop_loss is None:
            return None
        if self._mode is DCAMode.TAKER:
            atoms_per_unit = 10**self._instrument.money_precision
            worth = Fraction(self._dca_config.max_amount_quote) * atoms_per_unit
            basis = Fraction(self._totals.scaled_basis, self._totals.entry_lots)
            return line.at_or_below(-self._stop_loss * worth / basis)
        if all(level.is_done for level in self._steps):
            return line.at_or_below(-self._stop_loss)
        return None

    def _on_working_order_ended(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        index = level_of(order.request.role)
        if index is None:
            return
        level = self._steps[index]
        if order.is_failed:
            count = self._count_retry(f"{order.request.role} {order.order_id}: {reason}")
            level.not_before_ns = now_ns + self._retry_wait_ns(count)
        elif order.cancel_sent_ns is None:
            level.cancels += 1
            level.not_before_ns = now_ns + self._retry_wait_ns(level.cancels)
        self._refresh_levels()

    def _wake_conditions(self, now_ns: int) -> WakeConditions:
        if self._status is RunnableStatus.SHUTTING_DOWN:
            return self._wakes_after(now_ns, self._shutdown_triggers(), ())
        quote = self._valid_quote()
        times = [self._end_ns or 0]
        if quote is None:
            prices = tuple(
                PriceTrigger(self.market, field, is_above=True, level=1)
                for field in (PriceField.BID, PriceField.ASK)
            )
            return self._wakes_after(now_ns, prices, times)
        found: tuple[PriceTrigger, ...] = ()
        mid = quote.bid_ticks + quote.ask_ticks
        for level in self._candidates() if not self._is_expired(now_ns) else ():
            if level.window.contains(mid):
                times += [level.not_before_ns, self._next_level_ns]
            else:
                found += level.window.edge_triggers(self.market, mid)
        if self._totals.remaining_lots >= self._instrument.min_lots:
            found += self._levels.triggers(self.market, is_take_profit_monitored=True)
        return self._wakes_after(now_ns, found, times)

    def runtime_state(self) -> dict[str, JsonValue]:
        """Return the blob of 14.2: with the order and fill rows, all that ``restore`` needs."""
        trigger = None if self._trailing is None else self._trailing.trigger
        return super().runtime_state() | {
            "trailing_trigger": None if trigger is None else str(trigger),
            "next_level_ns": self._next_level_ns,
        }

    def _on_restored(self, state: Mapping[str, JsonValue]) -> None:
        trigger, next_ns = state.get("trailing_trigger"), state.get("next_level_ns")
        if self._trailing is not None and isinstance(trigger, str):
            self._trailing.trigger = Fraction(trigger)
        self._next_level_ns = next_ns if isinstance(next_ns, int) else 0
        for order in self._orders:
            index = level_of(order.request.role)
            if index is not None and kind_of(order.request.role) == ENTRY:
                self._steps[index].orders.append(order)
        super()._on_restored(state)

    def _make_snapshot(self) -> ExecutorSnapshot:
        trailing = self._trailing
        return DCASnapshot(
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
            amount_lots=self._lots_wanted,
            totals=self._totals,
            levels=self._levels,
            frozen_mark_ticks=self._frozen_mark_ticks,
            entry_price=self.entry_price,
            end_ns=self._end_ns,
            trailing_trigger=None if trailing is None else trailing.seen_trigger,
            is_trailing=trailing is not None,
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
            waiting=tuple(
                (level.ticks, level.index + 1)
                for level in self._steps
                if level.missing_lots > 0 and not level.is_done
            ),
        )
