"""The progressive executor: a position that is taken off in steps."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Final, cast

from engine.executors.barrier_levels import NO_LEVELS, BarrierLevels
from engine.executors.base import UpdateRejectedError
from engine.executors.factory import ExecutorFactory
from engine.executors.ladder import LadderedTrailingStopState, LadderStep
from engine.executors.net_line import MovingLevel, NetLine
from engine.executors.order_roles import PARTIAL_CLOSE
from engine.executors.plain import JsonValue
from engine.executors.position_config import PositionExecutorConfig
from engine.executors.position_executor import PositionExecutor
from engine.executors.progressive_config import (
    ProgressiveExecutorConfig,
    ProgressiveExecutorUpdates,
)
from engine.executors.progressive_info import LadderRowInfo, ProgressiveCustomInfo
from engine.executors.settings import ExecutorSettings
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.step import Step
from engine.executors.strategy import ExecutorStrategy
from engine.executors.tracked_order import TrackedOrder
from engine.executors.wake_conditions import PriceField, PriceTrigger
from engine.model.clock import SECOND_NS
from engine.model.orders import OrderType, TradeType
from engine.model.quotes import QuoteTick

YEAR_NS: Final = 31_536_000 * SECOND_NS
"""365 days (4.3)."""
_LARGEST_LAG: Final = 5_000
"""A level that moves with time is looked at again before it has moved by 1/5000 of its price."""


@ExecutorFactory.register_executor(
    ProgressiveExecutorConfig, ProgressiveExecutorUpdates, ProgressiveCustomInfo
)
class ProgressiveExecutor(PositionExecutor):
    """Closes parts of a position by the ladder; its stop loss tightens by the target yield.

    The threshold of the stop loss is a net PnL that grows with time. It is watched by a price that
    it can only reach later, and by the instant at which it does: so no tick is missed and nothing
    is polled.
    """

    __slots__ = (
        "_is_extension_told",
        "_ladder",
        "_line",
        "_moving_stop",
        "_moving_target",
        "_quiet",
        "_stop_pct",
        "_wanted_lots",
        "_yield_per_ns",
    )

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: ProgressiveExecutorConfig,
        update_interval: float = 1.0,
        max_retries: int | None = None,
        settings: ExecutorSettings | None = None,
    ) -> None:
        self._ladder: LadderedTrailingStopState | None = None
        self._yield_per_ns = Fraction(0)
        self._line: NetLine | None = None
        self._moving_stop: MovingLevel | None = None
        self._moving_target: MovingLevel | None = None
        self._quiet: tuple[int | None, int] | None = None
        self._wanted_lots = 0
        self._is_extension_told = False
        super().__init__(strategy, config, update_interval, max_retries, settings)

    @property
    def config(self) -> ProgressiveExecutorConfig:
        """Return the configuration in force, with the entry price that was resolved."""
        return cast(
            "ProgressiveExecutorConfig", self._config
        )  # the factory pairs them; a second reference costs memory

    @property
    def pnl_trigger(self) -> Fraction | None:
        """Return the net PnL at which the ladder fires; None until it is armed."""
        return self._trailing_trigger

    @property
    def target_yield(self) -> Fraction:
        """Return the net PnL that the position should have by now; fixed at the end."""
        closed_ns = self._closed_ns
        return self._target(self._strategy.now_ns() if closed_ns is None else closed_ns)

    @property
    def is_extended_on_yield(self) -> bool:
        """Whether the time limit is over and the position goes on because it earns enough."""
        return self._status is RunnableStatus.RUNNING and self._is_expired(self._strategy.now_ns())

    @property
    def realized_lots(self) -> int:
        """Return what partial closes have executed."""
        return sum(order.executed_lots for order in self._partial_closes())

    @property
    def stop_loss_price(self) -> Decimal | None:
        """Return the price at which the stop loss fires at this moment."""
        level = self._stop_level(self._strategy.now_ns())
        return None if level is None or self.is_done else self._price_of(level)

    @property
    def ladder_rows(self) -> tuple[LadderRowInfo, ...]:
        """Return the rows of the take profit table and which of them were used."""
        ladder = self.config.triple_barrier_config.trailing_stop
        if ladder is None or self._ladder is None:
            return ()
        hits = self._ladder.hits
        return tuple(
            LadderRowInfo(row.pnl_level, row.close_ratio, Fraction(row.pnl_level) in hits)
            for row in ladder.take_profit_table
        )

    def update_live(self, payload: object) -> Step:
        """Scale the barriers to a new volatility while running, all or nothing (10.3).

        Raises:
            UpdateRejectedError: not running, a foreign payload, or there is no stop loss.
        """
        if self._status is not RunnableStatus.RUNNING:
            raise UpdateRejectedError(
                f"executor {self.executor_id} is {self._status.name}; only RUNNING ones change"
            )
        if not isinstance(payload, ProgressiveExecutorUpdates) or not payload.validate():
            raise UpdateRejectedError(
                f"executor {self.executor_id}: the update must give a volatility, got {payload!r}"
            )
        try:
            config = payload.applied_to(self.config)
        except ValueError as error:
            raise UpdateRejectedError(f"executor {self.executor_id}: {error}") from error
        self._use_config(config)
        self._refresh_levels()
        now_ns = self._strategy.now_ns()
        self._tell(now_ns, "info", f"updated: volatility {payload.volatility}")
        return self._advance(now_ns)

    def runtime_state(self) -> dict[str, JsonValue]:
        """Return the blob of 14.2: with the order and fill rows, all that ``restore`` needs."""
        hits = () if self._ladder is None else sorted(self._ladder.hits)
        return super().runtime_state() | {
            "ladder_hits": [str(level) for level in hits],
            "partial_close_lots": self._wanted_lots,
        }

    def _on_restored(self, state: Mapping[str, JsonValue]) -> None:
        hits, lots = state.get("ladder_hits"), state.get("partial_close_lots")
        if self._ladder is not None and isinstance(hits, list):
            self._ladder.hits = {Fraction(str(level)) for level in hits}
        self._wanted_lots = lots if isinstance(lots, int) else 0
        super()._on_restored(state)

    def _use_config(self, config: PositionExecutorConfig) -> None:
        if isinstance(config, ProgressiveExecutorConfig):
            self._config = config
            stop_loss = config.triple_barrier_config.stop_loss
            self._stop_pct = None if stop_loss is None else Fraction(stop_loss)
        super()._use_config(config)

    def _use_trailing(self, config: PositionExecutorConfig) -> None:
        """Take the ladder; trigger and hits of the one before are kept (10.3)."""
        del config  # the base's view of it; ours has the ladder
        barrier = self.config.triple_barrier_config
        apr = barrier.apr_yield
        self._yield_per_ns = Fraction(0) if apr is None else Fraction(apr) / YEAR_NS
        ladder, before = barrier.trailing_stop, self._ladder
        if ladder is None:
            self._ladder = None
            return
        self._ladder = LadderedTrailingStopState(
            activation=Fraction(ladder.activation_pnl_pct),
            trailing=Fraction(ladder.trailing_pct),
            steps=(
                LadderStep(Fraction(row.pnl_level), Fraction(row.close_ratio))
                for row in ladder.take_profit_table
            ),
            relaxation=Fraction(self.config.pnl_relaxation),
            cap=Fraction(self.config.max_trailing_pct),
            trigger=None if before is None else before.trigger,
            hits=() if before is None else before.hits,
        )

    @property
    def _trailing_trigger(self) -> Fraction | None:
        return None if self._ladder is None else self._ladder.trigger

    @property
    def _seen_trigger(self) -> Fraction | None:
        return self._trailing_trigger

    @property
    def _is_trailing(self) -> bool:
        return self._ladder is not None

    def _set_trailing_trigger(self, trigger: Fraction) -> None:
        if self._ladder is not None:
            self._ladder.trigger = trigger

    def _target(self, now_ns: int) -> Fraction:
        return self._yield_per_ns * (now_ns - self._created_ns)

    def _stop_level(self, now_ns: int) -> int | None:
        """Return the signed mark at or below which the stop loss fires (4.3)."""
        stop = self._moving_stop
        return None if stop is None else stop.at(now_ns - self._created_ns)

    def _price_of(self, signed_mark: int) -> Decimal:
        return self._instrument.price(self.side.sign * signed_mark)

    def _refresh_levels(self) -> None:
        """Compute the levels again; between fills only the stop loss moves, with time."""
        self._quiet = None
        self._take_profit_wanted = self._find_take_profit()
        line = self._line = NetLine.of(self._totals)
        if line is None:
            self._moving_stop = self._moving_target = None
            self._levels = NO_LEVELS._replace(sign=self.side.sign)
            return
        stop = self._stop_pct
        self._moving_stop = None if stop is None else line.moving(-stop, self._yield_per_ns)
        self._moving_target = line.moving(Fraction(0), self._yield_per_ns)
        self._levels = BarrierLevels(
            self.side.sign,
            self._stop_level(self._strategy.now_ns()),
            self._take_profit_level(line),
            *self._trailing_levels(line),
        )

    def _trailing_levels(self, line: NetLine) -> tuple[int | None, int | None]:
        """Return where the ladder fires and where it is armed."""
        ladder = self._ladder
        if ladder is None:
            return None, None
        trigger = ladder.trigger_ratio
        if trigger is None:
            return None, line.at_or_above(ladder.activation)
        return line.floor_of(trigger), None

    def _take_profit_level(self, line: NetLine) -> int | None:
        resting = self._take_profit_wanted
        if resting is not None:
            return self.side.sign * resting
        take_profit = self.config.triple_barrier_config.take_profit
        return None if take_profit is None else line.at_or_above(Fraction(take_profit))

    def _due_close(self, now_ns: int, quote: QuoteTick) -> CloseType | None:
        """Return the first barrier that closes: SL, ladder, TP, TL, in this order (4.3)."""
        mark = self._mark_of(quote)
        signed = self.side.sign * mark
        self._move_stop(now_ns)
        if self._instrument.is_tradable(self._totals.remaining_lots, mark):
            levels = self._levels
            if levels.stop_loss is not None and signed <= levels.stop_loss:
                return CloseType.STOP_LOSS
            ratio = self._update_ladder(now_ns, signed)
            if ratio is not None:  # a partial close ends the tick, too
                return CloseType.TRAILING_STOP if self._is_full(now_ns, ratio, mark) else None
            is_taken = levels.take_profit is not None and signed >= levels.take_profit
            if is_taken and self._is_take_profit_monitored():
                return CloseType.TAKE_PROFIT
        return CloseType.TIME_LIMIT if self._is_time_up(now_ns, mark) else None

    def _move_stop(self, now_ns: int) -> None:
        level = self._stop_level(now_ns)
        if level != self._levels.stop_loss:
            self._levels = self._levels._replace(stop_loss=level)
            self._version += 1

    def _is_time_up(self, now_ns: int, mark: int | None) -> bool:
        """Whether the time is over and the position does not earn its target yield (4.3)."""
        if not self._is_expired(now_ns):
            return False
        remaining = self._totals.remaining_lots
        if self._line is None or remaining < self._instrument.min_lots:
            return True
        if mark is None:
            return False
        target = self._moving_target
        elapsed_ns = now_ns - self._created_ns
        is_earning = target is not None and self.side.sign * mark > target.at(elapsed_ns)
        if not is_earning or not self._instrument.is_tradable(remaining, mark):
            return True
        if not self._is_extension_told:
            self._is_extension_told = True
            self._tell(now_ns, "info", "time limit: goes on while it earns the target yield")
        return False

    def _update_ladder(self, now_ns: int, signed: int) -> Fraction | None:
        """Give the ladder the newest net PnL and return the ratio to close, if it fires."""
        ladder, line = self._ladder, self._line
        if ladder is None or line is None or self._is_quiet(signed):
            return None
        before, net = ladder.trigger_ratio, line.ratio_at(signed)
        ratio = ladder.update_ratio(net, self._totals.opened_lots)
        after = ladder.trigger_ratio
        if after != before:
            self._version += 1
            sign, stop_loss, take_profit, _, _ = self._levels
            levels = self._trailing_levels(line)
            self._levels = BarrierLevels(sign, stop_loss, take_profit, *levels)
        if before is None and after is not None:
            self._tell(now_ns, "info", f"trailing stop armed at {self._price_of(signed)}")
        low, high = ladder.quiet_ratios(net)
        # Armed at an activation inclusively, raised only beyond a peak.
        far = line.ceil_of(high) if after is None else line.floor_of(high) + 1
        self._quiet = (None if low is None else line.floor_of(low), far)
        return ratio

    def _is_quiet(self, signed: int) -> bool:
        if self._quiet is None:
            return False
        low, high = self._quiet
        return (low is None or signed > low) and signed < high

    def _is_full(self, now_ns: int, ratio: Fraction, mark: int) -> bool:
        """Whether a hit closes everything; otherwise note the part that it closes (7.2)."""
        totals = self._totals
        free = totals.remaining_lots - self._reserved_lots()
        lots = int(totals.opened_lots * ratio)
        if lots >= free:
            return True
        price, amount = self._instrument.price(mark), self._instrument.qty(lots)
        if self._instrument.is_tradable(lots, mark):
            self._wanted_lots += lots
            self._is_resting = False
            self._tell(now_ns, "info", f"trailing stop at {price}: closes {amount}")
        else:
            self._tell(now_ns, "info", f"trailing stop at {price}: {amount} is too little to close")
        return False

    def _partial_closes(self) -> list[TrackedOrder]:
        return [order for order in self._exits if order.request.role == PARTIAL_CLOSE]

    def _reserved_lots(self) -> int:
        """Return what partial closes have still to close."""
        return self._wanted_lots + sum(order.pending_lots for order in self._partial_closes())

    def _unreserved_lots(self) -> int:
        return self._totals.remaining_lots - self._reserved_lots()

    def _manage_take_profit(self, now_ns: int, quote: QuoteTick) -> None:
        if self._wanted_lots:
            self._work_partial_close(now_ns, quote)
        super()._manage_take_profit(now_ns, quote)

    def _work_partial_close(self, now_ns: int, quote: QuoteTick) -> None:
        """Close the part that is due, once no resting take profit can sell it as well."""
        if self._entry is not None and self._entry.is_live:
            self._cancel(now_ns, self._entry)
        working = self._take_profit_order
        if working is not None and working.is_live:
            self._cancel(now_ns, working)
            return
        pending = sum(order.pending_lots for order in self._exits)
        lots = min(self._wanted_lots, self._totals.remaining_lots - pending)
        self._wanted_lots = 0
        if self._instrument.is_tradable(lots, self._mark_of(quote)):
            self._send(now_ns, role=PARTIAL_CLOSE, order_type=OrderType.MARKET, lots=lots)

    def _wanted_entry_ticks(self) -> int | None:
        """Return the price for another entry order; None once a part was closed."""
        if self._wanted_lots or self._partial_closes():
            return None
        return super()._wanted_entry_ticks()

    def _dust_close_type(self) -> CloseType:
        executed = [order for order in self._exits if order.executed_lots]
        is_partial = bool(executed) and executed[-1].request.role == PARTIAL_CLOSE
        return CloseType.TRAILING_STOP if is_partial else CloseType.TAKE_PROFIT

    def _on_working_order_ended(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        if order.request.role != PARTIAL_CLOSE:
            super()._on_working_order_ended(now_ns, order, reason)
        elif order.is_failed:
            self._count_retry(f"partial close {order.order_id}: {reason}")

    def _barrier_conditions(self, now_ns: int) -> tuple[tuple[PriceTrigger, ...], tuple[int, ...]]:
        signed = self._signed_mark()
        falling: list[int] = []
        times: list[int] = []
        for level, at_ns in self._watched_levels(now_ns, signed):
            falling.append(level)
            if at_ns is not None:
                times.append(at_ns)
        rising: list[int] = []
        if self._quiet is not None:
            low, high = self._quiet
            rising.append(high)
            if low is not None:
                falling.append(low)
        elif self._ladder is not None and signed is not None:
            falling.append(signed)  # not looked at yet: the next quote does
            rising.append(signed)
        take_profit = self._levels.take_profit
        if take_profit is not None and self._is_take_profit_monitored():
            rising.append(take_profit)
        found: tuple[PriceTrigger, ...] = ()
        if falling:
            found += (self._trigger(max(falling), is_rising=False),)
        if rising:
            found += (self._trigger(min(rising), is_rising=True),)
        return found, tuple(times)

    def _trigger(self, signed_level: int, *, is_rising: bool) -> PriceTrigger:
        is_long = self.side is TradeType.BUY
        return PriceTrigger(
            self.market,
            PriceField.BID if is_long else PriceField.ASK,
            is_above=is_rising == is_long,
            level=self.side.sign * signed_level,
        )

    def _signed_mark(self) -> int | None:
        mark = self.mark_ticks
        return None if mark is None else self.side.sign * mark

    def _watched_levels(self, now_ns: int, signed: int | None) -> list[tuple[int, int | None]]:
        """Return what to watch of each threshold that grows by the target yield.

        That is a signed mark that the threshold has not passed before the instant beside it.
        """
        moving = [self._moving_stop]
        if self._is_expired(now_ns):
            moving.append(self._moving_target)
        found: list[tuple[int, int | None]] = []
        for threshold in moving:
            if threshold is None:
                continue
            level = threshold.at(now_ns - self._created_ns)
            if not threshold.growth or signed is None or signed <= level:
                found.append((level, None))
                continue
            watched = level + min((signed - level - 1) // 2, abs(level) // _LARGEST_LAG)
            found.append((watched, self._created_ns + threshold.reaches(watched + 1)))
        return found
