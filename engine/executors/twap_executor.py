"""The TWAP executor: equal parts at equal intervals (DEV-09)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import ClassVar, Self

from engine.executors.accumulating import AccumulatingExecutor
from engine.executors.config import ns_to_seconds
from engine.executors.custom_info import CustomInfo
from engine.executors.factory import ExecutorFactory
from engine.executors.info import ExecutorInfo
from engine.executors.order_roles import ENTRY
from engine.executors.plain import JsonValue
from engine.executors.settings import ExecutorSettings
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.strategy import ExecutorStrategy
from engine.executors.tracked_order import TrackedOrder
from engine.executors.twap_config import TWAPExecutorConfig, TWAPMode
from engine.executors.twap_slots import Slot, SlotPlan
from engine.executors.wake_conditions import WakeConditions
from engine.model.clock import SECOND_NS
from engine.model.orders import TradeType
from engine.model.quotes import QuoteTick


@dataclass(frozen=True, slots=True)
class TWAPCustomInfo(CustomInfo):
    """What a TWAP executor reports beyond the common fields. Prices in quote, times in s."""

    is_price_free: ClassVar[bool] = True

    level_id: str | None
    current_position_average_price: Decimal | None
    filled_amount_base: Decimal
    filled_amount_quote: Decimal
    current_retries: int
    max_retries: int
    order_ids: tuple[str, ...]
    held_position_orders: tuple[Mapping[str, object], ...]
    next_slot_at: float | None
    slots_done: int
    number_of_orders: int
    order_amount_quote: Decimal
    stale_price: bool

    @classmethod
    def from_executor(cls, executor: TWAPExecutor) -> Self:
        """Build the info of *executor*."""
        snapshot, totals, config = executor.snapshot(), executor.totals, executor.config
        instrument, next_ns = snapshot.instrument, snapshot.next_at_ns
        return cls(
            side=executor.side,
            level_id=config.level_id,
            current_position_average_price=snapshot.entry_price,
            filled_amount_base=instrument.qty(totals.entry_lots),
            filled_amount_quote=instrument.money(totals.entry_atoms),
            current_retries=snapshot.retries,
            max_retries=snapshot.max_retries,
            order_ids=tuple(order.client_order_id for order in snapshot.orders),
            held_position_orders=tuple(
                held.to_dict(instrument) for held in executor.held_position_orders
            ),
            next_slot_at=None if next_ns is None else ns_to_seconds(next_ns),
            slots_done=executor.slots_done,
            number_of_orders=config.number_of_orders,
            order_amount_quote=config.order_amount_quote,
            stale_price=snapshot.is_stale,
        )


@ExecutorFactory.register_executor(TWAPExecutorConfig, None, TWAPCustomInfo)
class TWAPExecutor(AccumulatingExecutor):
    """Gives every due slot an order of what is left divided by the slots that are left."""

    __slots__ = (
        "_away",
        "_is_checked",
        "_plan",
        "_renew_ns",
        "_total_atoms",
        "_twap_config",
    )

    default_max_retries: ClassVar[int] = 15
    has_pnl: ClassVar[bool] = True

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: TWAPExecutorConfig,
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
        self._twap_config = config
        atoms_per_quote = 10**self._instrument.money_precision
        self._total_atoms = Fraction(config.total_amount_quote) * atoms_per_quote
        away = 1 - self.side.sign * Fraction(config.limit_order_buffer or 0)
        self._away = away.as_integer_ratio()
        renew = config.order_resubmission_time
        is_maker = config.mode is TWAPMode.MAKER
        self._renew_ns = renew * SECOND_NS if is_maker and renew is not None else None
        self._plan: SlotPlan | None = None
        self._is_checked = False
        quote = self._valid_quote()
        problem = "" if quote is None else self._size_problem(_mid(quote))
        if problem:
            self._give_up(strategy.now_ns(), CloseType.FAILED, problem)

    @property
    def config(self) -> TWAPExecutorConfig:
        """Return the configuration."""
        return self._twap_config

    @property
    def amount_lots(self) -> int:
        """Return what the total is worth in lots: at the average so far, or at the mid."""
        average, quote = self._totals.entry_ticks, self._valid_quote()
        if average is not None:
            return self._lots_for(self._total_atoms, 2 * average)
        return 0 if quote is None else self._lots_for(self._total_atoms, _mid(quote))

    @property
    def slots_done(self) -> int:
        """Return how many slots are done."""
        return 0 if self._plan is None else self._plan.done_count

    @property
    def executor_info(self) -> ExecutorInfo:
        """Return the report at the newest mid; it changes nothing."""
        info, quote = super().executor_info, self._valid_quote()
        if quote is None:
            return info
        snapshot, mid = self.snapshot(), quote.bid_ticks + quote.ask_ticks
        return replace(
            info,
            net_pnl_quote=self._instrument.money(snapshot.net_at_mid(mid)),
            net_pnl_pct=snapshot.net_pct_at_mid(mid),
        )

    def runtime_state(self) -> dict[str, JsonValue]:
        """Return the blob of 14.2: with the order and fill rows, all that ``restore`` needs."""
        plan = self._plan
        return super().runtime_state() | {
            "first_slot_ns": None if plan is None else plan.start_ns,
            "dropped_slots": [] if plan is None else list(plan.dropped),
            "is_checked": self._is_checked,
        }

    def _on_restored(self, state: Mapping[str, JsonValue]) -> None:
        super()._on_restored(state)
        self._is_checked = bool(state.get("is_checked"))
        start_ns, dropped = state.get("first_slot_ns"), state.get("dropped_slots")
        if self._status is RunnableStatus.NOT_STARTED:
            return
        self._plan = self._new_plan(start_ns if isinstance(start_ns, int) else self._created_ns)
        numbers = dropped if isinstance(dropped, list) else []
        self._plan.adopt(
            self._entries,
            [number for number in numbers if isinstance(number, int)],
            self._strategy.now_ns(),
        )

    def _new_plan(self, start_ns: int) -> SlotPlan:
        config = self._twap_config
        return SlotPlan(start_ns, config.order_interval * SECOND_NS, config.number_of_orders)

    def _mark_of(self, quote: QuoteTick) -> int:
        return (quote.bid_ticks + quote.ask_ticks) // 2

    def _lots_for(self, atoms: Fraction, mid_half_ticks: int | Fraction) -> int:
        """Return how many lots *atoms* buy at the mid, rounded down."""
        return floor(2 * atoms / (mid_half_ticks * self._instrument.atoms_per_tick_lot))

    def _size_problem(self, mid: int) -> str:
        """Return why a slot can never be placed, or nothing (3.8)."""
        instrument, config = self._instrument, self._twap_config
        part = config.order_amount_quote
        lots = self._lots_for(self._total_atoms / config.number_of_orders, mid)
        head = f"{config.number_of_orders} parts of {part:f} {self.market.quote} are too small for"
        if lots < instrument.min_lots:
            least = instrument.qty(instrument.min_lots)
            return f"{head} {self.market}: {instrument.qty(lots)} is below the least amount {least}"
        if self._is_placeable(lots, mid):
            return ""
        return f"{head} {self.market}: the least notional is {instrument.min_notional}"

    def _is_placeable(self, lots: int, mid: int) -> bool:
        """Whether an order of *lots* placed now reaches the least amount and notional."""
        instrument = self._instrument
        worth_twice = self._limit_twice(mid) * lots * instrument.atoms_per_tick_lot
        return lots >= instrument.min_lots and worth_twice >= 2 * instrument.min_notional_atoms

    def _limit_twice(self, mid: int) -> int:
        """Return the price of a slot's order in half ticks, on the grid in MAKER mode."""
        if self._twap_config.mode is TWAPMode.TAKER:
            return mid
        numerator, denominator = self._away
        if self.side is TradeType.BUY:
            return 2 * max(1, mid * numerator // (2 * denominator))
        return -2 * (-mid * numerator // (2 * denominator))

    def _on_start(self, now_ns: int) -> None:
        self._plan = self._new_plan(now_ns)
        quote = self._valid_quote()
        if quote is not None:
            self._check_start(now_ns, _mid(quote))

    def _check_start(self, now_ns: int, mid: int) -> None:
        """Check size and balance of the whole (5.2) at the first mid."""
        self._is_checked = True
        problem = self._size_problem(mid)
        if problem:
            self._give_up(now_ns, CloseType.FAILED, problem)
            return
        ticks = max(1, -(-self._limit_twice(mid) // 2))
        candidate = self._request(
            order_id="",
            role=ENTRY,
            side=self.side,
            order_type=self._twap_config.order_type,
            lots=self._lots_for(self._total_atoms, mid),
            limit_ticks=ticks,
        )
        if not self._strategy.is_affordable(candidate, ticks):
            total = self._twap_config.total_amount_quote
            problem = (
                f"the balance does not cover {self.side.name} for {total} {self.market.quote} of "
                f"{self.market}"
            )
            self._give_up(now_ns, CloseType.INSUFFICIENT_BALANCE, problem)

    def _run(self, now_ns: int) -> None:
        plan, quote = self._plan, self._valid_quote()
        if plan is None:
            return
        plan.close_done()
        self._note_staleness(is_stale=quote is None)
        if quote is not None and not plan.is_done:
            self._work_plan(now_ns, plan, _mid(quote))
        if plan.is_done and not self.is_done:
            self._begin_shutdown(now_ns, CloseType.COMPLETED)

    def _work_plan(self, now_ns: int, plan: SlotPlan, mid: int) -> None:
        if not self._is_checked:
            self._check_start(now_ns, mid)
            if self.is_done:
                return
        slots = plan.open_slots(now_ns)
        self._renew(now_ns, slots)
        for slot in slots:
            self._work(now_ns, plan, slot, mid)
        plan.close_done()

    def _renew(self, now_ns: int, slots: list[Slot]) -> None:
        """Cancel maker orders that have rested too long; they are placed again after it."""
        if self._renew_ns is None:
            return
        for slot in slots:
            order = slot.order
            if order is not None and order.is_live and order.placed_ns < now_ns - self._renew_ns:
                self._cancel(now_ns, order)

    def _work(self, now_ns: int, plan: SlotPlan, slot: Slot, mid: int) -> None:
        """Give *slot* the order that it needs, if it needs one and may have it."""
        if not (slot.is_empty or slot.rest_lots) or now_ns < slot.not_before_ns:
            return
        lots = slot.rest_lots or self._slot_lots(now_ns, plan, mid)
        if not self._is_placeable(lots, mid):
            slot.drop()
            amount = self._instrument.qty(lots)
            self._tell(now_ns, "warning", f"{slot.role}: {amount} is too small to be traded")
            return
        is_maker = self._twap_config.mode is TWAPMode.MAKER
        slot.rest_lots = 0
        slot.order = self._send(
            now_ns,
            role=slot.role,
            order_type=self._twap_config.order_type,
            lots=lots,
            limit_ticks=self._limit_twice(mid) // 2 if is_maker else None,
        )

    def _slot_lots(self, now_ns: int, plan: SlotPlan, mid: int) -> int:
        """Return the size of an empty slot: what is neither executed nor spoken for, shared."""
        k = self._instrument.atoms_per_tick_lot
        taken = 2 * self._totals.entry_atoms
        for slot in plan.open_slots(now_ns):
            taken += slot.rest_lots * mid * k
        for order in self._orders.live():
            limit = order.request.limit_ticks
            taken += order.pending_lots * k * (mid if limit is None else 2 * limit)
        total, scale = self._total_atoms.as_integer_ratio()
        lots: int = (2 * total - taken * scale) // (scale * plan.empty_count * mid * k)
        return max(0, lots)

    def _on_executed(self, order: TrackedOrder) -> None:
        super()._on_executed(order)
        slot = None if self._plan is None else self._plan.of_order(order)
        if slot is not None:
            slot.take_late_fill()

    def _on_unfilled(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        slot = None if self._plan is None else self._plan.of_order(order)
        if slot is not None:
            slot.take_end()
        wait_ns = 0
        if order.is_failed:
            wait_ns = self._retry_wait_ns(self._count_retry(f"{order.order_id}: {reason}"))
        elif order.cancel_sent_ns is None:
            wait_ns = max(self._update_interval_ns, 1)
        if slot is not None:
            slot.not_before_ns = max(slot.not_before_ns, now_ns + wait_ns)

    def _next_at_ns(self) -> int | None:
        if self._plan is None or self._status is not RunnableStatus.RUNNING:
            return None
        return self._plan.next_due_ns

    def _wake_conditions(self, now_ns: int) -> WakeConditions:
        plan = self._plan
        if plan is None or self._status is not RunnableStatus.RUNNING:
            return self._wakes_after(now_ns, (), ())
        if self._valid_quote() is None:
            return self._wakes_after(now_ns, self._first_quote_triggers(), ())
        times = plan.waiting_ns()
        if self._renew_ns is not None:
            times += [order.placed_ns + self._renew_ns + 1 for order in self._orders.live()]
        return self._wakes_after(now_ns, (), times)


def _mid(quote: QuoteTick) -> int:
    """Return the mid in half ticks."""
    return quote.bid_ticks + quote.ask_ticks
