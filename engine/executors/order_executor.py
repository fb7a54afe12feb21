"""The order executor: works one order until it is filled, chasing if asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Self

from engine.executors.accumulating import AccumulatingExecutor
from engine.executors.base import UpdateRejectedError
from engine.executors.config import ns_to_seconds
from engine.executors.custom_info import CustomInfo
from engine.executors.factory import ExecutorFactory
from engine.executors.order_config import (
    ExecutionStrategy,
    OrderExecutorConfig,
    OrderExecutorUpdate,
)
from engine.executors.order_roles import ENTRY
from engine.executors.plain import JsonValue
from engine.executors.settings import ExecutorSettings
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.step import Step
from engine.executors.strategy import ExecutorStrategy
from engine.executors.tracked_order import TrackedOrder
from engine.executors.wake_conditions import PriceField, PriceTrigger, WakeConditions
from engine.model.orders import OrderRequest, TradeType
from engine.model.quotes import QuoteTick


@dataclass(frozen=True, slots=True)
class OrderCustomInfo(CustomInfo):
    """What an order executor reports beyond the common fields. Prices in quote, times in s."""

    is_price_free: ClassVar[bool] = True

    level_id: str | None
    execution_strategy: ExecutionStrategy
    current_position_average_price: Decimal | None
    filled_amount_base: Decimal
    filled_amount_quote: Decimal
    remaining_amount: Decimal
    order_id: str | None
    order_price: Decimal | None
    order_last_update: float | None
    current_retries: int
    max_retries: int
    order_ids: tuple[str, ...]
    held_position_orders: tuple[Mapping[str, object], ...]
    stale_price: bool

    @classmethod
    def from_executor(cls, executor: OrderExecutor) -> Self:
        """Build the info of *executor*."""
        snapshot, totals = executor.snapshot(), executor.totals
        instrument, newest = snapshot.instrument, executor.newest_order
        limit_ticks = None if newest is None else newest.request.limit_ticks
        return cls(
            side=executor.side,
            level_id=executor.config.level_id,
            execution_strategy=executor.config.execution_strategy,
            current_position_average_price=executor.average_price,
            filled_amount_base=instrument.qty(totals.entry_lots),
            filled_amount_quote=instrument.money(totals.entry_atoms),
            remaining_amount=instrument.qty(max(0, executor.amount_lots - totals.entry_lots)),
            order_id=None if newest is None else newest.order_id,
            order_price=None if limit_ticks is None else instrument.price(limit_ticks),
            order_last_update=None if newest is None else ns_to_seconds(newest.updated_ns),
            current_retries=snapshot.retries,
            max_retries=snapshot.max_retries,
            order_ids=tuple(order.client_order_id for order in snapshot.orders),
            held_position_orders=tuple(
                held.to_dict(instrument) for held in executor.held_position_orders
            ),
            stale_price=snapshot.is_stale,
        )


@ExecutorFactory.register_executor(OrderExecutorConfig, OrderExecutorUpdate, OrderCustomInfo)
class OrderExecutor(AccumulatingExecutor):
    """Keeps one order working for what is not filled yet; replaces it only when it is gone."""

    __slots__ = (
        "_amount_lots",
        "_is_checked",
        "_leaving",
        "_not_before_ns",
        "_order_config",
        "_placing",
        "_working",
        "_working_price",
    )

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: OrderExecutorConfig,
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
        self._order_config = config
        self._amount_lots = self._instrument.floor_lots(config.amount)
        # An order goes to the touch times the first factor; it is left behind when the touch times
        # the second one has passed it. Numerators and denominators: a chaser asks at every quote.
        self._placing = self._leaving = (1, 1)
        if config.chaser_config is not None:
            sign, chaser = self.side.sign, config.chaser_config
            self._placing = (1 - sign * Fraction(chaser.distance)).as_integer_ratio()
            self._leaving = (1 - sign * Fraction(chaser.refresh_threshold)).as_integer_ratio()
        self._working: TrackedOrder | None = None
        self._working_price: Decimal | None = None
        self._not_before_ns = 0
        self._is_checked = False
        problem = self._size_problem(self._reference_ticks())
        if problem:
            self._give_up(strategy.now_ns(), CloseType.FAILED, problem)

    @property
    def config(self) -> OrderExecutorConfig:
        """Return the configuration in force."""
        return self._order_config

    @property
    def amount_lots(self) -> int:
        """Return the configured amount in lots, rounded down."""
        return self._amount_lots

    @property
    def newest_order(self) -> TrackedOrder | None:
        """Return the order that was placed last."""
        return self._working

    @property
    def average_price(self) -> Decimal | None:
        """Return the average price of the fills; None before the first."""
        return super().entry_price

    @property
    def entry_price(self) -> Decimal | None:
        """Return the average of the fills, or the price at which the order is to work."""
        average = self.average_price
        if average is not None:
            return average
        ticks = self._limit_ticks()
        return None if ticks is None else self._instrument.price(ticks)

    def update_live(self, payload: object) -> Step:
        """Change the limit price while running; the order is placed again once it is cancelled.

        Raises:
            UpdateRejectedError: not running, a foreign payload, or the result does not fit.
        """
        if self._status is not RunnableStatus.RUNNING:
            raise UpdateRejectedError(
                f"executor {self.executor_id} is {self._status.name}; only RUNNING ones change"
            )
        if not isinstance(payload, OrderExecutorUpdate) or not payload.validate():
            raise UpdateRejectedError(
                f"executor {self.executor_id}: the update must be a price, got {payload!r}"
            )
        try:
            config = payload.applied_to(self._order_config)
        except ValueError as error:
            raise UpdateRejectedError(f"executor {self.executor_id}: {error}") from error
        is_buy = self.side is TradeType.BUY
        ticks = self._instrument.passive_ticks(payload.price, is_buy=is_buy)
        if ticks < 1 or not self._instrument.is_tradable(self._amount_lots, ticks):
            raise UpdateRejectedError(
                f"executor {self.executor_id}: price {payload.price} makes the order too small "
                f"for {self.market}"
            )
        self._config = self._order_config = config
        now_ns = self._strategy.now_ns()
        self._tell(now_ns, "info", f"updated: price {payload.price}")
        return self._advance(now_ns)

    def runtime_state(self) -> dict[str, JsonValue]:
        """Return the blob of 14.2: with the order and fill rows, all that ``restore`` needs."""
        price = self._order_config.price
        placed = self._working_price
        return super().runtime_state() | {
            "price": None if price is None else str(price),
            "working_price": None if placed is None else str(placed),
            "is_checked": self._is_checked,
        }

    def _on_restored(self, state: Mapping[str, JsonValue]) -> None:
        super()._on_restored(state)
        price, placed = state.get("price"), state.get("working_price")
        if isinstance(price, str):
            config = self._order_config.model_copy(update={"price": Decimal(price)})
            self._config = self._order_config = config
        self._working_price = Decimal(placed) if isinstance(placed, str) else None
        self._is_checked = bool(state.get("is_checked"))
        self._working = self._entries[-1] if self._entries else None

    def _request(self, **fields: object) -> OrderRequest:
        request = super()._request(**fields)  # type: ignore[arg-type]  # the parent's own fields, passed through
        return replace(request, position_action=self._order_config.position_action)

    def _reference_ticks(self) -> int | None:
        """Return the price at which an order placed now would be valued; None if unknown."""
        quote = self._valid_quote()
        if self._order_config.execution_strategy is ExecutionStrategy.MARKET:
            if quote is None:
                return None
            return quote.ask_ticks if self.side is TradeType.BUY else quote.bid_ticks
        return self._limit_ticks()

    def _limit_ticks(self) -> int | None:
        """Return the limit of an order placed now; None at market or without a quote (7.8)."""
        strategy, quote = self._order_config.execution_strategy, self._valid_quote()
        price, is_buy = self._order_config.price, self.side is TradeType.BUY
        if strategy is ExecutionStrategy.LIMIT_CHASER:
            return None if quote is None else self._chasing_ticks(self._touch(quote))
        if not strategy.takes_price or price is None:
            return None
        ticks = self._instrument.passive_ticks(price, is_buy=is_buy)
        if strategy is ExecutionStrategy.LIMIT:
            return ticks
        if quote is None:
            return None
        return min(ticks, quote.bid_ticks) if is_buy else max(ticks, quote.ask_ticks)

    def _touch(self, quote: QuoteTick) -> int:
        """Return the best price on the executor's own side (2.2)."""
        return quote.bid_ticks if self.side is TradeType.BUY else quote.ask_ticks

    def _chasing_ticks(self, touch: int) -> int:
        numerator, denominator = self._placing
        if self.side is TradeType.BUY:
            return max(1, touch * numerator // denominator)
        return -(-touch * numerator // denominator)

    def _chase_edge(self, order_ticks: int) -> int | None:
        """Return the first touch that is too far from an order; None if there is none (7.8)."""
        numerator, denominator = self._leaving
        if self.side is TradeType.SELL:
            return -(-order_ticks * denominator // numerator) - 1
        if numerator <= 0:
            return None
        return order_ticks * denominator // numerator + 1

    def _size_problem(self, ticks: int | None) -> str:
        """Return why the amount can never be placed, or nothing."""
        instrument, lots, amount = self._instrument, self._amount_lots, self._order_config.amount
        if lots < instrument.min_lots:
            least = instrument.qty(instrument.min_lots)
            return f"amount {amount} is below the least amount {least} of {self.market}"
        if instrument.qty(lots) > instrument.max_qty:
            return f"amount {amount} is above the most {instrument.max_qty} of {self.market}"
        if ticks is not None and not instrument.is_tradable(lots, ticks):
            worth = instrument.money(instrument.notional_atoms(ticks, lots))
            return (
                f"amount {amount} at {instrument.price(ticks)} is worth {worth}, below the least "
                f"notional {instrument.min_notional} of {self.market}"
            )
        return ""

    def _on_start(self, now_ns: int) -> None:
        ticks = self._reference_ticks()
        if ticks is not None:
            self._check_start(now_ns, ticks)

    def _check_start(self, now_ns: int, ticks: int) -> None:
        """Check size and balance (5.2) at the price *ticks*."""
        self._is_checked = True
        problem = self._size_problem(ticks)
        if problem:
            self._give_up(now_ns, CloseType.FAILED, problem)
            return
        candidate = self._request(
            order_id="",
            role=ENTRY,
            side=self.side,
            order_type=self._order_config.execution_strategy.order_type,
            lots=self._amount_lots,
            limit_ticks=ticks,
        )
        if not self._strategy.is_affordable(candidate, ticks):
            problem = (
                f"the balance does not cover {self.side.name} {self._order_config.amount} "
                f"{self.market} at {self._instrument.price(ticks)}"
            )
            self._give_up(now_ns, CloseType.INSUFFICIENT_BALANCE, problem)

    def _run(self, now_ns: int) -> None:
        remaining = self._amount_lots - self._totals.entry_lots
        if remaining <= 0:
            self._begin_shutdown(now_ns, CloseType.POSITION_HOLD)
            return
        ticks = self._reference_ticks()
        self._note_staleness(is_stale=ticks is None)
        if ticks is None:
            return
        if not self._is_checked:
            self._check_start(now_ns, ticks)
            if self.is_done:
                return
        if self._working is not None and self._working.is_live:
            if self._is_outdated(self._working, remaining):
                self._cancel(now_ns, self._working)
        elif self._totals.entry_lots and not self._instrument.is_tradable(remaining, ticks):
            self._begin_shutdown(now_ns, CloseType.POSITION_HOLD)
        elif now_ns >= self._not_before_ns:
            self._place_remaining(now_ns, remaining)

    def _place_remaining(self, now_ns: int, remaining: int) -> None:
        self._working_price = self._order_config.price
        self._working = self._send(
            now_ns,
            role=ENTRY,
            order_type=self._order_config.execution_strategy.order_type,
            lots=remaining,
            limit_ticks=self._limit_ticks(),
        )

    def _is_outdated(self, order: TrackedOrder, remaining: int) -> bool:
        """Whether *order* must be placed again, with another price or a smaller amount."""
        if order.pending_lots > remaining or self._working_price != self._order_config.price:
            return True
        quote, limit_ticks = self._valid_quote(), order.request.limit_ticks
        is_chaser = self._order_config.execution_strategy is ExecutionStrategy.LIMIT_CHASER
        if not is_chaser or quote is None or limit_ticks is None:
            return False
        # The same price again would win nothing: it happens when the distance is above the
        # threshold, and would go on for ever.
        return self._is_left_behind(quote, limit_ticks) and (
            self._chasing_ticks(self._touch(quote)) != limit_ticks
        )

    def _is_left_behind(self, quote: QuoteTick, limit_ticks: int) -> bool:
        edge, touch = self._chase_edge(limit_ticks), self._touch(quote)
        if edge is None:
            return False
        return touch >= edge if self.side is TradeType.BUY else touch <= edge

    def _on_unfilled(self, now_ns: int, order: TrackedOrder, reason: str) -> None:
        if order.is_failed:
            count = self._count_retry(f"order {order.order_id}: {reason}")
            self._not_before_ns = now_ns + self._retry_wait_ns(count)
        elif order.cancel_sent_ns is None:
            self._not_before_ns = now_ns + max(self._update_interval_ns, 1)

    def _wake_conditions(self, now_ns: int) -> WakeConditions:
        if self._status is not RunnableStatus.RUNNING:
            return self._wakes_after(now_ns, (), ())
        if self._reference_ticks() is None:
            return self._wakes_after(now_ns, self._first_quote_triggers(), ())
        return self._wakes_after(now_ns, self._price_triggers(now_ns), (self._not_before_ns,))

    def _price_triggers(self, now_ns: int) -> tuple[PriceTrigger, ...]:
        """Return the prices at which a chaser moves, or at which what is left becomes dust."""
        order, quote = self._working, self._valid_quote()
        if order is None or quote is None:
            return ()
        if not order.is_live:
            # Only between a failure and the next attempt.
            return self._move_triggers(quote) if self._totals.entry_lots else ()
        is_chaser = self._order_config.execution_strategy is ExecutionStrategy.LIMIT_CHASER
        limit_ticks = order.request.limit_ticks
        edge = None if limit_ticks is None else self._chase_edge(limit_ticks)
        if not is_chaser or limit_ticks is None or edge is None:
            return ()
        if self._is_cancel_fresh(now_ns, order):
            return ()
        if self._is_left_behind(quote, limit_ticks):
            return self._move_triggers(quote)
        is_buy = self.side is TradeType.BUY
        watched = PriceField.BID if is_buy else PriceField.ASK
        return (PriceTrigger(self.market, watched, is_above=is_buy, level=edge),)

    def _move_triggers(self, quote: QuoteTick) -> tuple[PriceTrigger, ...]:
        """Return what wakes the executor at the next move of either side."""
        return tuple(
            PriceTrigger(self.market, watched, is_above=step > 0, level=ticks + step)
            for watched, ticks in (
                (PriceField.BID, quote.bid_ticks),
                (PriceField.ASK, quote.ask_ticks),
            )
            for step in (1, -1)
        )
