"""The life of an executor: what events do to it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping

from engine.executors.executor_state import ExecutorState
from engine.executors.held_order import HeldOrder
from engine.executors.info import ExecutorInfo
from engine.executors.order_queries import NO_QUERIES
from engine.executors.plain import JsonValue
from engine.executors.snapshot import ExecutorSnapshot
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.step import EMPTY_STEP, Step
from engine.executors.tracked_order import TrackedOrder
from engine.executors.wake_conditions import NEVER, WakeConditions
from engine.model.orders import Fill, Order, OrderQuery
from engine.model.quotes import QuoteTick


class UpdateRejectedError(ValueError):
    """A live update was refused; the executor's configuration is unchanged."""


class ExecutorBase(ExecutorState):
    """A trading executor: a synchronous state machine.

    Events go in through the public methods; each answers with the orders to send. ``wakes`` says
    which price or instant it waits for; it is valid until the next event. An executor never calls
    the outside except to ask ``strategy``; nothing here is safe to call from another thread except
    reading a ``snapshot()`` that was taken on the engine's.

    The built-in types have ``__slots__``; an own type may do without.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def executor_info(self) -> ExecutorInfo:
        """Return the report at the newest mark; it changes nothing."""

    @property
    def is_trading(self) -> bool:
        """Whether it runs with something filled, as its type defines it (5.5)."""
        return self.snapshot().is_trading

    @abstractmethod
    def snapshot(self) -> ExecutorSnapshot:
        """Return the immutable state; the same object until something but the mark changes."""

    def start(self, now_ns: int) -> Step:
        """Begin to work; any call but the first does nothing."""
        if self._status is not RunnableStatus.NOT_STARTED:
            return EMPTY_STEP
        self._set_status(RunnableStatus.RUNNING, now_ns)
        self._on_start(now_ns)
        return self._advance(now_ns)

    def on_quote(self, quote: QuoteTick) -> Step:
        """Look at the market again; *quote* is already the strategy's newest of its market."""
        del quote
        return self._advance(self._strategy.now_ns())

    def on_time(self, now_ns: int) -> Step:
        """Look at the clock and the market again."""
        return self._advance(now_ns)

    def on_order_update(self, order: Order) -> Step:
        """Take a new state of one of the executor's orders; foreign and old ones are ignored."""
        tracked = self._orders.find(order.request.client_order_id)
        if tracked is None:
            return EMPTY_STEP
        if self.is_done:  # what executes from now on is a late fill
            self._version += tracked.apply_status(order)
            return EMPTY_STEP
        was_live, figures = tracked.is_live, tracked.figures
        if not tracked.apply_order(order):
            return EMPTY_STEP
        if self._seldom is not None:
            self._seldom.queries.note_found(tracked.order_id)
        return self._take_order_event(tracked, was_live=was_live, figures=figures)

    def on_fill(self, fill: Fill) -> Step:
        """Take a fill of one of the executor's orders; foreign and repeated ones are ignored."""
        tracked = self._orders.find(fill.client_order_id)
        if tracked is None:
            return EMPTY_STEP
        was_live, figures = tracked.is_live, tracked.figures
        if not tracked.apply_fill(fill):
            return EMPTY_STEP
        if fill.fee_in is not None:
            self._keep_foreign_fee(tracked, fill)
        if self.is_done:
            if tracked.executed_lots > figures[0]:
                self._late += (HeldOrder.of_late_fill(fill),)
                text = f"late fill {fill.fill_id} goes to the position store"
                self._tell(fill.ts_ns, "error", text)
            return EMPTY_STEP
        return self._take_order_event(tracked, was_live=was_live, figures=figures)

    def early_stop(self, keep_position: bool | None = None) -> Step:  # noqa: FBT001 (named by the specification)
        """Stop: flatten, or keep what is filled as a position hold (9.2).

        None takes the configuration's own ``keep_position``, False if it has none. A shutdown that
        runs already is never relabelled.
        """
        now_ns = self._strategy.now_ns()
        if self._status is RunnableStatus.NOT_STARTED:
            self._end(now_ns, CloseType.EARLY_STOP)
        elif self._status is RunnableStatus.RUNNING:
            keep = keep_position
            if keep is None:
                keep = bool(getattr(self._config, "keep_position", False))
            self._begin_shutdown(now_ns, CloseType.POSITION_HOLD if keep else CloseType.EARLY_STOP)
        return self._advance(now_ns)

    def stop(self) -> Step:
        """Stop at once (9.5): cancel what is live, leave every fill to the position store."""
        now_ns = self._strategy.now_ns()
        if self.is_done:
            return EMPTY_STEP
        for order in self._orders.live():
            self._send_cancel(now_ns, order)
        held = self._hold_everything()
        self._close_type = None
        self._end(now_ns, CloseType.POSITION_HOLD if held else CloseType.FAILED)
        return self.take_step()

    def fail(self, reason: str) -> Step:
        """Give up after repeated errors in the executor itself (5.3)."""
        now_ns = self._strategy.now_ns()
        if not self.is_done:
            self._last_error = reason
            self._exhaust(now_ns)
        return self.take_step()

    def update_live(self, payload: object) -> Step:
        """Change the configuration while running, all of it or nothing (10.3).

        Raises:
            UpdateRejectedError: the type has no updates, or *payload* does not fit.
        """
        raise UpdateRejectedError(
            f"{self._config.type} {self.executor_id} takes no update, got {payload!r}"
        )

    def runtime_state(self) -> dict[str, JsonValue]:
        """Return the blob of 14.2: with the order and fill rows, all that ``restore`` needs."""
        return {
            "status": self._status.name,
            "close_type": None if self._close_type is None else self._close_type.name,
            "closed_ns": self._closed_ns,
            "closing_since_ns": self._closing_since_ns,
            "retries": self._retries,
            "error_count": self._error_count,
            "last_error": self._last_error,
            "is_handed_over": self._is_handed_over,
            "orders": {order.order_id: order.request.role for order in self._orders},
        }

    def restore(
        self, state: Mapping[str, JsonValue], orders: Iterable[Order], fills: Iterable[Fill]
    ) -> None:
        """Take up a stored life: the blob, and the executor's order and fill rows.

        Call it on a new executor instead of ``start``; ``on_time`` then lets it go on.

        Raises:
            ValueError: *state* is no such blob.
        """
        try:
            self._status = RunnableStatus[str(state["status"])]
            close_type = state["close_type"]
            self._close_type = None if close_type is None else CloseType[str(close_type)]
            self._closed_ns = _optional_int(state["closed_ns"])
            self._closing_since_ns = _optional_int(state["closing_since_ns"])
            self._retries = _optional_int(state["retries"]) or 0
            self._error_count = _optional_int(state["error_count"]) or 0
            self._last_error = str(state["last_error"])
            self._is_handed_over = bool(state["is_handed_over"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"executor {self.executor_id}: stored state misses {error}") from error
        for order in orders:
            tracked = TrackedOrder(order.request, order.created_ns)
            if order.is_cancel_requested:
                tracked.cancel_sent_ns = order.updated_ns
            self._orders.add(tracked)
            tracked.apply_order(order)
        for fill in fills:
            known = self._orders.find(fill.client_order_id)
            if known is not None and known.apply_fill(fill):
                self._keep_foreign_fee(known, fill)
        self._on_restored(state)
        self._tell(self._strategy.now_ns(), "info", "resumed from the store")

    @abstractmethod
    def _on_start(self, now_ns: int) -> None:
        """Run the checks of 5.2; the executor is RUNNING already."""

    @abstractmethod
    def _run(self, now_ns: int) -> None:
        """Do what is due while RUNNING."""

    @abstractmethod
    def _shut_down(self, now_ns: int) -> None:
        """Do what is due while SHUTTING_DOWN (9.3)."""

    @abstractmethod
    def _hand_over_and_end(self, now_ns: int) -> None:
        """Leave the exposure, if any, to the position store and terminate."""

    @abstractmethod
    def _on_executed(self, order: TrackedOrder) -> None:
        """Take account of new executed amounts of *order*."""

    @abstractmethod
    def _on_ended(self, now_ns: int, order: TrackedOrder) -> None:
        """Take account of *order*, which can no longer fill."""

    @abstractmethod
    def _on_restored(self, state: Mapping[str, JsonValue]) -> None:
        """Rebuild what derives from orders, fills and the type's own part of *state*."""

    def _advance(self, now_ns: int) -> Step:
        if self._seldom is not None:
            self._convert_fees()
        if self._status is RunnableStatus.RUNNING:
            self._run(now_ns)
        if self._status is RunnableStatus.SHUTTING_DOWN:
            self._shut_down(now_ns)
        if self._retries > self.max_retries:
            self._exhaust(now_ns)
        if self._status is RunnableStatus.TERMINATED:
            self._wakes = NEVER
            return self.take_step()
        wakes = self._wakes = self._wake_conditions(now_ns)
        if self._seldom is not None or self._status is RunnableStatus.SHUTTING_DOWN:
            again_ns = min(self._seldom_times(now_ns), default=None)
            if again_ns is not None and (wakes.at_ns is None or again_ns < wakes.at_ns):
                self._wakes = WakeConditions(wakes.prices, again_ns)
        return self.take_step()

    def _seldom_times(self, now_ns: int) -> list[int]:
        """Ask for silent orders; return when to look again at them and at fees without a rate."""
        times: list[int] = []
        if self._seldom is not None and self._seldom.foreign_fees.is_waiting:
            times.append(now_ns + max(self._update_interval_ns, 1))  # nothing tells of a new rate
        if self._status is not RunnableStatus.SHUTTING_DOWN:
            return times
        for order in self._orders.live():
            silent_ns = max(order.updated_ns, self._closing_since_ns or 0)
            queries = NO_QUERIES if self._seldom is None else self._seldom.queries
            due_ns = queries.due_ns(order, silent_ns)
            if now_ns >= due_ns:
                due_ns = self._seldom_used().queries.ask(order, now_ns)
                self._out += (OrderQuery(order.order_id, order.request.market, self.executor_id),)
            times.append(due_ns)
        return times

    def on_order_missing(self, order_id: str) -> Step:
        """Take note that the venue does not know an order; after a few times it is lost (6.4)."""
        tracked = self._orders.find(order_id)
        if tracked is None or not tracked.is_live or self.is_done:
            return EMPTY_STEP
        if not self._seldom_used().queries.is_lost(order_id):
            return EMPTY_STEP
        now_ns = self._strategy.now_ns()
        tracked.mark_lost(now_ns)
        text = f"{tracked.request.role} {order_id} is lost, {tracked.executed_lots} lots executed"
        self._tell(now_ns, "error", text)
        return self._take_order_event(tracked, was_live=True, figures=tracked.figures)

    def _take_order_event(
        self, tracked: TrackedOrder, *, was_live: bool, figures: tuple[int, int, int, int]
    ) -> Step:
        self._version += 1
        now_ns = self._strategy.now_ns()
        if tracked.figures != figures:
            self._on_executed(tracked)
        if was_live and not tracked.is_live:
            self._on_ended(now_ns, tracked)
        return self._advance(now_ns)

    def _exhaust(self, now_ns: int) -> None:
        """Give up (5.4): cancel what is live, then hand over what is open and end as FAILED."""
        if self.is_done:
            return
        if self._close_type is not CloseType.FAILED:
            self._close_type = CloseType.FAILED
            self._tell(now_ns, "error", f"gives up: {self._last_error or 'too many failures'}")
        for order in self._orders.live():
            self._cancel(now_ns, order)
        if not self._orders.live():
            self._hand_over_and_end(now_ns)
        elif self._status is RunnableStatus.RUNNING:
            self._set_status(RunnableStatus.SHUTTING_DOWN, now_ns)


def _optional_int(value: JsonValue) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise TypeError(f"a whole number, got {value!r}")
