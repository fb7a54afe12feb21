"""The event bus of one container (backtest.md section 3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, unique
from typing import TypeAlias

from engine import flow
from engine.model.clock import Clock
from engine.model.instruments import ConnectorPair


@unique
class BusKind(Enum):
    """Kinds of bus events."""

    QUOTE = "QUOTE"
    BAR = "BAR"
    SIGNAL = "SIGNAL"
    ORDER = "ORDER"
    CANCEL = "CANCEL"
    ORDER_UPDATE = "ORDER_UPDATE"
    FILL = "FILL"
    RISK_LIMIT = "RISK_LIMIT"
    TIMER = "TIMER"
    LIFECYCLE = "LIFECYCLE"
    ERROR = "ERROR"


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


Handler: TypeAlias = Callable[[BusEvent], None]


class IsolationViolationError(flow.EngineError):
    """An event of one container reached the bus of another (EVT-7)."""


class EventBus:
    """Single-threaded, run-to-completion, first in first out (EVT-2).

    Handlers of one event run by (priority, order of registration). What is published while an
    event is handled is queued behind it, never nested.
    """

    def __init__(self, *, container_id: str, clock: Clock) -> None:
        self._container_id = container_id
        self._clock = clock
        self._handlers: dict[BusKind, list[tuple[int, int, Handler]]] = {}
        self._queue: deque[BusEvent] = deque()
        self._next_seq = 0
        self._registered = 0
        self._cause_seq = -1

    @property
    def events_published(self) -> int:
        """Return how many events have been published so far."""
        return self._next_seq

    def subscribe(self, kind: BusKind, handler: Handler, *, priority: int = 100) -> None:
        """Call *handler* for every event of *kind*; lower priorities first."""
        entries = self._handlers.setdefault(kind, [])
        entries.append((priority, self._registered, handler))
        entries.sort(key=lambda entry: entry[:2])
        self._registered += 1

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

    def relay(self, event: BusEvent) -> None:
        """Queue an event that was made elsewhere.

        Raises:
            IsolationViolationError: it belongs to another container.
        """
        if event.container_id != self._container_id:
            raise IsolationViolationError(
                f"event {event.seq} of container {event.container_id} reached the bus of "
                f"{self._container_id}",
                details={"expected": self._container_id, "got": event.container_id},
            )
        self._queue.append(event)

    def drain(self) -> None:
        """Handle queued events until none is left."""
        queue = self._queue
        while queue:
            event = queue.popleft()
            self._cause_seq = event.seq
            for _, _, handler in self._handlers.get(event.kind, ()):
                handler(event)
        self._cause_seq = -1

    def clear(self) -> None:
        """Forget queued events and all subscriptions."""
        self._queue.clear()
        self._handlers.clear()
