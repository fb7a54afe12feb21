"""The event bus of one container."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final, TypeAlias

from engine import flow
from engine.execution.wrong_event import WrongEventKind
from engine.model.clock import Clock
from engine.model.instruments import ConnectorPair


@unique
class BusKind(Enum):
    """Kinds of bus events, in the order of the specification's table."""

    BAR = "BAR"
    QUOTE = "QUOTE"
    TRADE = "TRADE"
    SLICE = "SLICE"
    SIGNAL = "SIGNAL"
    ORDER = "ORDER"
    CANCEL = "CANCEL"
    REPLACE = "REPLACE"
    ORDER_UPDATE = "ORDER_UPDATE"
    FILL = "FILL"
    POSITION = "POSITION"
    EQUITY = "EQUITY"
    RISK_LIMIT = "RISK_LIMIT"
    DRAWDOWN = "DRAWDOWN"
    FUNDING = "FUNDING"
    CORPORATE_ACTION = "CORPORATE_ACTION"
    TIMER = "TIMER"
    LIFECYCLE = "LIFECYCLE"
    ERROR = "ERROR"
    HEALTH = "HEALTH"


@dataclass(frozen=True, slots=True)
class BusEvent:
    """An immutable fact inside one container.

    ``seq`` counts from 0 per container; ``cause_seq`` is the event that led to this one, -1 for
    an input from outside.
    """

    seq: int
    ts_ns: int
    kind: BusKind
    container_id: str
    market: ConnectorPair | None
    cause_seq: int
    payload: object

    @property
    def symbol(self) -> str:
        """Return the traded symbol, empty if the event is about none."""
        return "" if self.market is None else self.market.trading_pair


Handler: TypeAlias = Callable[[BusEvent], None]

_EXECUTION_SIDE: Final = frozenset({"broker", "order_manager", "order_desk"})
"""Components that must never see a SIGNAL."""


class IsolationViolation(flow.EngineError):
    """An event of one container reached the bus of another (EVT-7)."""

    default_retryable = False


class ComponentFailedError(flow.EngineError):
    """A handler raised (EVT-6); ``details`` hold container, seq, kind and component."""

    default_retryable = False


@dataclass(frozen=True, slots=True)
class ErrorPolicy:
    """What an error in a handler does: end the run, or be counted up to a bound (EVT-6)."""

    stop_on_error: bool = True
    max_errors: int = 100


class EventBus:
    """Single-threaded, run-to-completion, first in first out (EVT-2).

    Handlers of one event run by (priority, order of registration). What is published while an
    event is handled is queued behind it, never nested. Without *errors* what a handler raises
    goes through as it is.
    """

    def __init__(
        self, *, container_id: str, clock: Clock, errors: ErrorPolicy | None = None
    ) -> None:
        self._container_id = container_id
        self._clock = clock
        self._errors = errors
        self._handlers: dict[BusKind, list[tuple[int, int, Handler, str]]] = {}
        self._queue: deque[BusEvent] = deque()
        self._next_seq = 0
        self._registered = 0
        self._cause_seq = -1
        self.error_count = 0
        self.error_texts: list[str] = []
        self.is_draining = False

    @property
    def events_published(self) -> int:
        """Return how many events there were so far, heard or not."""
        return self._next_seq

    @property
    def subscription_count(self) -> int:
        """Return how many handlers listen."""
        return sum(len(handlers) for handlers in self._handlers.values())

    @property
    def is_idle(self) -> bool:
        """Whether nothing is queued."""
        return not self._queue

    def has_subscribers(self, kind: BusKind) -> bool:
        """Whether anybody hears events of *kind*."""
        return kind in self._handlers

    def subscribe(
        self, kind: BusKind, handler: Handler, *, priority: int = 100, component: str = ""
    ) -> None:
        """Call *handler* for every event of *kind*; lower priorities first.

        Raises:
            WrongEventKind: *component* is on the execution side and asks for SIGNAL (EVT-1).
        """
        if kind is BusKind.SIGNAL and component in _EXECUTION_SIDE:
            raise WrongEventKind(
                f"{component} of container {self._container_id} must not listen to SIGNAL; "
                "only the risk manager turns signals into orders"
            )
        entries = self._handlers.setdefault(kind, [])
        entries.append((priority, self._registered, handler, component or _name_of(handler)))
        entries.sort(key=lambda entry: entry[:2])
        self._registered += 1

    def unsubscribe(self, handler: Handler) -> None:
        """Call *handler* no more, whatever it listened to."""
        for kind in list(self._handlers):
            kept = [entry for entry in self._handlers[kind] if entry[2] != handler]
            if kept:
                self._handlers[kind] = kept
            else:
                del self._handlers[kind]

    def publish(
        self, kind: BusKind, payload: object, *, market: ConnectorPair | None = None
    ) -> BusEvent:
        """Queue a new event caused by the one that is being handled."""
        event = BusEvent(
            self._next_seq,
            self._clock.now_ns(),
            kind,
            self._container_id,
            market,
            self._cause_seq,
            payload,
        )
        self._next_seq += 1
        self._queue.append(event)
        return event

    def count(self, events: int = 1) -> int:
        """Number *events* that nobody hears, as if they had been published; return the last seq.

        The numbers of a run do not depend on who listens.
        """
        self._next_seq += events
        return self._next_seq - 1

    def tell(self, kind: BusKind, facts: Callable[[], object]) -> None:
        """Publish what *facts* returns if anybody hears *kind*, else only number the event."""
        if kind in self._handlers:
            self.publish(kind, facts())
        else:
            self._next_seq += 1

    def begin(self, cause_seq: int) -> None:
        """Let what is published next be caused by the event *cause_seq*; -1: from outside."""
        self._cause_seq = cause_seq

    def relay(self, event: BusEvent) -> None:
        """Queue an event that was made elsewhere.

        Raises:
            IsolationViolation: it belongs to another container.
        """
        if event.container_id != self._container_id:
            raise IsolationViolation(
                f"event {event.seq} of container {event.container_id} reached the bus of "
                f"{self._container_id}",
                details={"expected": self._container_id, "got": event.container_id},
            )
        self._queue.append(event)

    def drain(self) -> None:
        """Handle queued events until none is left.

        Raises:
            ComponentFailedError: a handler raised and the policy says stop.
        """
        queue = self._queue
        self.is_draining = True
        try:
            while queue:
                event = queue.popleft()
                self._cause_seq = event.seq
                for _, _, handler, component in self._handlers.get(event.kind, ()):
                    if self._errors is None:
                        handler(event)
                        continue
                    try:
                        handler(event)
                    except Exception as error:  # noqa: BLE001 (boundary: a component's code runs here)
                        self.record_error(
                            error, component=component, seq=event.seq, kind=event.kind
                        )
        finally:
            self.is_draining = False
        self._cause_seq = -1

    def record_error(
        self, error: BaseException, *, component: str, seq: int, kind: BusKind
    ) -> None:
        """Count what *component* raised while it handled event *seq* (EVT-6).

        Raises:
            ComponentFailedError: the policy says stop, or there were too many.
        """
        if isinstance(error, ComponentFailedError | IsolationViolation):
            raise error
        policy = self._errors or ErrorPolicy()
        self.error_count += 1
        text = (
            f"{component} of container {self._container_id} failed at event {seq} "
            f"({kind.value}): {type(error).__name__}: {error}"
        )
        if len(self.error_texts) < policy.max_errors:
            self.error_texts.append(text)
        if kind is not BusKind.ERROR:
            self._cause_seq = seq
            self.tell(
                BusKind.ERROR,
                lambda: {
                    "component": component,
                    "kind": kind.value,
                    "error": f"{type(error).__name__}: {error}",
                },
            )
        too_many = self.error_count > policy.max_errors
        if policy.stop_on_error or too_many:
            more = f"; that is error {self.error_count} of this run (max_errors)"
            raise ComponentFailedError(
                text + (more if too_many and not policy.stop_on_error else ""),
                details={
                    "container_id": self._container_id,
                    "seq": seq,
                    "kind": kind.value,
                    "component": component,
                },
                cause=error,
            ) from error

    def reset(self) -> None:
        """Start the numbers again; subscriptions stay."""
        self._queue.clear()
        self.is_draining = False
        self._next_seq = 0
        self._cause_seq = -1
        self.error_count = 0
        self.error_texts = []

    def clear(self) -> None:
        """Forget queued events and all subscriptions."""
        self._queue.clear()
        self._handlers.clear()


def _name_of(handler: Handler) -> str:
    owner = getattr(handler, "__self__", None)
    return type(owner).__name__ if owner is not None else getattr(handler, "__name__", "handler")
