"""The grid executor: round trips at the levels of a price range."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Final

from engine.executors.barrier_levels import NO_LEVELS
from engine.executors.base import UpdateRejectedError
from engine.executors.directional import DirectionalExecutor
from engine.executors.factory import ExecutorFactory
from engine.executors.fill_ledger import to_decimal
from engine.executors.grid_barriers import GridBarriers, TrailingMove
from engine.executors.grid_book import NEWEST, GridBook
from engine.executors.grid_config import GridExecutorConfig, GridExecutorUpdate
from engine.executors.grid_info import GridCustomInfo, GridSnapshot, LevelRow
from engine.executors.grid_level import GridLevel, GridLevelStates
from engine.executors.grid_metrics import GridFigures, OpenPart
from engine.executors.grid_plan import GridTooSmallError, PlannedLevel, plan_grid
from engine.executors.grid_work import GridWindows, GridWork, MidEdges
from engine.executors.held_order import HeldOrder
from engine.executors.info import ExecutorInfo
from engine.executors.order_roles import CLOSE, ENTRY, TAKE_PROFIT, kind_of, level_of, level_role
from engine.executors.plain import JsonValue
from engine.executors.settings import ExecutorSettings
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.step import Step
from engine.executors.strategy import ExecutorStrategy
from engine.executors.tracked_order import TrackedOrder
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.model.clock import SECOND_NS
from engine.model.orders import TradeType
from engine.model.quotes import QuoteTick

S = GridLevelStates
_ENDED_WITH_EXPOSURE: Final = frozenset({CloseType.POSITION_HOLD, CloseType.FAILED})


@ExecutorFactory.register_executor(GridExecutorConfig, GridExecutorUpdate, GridCustomInfo)
class GridExecutor(DirectionalExecutor):
    """Works the levels nearest to the mid; each that is filled is closed at its own profit.

    The levels are made at the first valid quote. A finished round trip is booked and its level is
    used again. Entries go out in batches, at most one for each update interval. The trailing stop
    belongs to the open position: its trigger is forgotten when nothing is open. When the open
    part is handed over, the booked part stays the executor's own result.
    """

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: GridExecutorConfig,
        update_interval: float = 1.0,
        max_retries: int | None = None,
        settings: ExecutorSettings | None = None,
    ) -> None:
        is_spot = not strategy.instrument(config.market).is_perpetual
        super().__init__(
            strategy,
            config,
            market=config.market,
            side=config.side,
            leverage=1 if is_spot else config.leverage,
            update_interval=update_interval,
            max_retries=max_retries,
            settings=settings,
        )
        self._grid: tuple[GridLevel, ...] = ()
        self._known_work: GridWork | None = None
        self._book = GridBook(self.side, self._instrument.atoms_per_tick_lot)
        self._part = OpenPart()
        self._barriers = GridBarriers(self.side, self._instrument.tick)
        self._batch_not_before_ns = 0
        self._waits_until_ns = 0
        """No level waits after a failure or a cancel beyond it."""
        self._is_checked = False
        self._frozen_mid: int | None = None
        self._failed_ids: deque[str] = deque(maxlen=NEWEST)
        self._cancelled_ids: deque[str] = deque(maxlen=NEWEST)
        self._use_config(config)
        quote = self._valid_quote()
        if quote is not None:
            self._make_levels(strategy.now_ns(), quote)

    @property
    def config(self) -> GridExecutorConfig:
        """Return the configuration in force."""
        return self._grid_config

    @property
    def grid_levels(self) -> tuple[GridLevel, ...]:
        """Return the levels, lowest price first; none before the first quote."""
        return self._grid

    @property
    def amount_lots(self) -> int:
        """Return what all levels open together, in lots."""
        return sum(level.plan.lots for level in self._grid)

    @property
    def entry_price(self) -> Decimal | None:
        """Return the average price of what is open."""
        if not self._part.lots:
            return None
        k = self._instrument.atoms_per_tick_lot
        return self._instrument.tick * to_decimal(self._part.cost_atoms / (self._part.lots * k))

    @property
    def mid_half_ticks(self) -> int | None:
        """Return bid plus ask; frozen at the end."""
        if self.is_done:
            return self._frozen_mid
        quote = self._valid_quote()
        return None if quote is None else quote.bid_ticks + quote.ask_ticks

    @property
    def filled_orders(self) -> tuple[HeldOrder, ...]:
        """Return the newest booked orders, and those with fills that are not booked."""
        open_orders = (order for order in self._orders if self._is_of_open_part(order))
        fresh = tuple(HeldOrder.of(order) for order in open_orders if order.executed_lots)
        return tuple(self._book.filled) + fresh

    @property
    def ended_ids(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the ids of the newest failed and of the newest cancelled orders."""
        return tuple(self._failed_ids), tuple(self._cancelled_ids)

    @property
    def executor_info(self) -> ExecutorInfo:
        """Return the report at the newest mid; it changes nothing."""
        snapshot = self.snapshot()
        net = snapshot.net_at_mid(self.mid_half_ticks)
        return replace(
            super().executor_info,
            net_pnl_quote=self._instrument.money(net),
            net_pnl_pct=snapshot.pct_of(net),
        )

    def update_live(self, payload: object) -> Step:
        """Change limit price, open orders or frequency while running, all or nothing (10.3).

        Raises:
            UpdateRejectedError: not running, a foreign payload, or the result is not valid.
        """
        if self._status is not RunnableStatus.RUNNING:
            raise UpdateRejectedError(
                f"executor {self.executor_id} is {self._status.name}; only RUNNING ones change"
            )
        if not isinstance(payload, GridExecutorUpdate) or not payload.validate():
            raise UpdateRejectedError(
                f"executor {self.executor_id}: the update must change something, got {payload!r}"
            )
        try:
            config = payload.applied_to(self._grid_config)
        except ValueError as error:
            raise UpdateRejectedError(f"executor {self.executor_id}: {error}") from error
        self._use_config(config)
        now_ns = self._strategy.now_ns()
        changed = ", ".join(
            f"{name} {getattr(payload, name)}" for name in sorted(payload.model_fields_set)
        )
        self._tell(now_ns, "info", f"updated: {changed}")
        return self._advance(now_ns)

    def runtime_state(self) -> dict[str, JsonValue]:
        """Return the blob of 14.2: with the order and fill rows, all that ``restore`` needs."""
        trigger = self._barriers.trigger
        return super().runtime_state() | {
            "levels": [
                [
                    level.plan.ticks,
                    level.plan.lots,
                    str(level.plan.quote),
                    str(level.plan.take_profit),
                ]
                for level in self._grid
            ],
            "trailing_trigger": None if trigger is None else str(trigger),
            "batch_not_before_ns": self._batch_not_before_ns,
            "is_checked": self._is_checked,
            "frozen_mid_half_ticks": self._frozen_mid,
        }

    def _on_restored(self, state: Mapping[str, JsonValue]) -> None:
        levels, trigger = state.get("levels"), state.get("trailing_trigger")
        if isinstance(levels, list) and levels:
            self._use_levels([_planned(item) for item in levels])
        batch_ns, mid = state.get("batch_not_before_ns"), state.get("frozen_mid_half_ticks")
        self._batch_not_before_ns = batch_ns if isinstance(batch_ns, int) else 0
        self._frozen_mid = mid if isinstance(mid, int) else None
        self._is_checked = bool(state.get("is_checked"))
        for order in tuple(self._orders):
            level = self._level_of(order)
            if level is not None:
                level.follow(order, is_entry=kind_of(order.request.role) == ENTRY)
                if level.state is S.COMPLETE:
                    self._book_level(level)
        super()._on_restored(state)
        if isinstance(trigger, str):
            self._barriers.restore_trigger(Fraction(trigger))
        if self.is_done:
            self._forget_open_part()
            if self._close_type in _ENDED_WITH_EXPOSURE and not self._is_handed_over:
                self._keep_booked_part(self._strategy.now_ns())
            self._held = ()

    def _use_config(self, config: GridExecutorConfig) -> None:
        """Take *config*; its values are copied, so that no tick reads a pydantic model."""
        barrier = config.triple_barrier_config
        self._config = self._grid_config = config
        self._open_type = barrier.open_order_type
        self._exit_type = barrier.take_profit_order_type
        bounds = config.activation_bounds
        self._windows = GridWindows(self.side, None if bounds is None else Fraction(bounds))
        self._known_work = None
        self._extra_spread = config.safe_extra_spread.as_integer_ratio()
        limit = barrier.time_limit
        self._end_ns = None if limit is None else self._created_ns + limit * SECOND_NS
        self._barriers.use_config(config)
        self._version += 1

    def _make_levels(self, now_ns: int, quote: QuoteTick) -> None:
        mid = Fraction(self._instrument.tick) * (quote.bid_ticks + quote.ask_ticks) / 2
        try:
            plan = plan_grid(self._grid_config, self._instrument, mid)
        except GridTooSmallError as error:
            self._end_with(now_ns, CloseType.FAILED, str(error))
            return
        self._use_levels(plan.levels)
        first = plan.levels[0]
        amount = self._instrument.qty(first.lots)
        self._tell(now_ns, "info", f"grid of {len(plan.levels)} levels of {amount}")

    def _use_levels(self, plans: list[PlannedLevel] | tuple[PlannedLevel, ...]) -> None:
        deducts = self._grid_config.deduct_base_fees
        self._grid = tuple(
            GridLevel(index, plan, self._instrument, self.side, deducts_base_fees=deducts)
            for index, plan in enumerate(plans)
        )
        self._known_work = None
        self._version += 1

    def _end_with(self, now_ns: int, close_type: CloseType, problem: str) -> None:
        self._last_error = problem
        self._tell(now_ns, "error", problem)
        self._end(now_ns, close_type)

    def _on_start(self, now_ns: int) -> None:
        quote = self._valid_quote()
        if quote is not None:
            self._check_balance(now_ns, quote)

    def _check_balance(self, now_ns: int, quote: QuoteTick) -> None:
        self._is_checked = True
        tick = Fraction(self._instrument.tick)
        mid = Fraction(quote.bid_ticks + quote.ask_ticks, 2)
        amount = Fraction(self._grid_config.total_amount_quote)
        lots = max(1, floor(amount / (mid * tick * Fraction(self._instrument.lot))))
        if self._is_affordable(lots, ceil(mid)):
            return
        self._end_with(
            now_ns,
            CloseType.INSUFFICIENT_BALANCE,
            f"the balance does not cover a grid of {self._grid_config.total_amount_quote} "
            f"on {self.market}",
        )

    def _is_affordable(self, lots: int, ticks: int) -> bool:
        candidate = self._request(
            order_id="",
            role=ENTRY,
            side=self.side,
            order_type=self._open_type,
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
        if not self._grid:
            self._make_levels(now_ns, quote)
        if not self._is_checked and not self.is_done:
            self._check_balance(now_ns, quote)
        if self.is_done:
            return
        self._book_complete()
        close_type = self._due_close(now_ns, quote)
        if close_type is not None:
            price = self._instrument.tick * (quote.bid_ticks + quote.ask_ticks) / 2
            self._tell(now_ns, "info", f"{close_type.name} at {price}")
            self._begin_shutdown(now_ns, close_type)
            return
        self._place_entries(now_ns, quote)
        self._place_exits(now_ns, quote)
        self._cancel_far_orders(now_ns, quote)

    def _work(self) -> GridWork:
        """Return what the levels have to do."""
        work = self._known_work
        if work is None:
            work = self._known_work = GridWork.of(self._grid, self._windows)
        return work

    def _due_close(self, now_ns: int, quote: QuoteTick) -> CloseType | None:
        """Return the first barrier that is hit: SL, limit, TL, TS, end of the range."""
        barriers = self._barriers
        signed = self.side.sign * (quote.bid_ticks + quote.ask_ticks)
        mark = self._mark_of(quote)
        is_open = barriers.has_line and self._instrument.is_tradable(self._part.lots, mark)
        if is_open and barriers.is_stopped(signed):
            return CloseType.STOP_LOSS
        if barriers.is_beyond_limit(signed):
            keeps = self._grid_config.keep_position
            return CloseType.POSITION_HOLD if keeps else CloseType.STOP_LOSS
        if self._is_expired(now_ns):
            return CloseType.TIME_LIMIT
        if is_open and self._is_trailing_hit(now_ns, signed):
            return CloseType.TRAILING_STOP
        return CloseType.TAKE_PROFIT if barriers.is_range_won(signed) else None

    def _is_trailing_hit(self, now_ns: int, signed: int) -> bool:
        """Arm or raise the trailing stop; return whether it fires."""
        move = self._barriers.trail(signed)
        if move is TrailingMove.NONE:
            return False
        if move is not TrailingMove.FIRED:
            self._version += 1
        if move is TrailingMove.ARMED:
            price = self._instrument.tick * signed * self.side.sign / 2
            self._tell(now_ns, "info", f"trailing stop armed at {price}")
        return move is TrailingMove.FIRED

    def _room(self) -> int:
        """Return how many entries may be placed beside those that work."""
        return max(0, self._grid_config.max_open_orders - self._work().entries)

    def _place_entries(self, now_ns: int, quote: QuoteTick) -> None:
        """Open the levels nearest to the mid, as many as there is room for (7.4 a)."""
        room = self._room()
        if not room or now_ns < self._batch_not_before_ns:
            return
        mid, work = quote.bid_ticks + quote.ask_ticks, self._work()
        if not work.opens.contains(mid):
            return
        levels = [
            level
            for level in work.idle
            if now_ns >= level.entry_not_before_ns
            and self._windows.entry(level.plan.ticks).contains(mid)
        ]
        levels.sort(key=lambda level: (abs(2 * level.plan.ticks - mid), level.index))
        most = min(room, self._grid_config.max_orders_per_batch or room)
        placed = [self._place_entry(now_ns, quote, level) for level in levels[:most]]
        if any(placed):
            wait_ns = self._grid_config.order_frequency * SECOND_NS
            self._batch_not_before_ns = now_ns + max(wait_ns, self._update_interval_ns, 1)

    def _place_entry(self, now_ns: int, quote: QuoteTick, level: GridLevel) -> bool:
        """Open a level; one that is too small or not affordable waits for the next poll."""
        ticks = None
        if self._open_type.is_limit_type:
            ticks = level.entry_ticks(quote, self._extra_spread)
        reference = ticks or (quote.ask_ticks if self.side is TradeType.BUY else quote.bid_ticks)
        lots = level.entry_lots(ticks)
        if not self._instrument.is_tradable(lots, reference) or not self._is_affordable(
            lots, reference
        ):
            level.entry_not_before_ns = now_ns + self._settings.shutdown_poll_ns
            self._waits_until_ns = max(self._waits_until_ns, level.entry_not_before_ns)
            return False
        order = self._send(
            now_ns,
            role=level_role(ENTRY, level.index),
            order_type=self._open_type,
            lots=lots,
            limit_ticks=ticks,
        )
        level.follow(order, is_entry=True)
        self._known_work = None
        return True

    def _place_exits(self, now_ns: int, quote: QuoteTick) -> None:
        """Close the levels that are filled, by a resting order or once it is there (7.4 b)."""
        mid = quote.bid_ticks + quote.ask_ticks
        for level in self._work().filled:
            if now_ns < level.exit_not_before_ns:
                continue
            if level.deducts_base_fees and not level.has_all_fills:
                continue
            if not self._windows.exit(level.target_ticks).contains(mid):
                continue
            ticks = None
            if self._exit_type.is_limit_type:
                ticks = level.exit_ticks(quote, self._extra_spread)
            elif self.side.sign * self._mark_of(quote) < self.side.sign * level.target_ticks:
                continue
            order = self._send(
                now_ns,
                role=level_role(TAKE_PROFIT, level.index),
                order_type=self._exit_type,
                lots=level.open_lots,
                limit_ticks=ticks,
            )
            level.follow(order, is_entry=False)
            self._known_work = None

    def _cancel_far_orders(self, now_ns: int, quote: QuoteTick) -> None:
        """Withdraw the orders that the market has left (7.4 c, d)."""
        work, mid = self._work(), quote.bid_ticks + quote.ask_ticks
        if not self._windows.has_bounds or self._is_staying(work, mid):
            return
        for order in work.orders:
            ticks = order.request.limit_ticks
            is_left = ticks is not None and not self._windows.keep(ticks).contains(mid)
            if is_left or order.cancel_sent_ns is not None:
                self._cancel(now_ns, order)

    def _is_staying(self, work: GridWork, mid: int) -> bool:
        """Whether no working order has to be withdrawn, and none was."""
        return not work.is_leaving and work.stay.contains(mid)

    def _send_cancel(self, now_ns: int, order: TrackedOrder) -> None:
        self._known_work = None
        super()._send_cancel(now_ns, order)

    def _take_order_event(
        self, tracked: TrackedOrder, *, was_live: bool, figures: tuple[int, int, int, int]
    ) -> Step:
        level = self._level_of(tracked)
        if level is not None:
            level.refresh()
            self._known_work = None
        return super()._take_order_event(tracked, was_live=was_live, figures=figures)

    def _level_of(self, order: TrackedOrder) -> GridLevel | None:
        index = level_of(order.request.role)
        return None if index is None or index >= len(self._grid) else self._grid[index]

    def _is_of_open_part(self, order: TrackedOrder) -> bool:
        level = self._level_of(order)
        return level is None or order in level.entries or order in level.exits

    def _book_complete(self) -> None:
        complete = self._work().complete
        for level in complete:
            self._book_level(level)
        if complete:
            self._refresh_totals()

    def _book_level(self, level: GridLevel) -> None:
        """Book a finished round trip; the level can be used again."""
        for order in self._book.add(level.take_orders()):
            self._orders.forget(order.order_id)
            self._unfollow(order)
        self._known_work = None
        self._version += 1

    def _refresh_totals(self) -> None:
        self._totals = self._book.with_folded((*self._entries, *self._exits))
        self._refresh_levels()

    def _refresh_levels(self) -> None:
        closed = sum(order.executed_lots for order in self._exits if order.request.role == CLOSE)
        self._part = OpenPart.of(self._grid, closed)
        self._levels = NO_LEVELS._replace(sign=self.side.sign)
        self._follow_open_part()

    def _follow_open_part(self) -> None:
        line = self._part.line(self.side.sign, self._instrument.atoms_per_tick_lot)
        self._barriers.follow(line)

    def _forget_open_part(self) -> None:
        self._part = OpenPart()
        self._follow_open_part()

    def _on_working_order_ended(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        level = self._level_of(order)
        (self._failed_ids if order.is_failed else self._cancelled_ids).append(order.order_id)
        if level is None:
            return
        if order.is_failed:
            count = self._count_retry(f"{order.request.role} {order.order_id}: {reason}")
        elif order.cancel_sent_ns is None:
            count = level.cancels = level.cancels + 1
        else:
            return
        again_ns = now_ns + self._retry_wait_ns(count)
        self._waits_until_ns = max(self._waits_until_ns, again_ns)
        if kind_of(order.request.role) == ENTRY:
            level.entry_not_before_ns = again_ns
        else:
            level.exit_not_before_ns = again_ns

    def _hold_everything(self) -> bool:
        """Leave the open part to the position store; booked round trips stay our result (8.5)."""
        self._book_complete()
        self._held = tuple(
            HeldOrder.of(order) for order in self._orders.executed() if self._is_of_open_part(order)
        )
        if not self._held:
            self._keep_booked_part(self._strategy.now_ns())
            return False
        self._is_handed_over = not self._book.totals.entry_lots
        if not self._is_handed_over:
            self._keep_booked_part(self._strategy.now_ns())
        return True

    def _keep_booked_part(self, now_ns: int) -> None:
        """Let the totals be those of finished round trips; what they left over is dust."""
        self._totals = self._book.totals
        self._forget_open_part()
        remaining = self._totals.remaining_lots
        if remaining:
            held = self._held
            self._leave_residual(now_ns, remaining)
            self._held = held + self._held

    def _finish(self, now_ns: int) -> None:
        self._book_complete()
        super()._finish(now_ns)
        self._forget_open_part()

    def _freeze(self) -> None:
        self._frozen_mid = self.mid_half_ticks
        super()._freeze()

    def _wake_conditions(self, now_ns: int) -> WakeConditions:
        if self._status is RunnableStatus.SHUTTING_DOWN:
            return self._wakes_after(now_ns, self._shutdown_triggers(), ())
        quote = self._valid_quote()
        work = self._work()
        times = [self._end_ns or 0, self._batch_not_before_ns]
        if now_ns < self._waits_until_ns:
            times += [level.entry_not_before_ns for level in work.idle]
            times += [level.exit_not_before_ns for level in work.filled]
        if quote is None:
            prices = tuple(
                PriceTrigger(self.market, field, is_above=True, level=1)
                for field in (PriceField.BID, PriceField.ASK)
            )
            return self._wakes_after(now_ns, prices, times)
        mid = quote.bid_ticks + quote.ask_ticks
        edges = MidEdges()
        self._barriers.watch(edges, is_open=self._part.lots >= self._instrument.min_lots)
        found = self._watch_levels(edges, mid)
        for level, is_above in ((edges.low, False), (edges.high, True)):
            if level is not None:
                found.append(PriceTrigger(self.market, PriceField.MID, is_above, level))
        return self._wakes_after(now_ns, tuple(found), times)

    def _live_times(self) -> list[int]:
        if self._status is not RunnableStatus.RUNNING:
            return super()._live_times()
        # While it runs only orders of levels work: the many that are booked need no look.
        work, poll = self._work(), self._settings.shutdown_poll_ns
        if not work.is_leaving:
            return []
        return [
            order.cancel_sent_ns + poll for order in work.orders if order.cancel_sent_ns is not None
        ]

    def _watch_levels(self, edges: MidEdges, mid: int) -> list[PriceTrigger]:
        """Watch for what would place or withdraw an order of a level.

        Returns: what must be seen at a touch instead of the mid.
        """
        work, windows = self._work(), self._windows
        found: list[PriceTrigger] = []
        if windows.has_bounds and self._room():
            if not work.opens.contains(mid):
                edges.enter(work.opens, mid)
            else:
                for level in work.idle:
                    edges.enter(windows.entry(level.plan.ticks), mid)
        for level in work.filled:
            window = windows.exit(level.target_ticks)
            if not window.contains(mid):
                edges.enter(window, mid)
            elif not self._exit_type.is_limit_type:
                is_long = self.side is TradeType.BUY
                field = PriceField.BID if is_long else PriceField.ASK
                found.append(PriceTrigger(self.market, field, is_long, level.target_ticks))
        if windows.has_bounds:
            self._watch_orders(edges, mid)
        return found

    def _watch_orders(self, edges: MidEdges, mid: int) -> None:
        """Watch for what would withdraw a working order."""
        work = self._work()
        if self._is_staying(work, mid):
            edges.leave(work.stay)
            return
        for order in work.orders:
            ticks = order.request.limit_ticks
            if ticks is None or order.cancel_sent_ns is not None:
                continue
            window = self._windows.keep(ticks)
            if window.contains(mid):
                edges.leave(window)
            else:
                edges.enter(window, mid)

    def snapshot(self) -> GridSnapshot:
        """Return the immutable state; the same object until something but the mid changes."""
        if not isinstance(self._snapshot, GridSnapshot) or (
            self._snapshot.version != self._version
        ):
            self._snapshot = self._make_snapshot()
        return self._snapshot

    def _make_snapshot(self) -> GridSnapshot:
        return GridSnapshot(
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
            end_ns=self._end_ns,
            trailing_trigger=self._barriers.seen_trigger,
            is_trailing=self._barriers.is_trailing,
            is_take_profit_resting=self._exit_type.is_limit_type,
            retries=self._retries,
            max_retries=self.max_retries,
            error_count=self._error_count,
            last_error=self._last_error,
            is_handed_over=self._is_handed_over,
            is_stale=self._is_stale,
            orders=self._order_roles(),
            timeline=tuple(self._timeline),
            version=self._version,
            figures=GridFigures(self._totals, self._part),
            frozen_mid_half_ticks=self._frozen_mid,
            rows=tuple(
                LevelRow(level.plan.ticks, level.target_ticks, level.state) for level in self._grid
            ),
            lines=tuple(self._barriers.lines()),
        )


def _planned(item: JsonValue) -> PlannedLevel:
    """Read one level of the stored state.

    Raises:
        ValueError: it is no such level.
    """
    if not isinstance(item, list) or len(item) != 4:
        raise ValueError(f"a stored grid level, got {item!r}")
    ticks, lots, quote, take_profit = item
    if not isinstance(ticks, int) or not isinstance(lots, int):
        raise ValueError(f"a stored grid level, got {item!r}")  # noqa: TRY004 (stored data)
    return PlannedLevel(ticks, lots, Fraction(str(quote)), Fraction(str(take_profit)))
