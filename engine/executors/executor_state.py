"""State that every executor has: status, orders, retries, timeline, effects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Final

from engine.executors.config import ExecutorConfigBase, ns_to_seconds
from engine.executors.held_order import HeldOrder
from engine.executors.plain import JsonValue, to_plain
from engine.executors.seldom import Seldom, SeldomUsed
from engine.executors.settings import ExecutorSettings
from engine.executors.snapshot import ExecutorSnapshot
from engine.executors.status import CloseType, RunnableStatus, check_transition
from engine.executors.step import (
    EMPTY_STEP,
    Intent,
    Level,
    Notice,
    StatusChange,
    Step,
    TimelineEntry,
)
from engine.executors.strategy import ExecutorStrategy, RateSource
from engine.executors.tracked_order import TrackedOrder, TrackedOrders
from engine.executors.wake_conditions import NEVER, WakeConditions
from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair
from engine.model.orders import CancelRequest, Fill, OrderRequest

TIMELINE_LENGTH: Final = 50
"""Entries of an executor's timeline that are kept."""
_STATUS_TEXTS: Final = {status: status.name.lower() for status in RunnableStatus}


class ExecutorState(ABC):
    """What an executor knows of itself, the one status setter, and its outgoing effects.

    Args:
        strategy: answers for time, quotes, instruments, budget and ids.
        config: with identity (id, timestamp) filled in.
        update_interval: seconds between two attempts of the same thing.
        max_retries: counted failures that are survived; None takes the type's default.
        settings: waiting times and position mode of the session.
    """

    __slots__ = (
        "_close_type",
        "_closed_ns",
        "_closing_since_ns",
        "_config",
        "_created_ns",
        "_is_handed_over",
        "_is_stale",
        "_notices",
        "_orders",
        "_out",
        "_retries",
        "_seldom",
        "_settings",
        "_snapshot",
        "_status",
        "_strategy",
        "_timeline",
        "_update_interval",
        "_version",
        "_wakes",
        "executor_id",
        "max_retries",
    )

    default_max_retries: ClassVar[int] = 10
    _seldom: SeldomUsed | None
    _error_count = Seldom("error_count", 0)
    _last_error = Seldom("last_error", "")
    _held = Seldom[tuple[HeldOrder, ...]]("held", ())
    _late = Seldom[tuple[HeldOrder, ...]]("late", ())

    def __init__(
        self,
        strategy: ExecutorStrategy,
        config: ExecutorConfigBase,
        update_interval: float = 0.5,
        max_retries: int | None = None,
        settings: ExecutorSettings | None = None,
    ) -> None:
        self._strategy = strategy
        self._config = config
        self._settings = settings or ExecutorSettings()
        self._update_interval = update_interval
        self.max_retries = self.default_max_retries if max_retries is None else max_retries
        self.executor_id = config.id
        self._created_ns = config.created_ns
        self._status = RunnableStatus.NOT_STARTED
        self._close_type: CloseType | None = None
        self._closed_ns: int | None = None
        self._closing_since_ns: int | None = None
        self._retries = 0
        self._seldom = None
        self._is_stale = False
        self._is_handed_over = False
        self._orders = TrackedOrders()
        # Tuples: an idle executor has nothing in most of them, and many executors are idle.
        self._timeline: tuple[TimelineEntry, ...] = ()
        self._notices: tuple[Notice, ...] = ()
        self._out: tuple[Intent, ...] = ()
        self._wakes: WakeConditions | None = NEVER
        self._version = 0
        self._snapshot: ExecutorSnapshot | None = None

    @property
    def _update_interval_ns(self) -> int:
        return int(self._update_interval * SECOND_NS)

    @property
    def config(self) -> ExecutorConfigBase:
        """Return the configuration in force."""
        return self._config

    @property
    def controller_id(self) -> str:
        """Return the controller that the executor belongs to."""
        return self._config.controller_id

    @property
    def status(self) -> RunnableStatus:
        """Return where the executor is in its life."""
        return self._status

    @property
    def close_type(self) -> CloseType | None:
        """Return why it closes or closed; None while it runs."""
        return self._close_type

    @property
    def is_active(self) -> bool:
        """Whether it is not terminated (DEV-06)."""
        return self._status is not RunnableStatus.TERMINATED

    @property
    def is_done(self) -> bool:
        """Whether it is terminated."""
        return self._status is RunnableStatus.TERMINATED

    @property
    def is_closed(self) -> bool:
        """Whether it is terminated; the other name of ``is_done`` (5.5)."""
        return self._status is RunnableStatus.TERMINATED

    @property
    def is_handed_over(self) -> bool:
        """Whether its fills belong to the position store, so that it counts 0 (8.2)."""
        return self._is_handed_over

    @property
    def retries(self) -> int:
        """Return the failures counted so far (5.4)."""
        return self._retries

    @property
    def version(self) -> int:
        """Return a number that grows whenever something other than the mark changes."""
        return self._version

    @property
    def durable_mark(self) -> Hashable:
        """Return something that differs whenever the stored row must be written at once.

        That is at a change of status, close type or retries, and at everything that is told:
        orders, fills, live updates. A trigger or level that moves may wait (14.2).
        """
        newest = self._timeline[-1] if self._timeline else None
        return self._status, self._close_type, self._retries, self._is_handed_over, newest

    @property
    def wakes(self) -> WakeConditions:
        """Return what wakes the executor next, besides its own order events."""
        if self._wakes is not None:
            return self._wakes
        return self._wake_conditions(self._strategy.now_ns()) if self.is_active else NEVER

    @property
    def held_position_orders(self) -> tuple[HeldOrder, ...]:
        """Return the fills that the executor leaves to the position store when it has ended."""
        return self._held

    @property
    def unconverted_fees(self) -> dict[str, Decimal]:
        """Return the fees that have no rate to the quote asset yet, by asset (DEV-22)."""
        return {} if self._seldom is None else self._seldom.foreign_fees.unconverted

    def open_lots(self, market: ConnectorPair) -> int:
        """Return the signed lots that it has open on *market*; a type that opens some says so."""
        del market
        return 0

    def note_error(self, error: str) -> int:
        """Count an error inside the executor and return how many there are."""
        self._error_count += 1
        self._last_error = error
        self._tell(self._strategy.now_ns(), "error", error)
        return self._error_count

    def take_step(self) -> Step:
        """Drain the intents that wait to be sent."""
        if not self._out:
            return EMPTY_STEP
        step = Step(self._out)
        self._out = ()
        return step

    @property
    def has_told(self) -> bool:
        """Whether there are notices to take."""
        return bool(self._notices)

    def take_notices(self) -> tuple[Notice, ...]:
        """Drain the notices."""
        notices, self._notices = self._notices, ()
        return notices

    def take_late_fills(self) -> tuple[HeldOrder, ...]:
        """Drain the fills that came after the end (6.4)."""
        if self._seldom is None:
            return ()
        late, self._late = self._late, ()
        return late

    def take_wakes(self) -> WakeConditions | None:
        """Return what wakes the executor next if it has looked since the last call, else None.

        Who takes the conditions keeps them: many idle executors need not hold them twice.
        """
        wakes, self._wakes = self._wakes, None
        return wakes

    def _set_status(self, wanted: RunnableStatus, now_ns: int) -> None:
        """Change the status: the only place that does (5.1)."""
        check_transition(self.executor_id, self._status, wanted)
        change = StatusChange(self._status, wanted, self._close_type)
        self._status = wanted
        if wanted is RunnableStatus.SHUTTING_DOWN:
            self._closing_since_ns = now_ns
        if wanted is RunnableStatus.TERMINATED:
            self._closed_ns = now_ns
        text = _STATUS_TEXTS[wanted]
        if self._close_type is not None:
            text = f"{text}: {self._close_type.name}"
        level: Level = "error" if self._close_type is CloseType.FAILED else "info"
        self._tell(now_ns, level, text, change)

    def _begin_shutdown(self, now_ns: int, close_type: CloseType) -> None:
        """Enter SHUTTING_DOWN; the first close type wins (9.1)."""
        if self._close_type is None:
            self._close_type = close_type
        self._set_status(RunnableStatus.SHUTTING_DOWN, now_ns)

    def _end(self, now_ns: int, close_type: CloseType) -> None:
        """Enter TERMINATED; *close_type* counts unless there is one already."""
        if self._close_type is None:
            self._close_type = close_type
        self._set_status(RunnableStatus.TERMINATED, now_ns)
        self._wakes = NEVER

    def _hold_everything(self) -> bool:
        """Leave every executed order to the position store; return whether there is one."""
        self._held = tuple(HeldOrder.of(order) for order in self._orders.executed())
        self._is_handed_over = bool(self._held)
        return self._is_handed_over

    @abstractmethod
    def _wake_conditions(self, now_ns: int) -> WakeConditions:
        """Return what to wait for while the executor is active."""

    def _seldom_used(self) -> SeldomUsed:
        if self._seldom is None:
            self._seldom = SeldomUsed()
        return self._seldom

    def _plain_foreign_fees(self) -> dict[str, JsonValue]:
        """Return what the custom info says of fees that are not converted; nothing mostly."""
        unconverted = self.unconverted_fees
        return {"unconverted_fees": to_plain(unconverted)} if unconverted else {}

    def _keep_foreign_fee(self, order: TrackedOrder, fill: Fill) -> None:
        """Keep a fee that was taken in another asset until it can be converted (2.5)."""
        if fill.fee_in is None:
            return
        self._seldom_used().foreign_fees.add(order, fill)
        self._convert_fees()
        asset, amount = fill.fee_in
        if asset in self.unconverted_fees:
            text = f"no rate from {asset} to {fill.market.quote}: a fee of {amount} {asset} waits"
            self._tell(fill.ts_ns, "warning", text)

    def _convert_fees(self) -> None:
        """Convert the fees in other assets, as far as there are rates now."""
        if self._seldom is None or not self._seldom.foreign_fees.is_waiting:
            return
        fees, strategy = self._seldom.foreign_fees, self._strategy
        rate_of = strategy.rate if isinstance(strategy, RateSource) else _no_rate
        for order in fees.convert(lambda one: strategy.instrument(one.request.market), rate_of):
            self._version += 1
            self._on_fee_changed(order)

    def _on_fee_changed(self, order: TrackedOrder) -> None:  # noqa: B027 (not every type keeps sums)
        """Take account of fees of *order* that could be converted only now."""

    def _count_retry(self, reason: str) -> int:
        self._retries += 1
        self._last_error = reason
        self._version += 1
        return self._retries

    def _retry_wait_ns(self, attempt: int) -> int:
        """Return the wait before retry *attempt*: never less than one update interval."""
        return max(self._settings.backoff_ns(attempt), self._update_interval_ns, 1)

    def _place(self, now_ns: int, request: OrderRequest) -> TrackedOrder:
        tracked = TrackedOrder(request, now_ns)
        self._orders.add(tracked)
        self._out += (request,)
        self._version += 1
        return tracked

    def _cancel(self, now_ns: int, order: TrackedOrder) -> None:
        """Ask for the cancel of *order*, again only after the shutdown poll time."""
        sent_ns = order.cancel_sent_ns
        if sent_ns is None or now_ns >= sent_ns + self._settings.shutdown_poll_ns:
            self._send_cancel(now_ns, order)

    def _send_cancel(self, now_ns: int, order: TrackedOrder) -> None:
        order.cancel_sent_ns = now_ns
        self._out += (CancelRequest(order.order_id, order.request.market, self.executor_id),)
        self._version += 1

    def _tell(
        self, ts_ns: int, level: Level, text: str, change: StatusChange | None = None
    ) -> None:
        """Put a line on the executor's timeline and in the session's log."""
        kept = self._timeline[1 - TIMELINE_LENGTH :]
        self._timeline = (*kept, TimelineEntry(ts_ns, level, text))
        self._notices += (Notice(ts_ns, level, self.executor_id, text, change),)
        self._version += 1

    def _log_error(self, text: str) -> None:
        """Put a line in the session's log only: a report must not change the executor."""
        now_ns = self._strategy.now_ns()
        self._notices += (Notice(now_ns, "error", self.executor_id, text),)

    def _close_seconds(self) -> float | None:
        return None if self._closed_ns is None else ns_to_seconds(self._closed_ns)


def _no_rate(source: str, target: str) -> Fraction | None:
    del source, target
    return None
