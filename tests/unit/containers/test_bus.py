"""EVT-2, EVT-7: dispatch order and isolation of a container's bus."""

from __future__ import annotations

import pytest

from engine.containers.bus import BusEvent, BusKind, EventBus, IsolationViolation
from engine.model.clock import SimulatedClock


@pytest.fixture
def bus() -> EventBus:
    return EventBus(container_id="paper_1", clock=SimulatedClock(5))


def test_events_are_handled_first_in_first_out_and_never_nested(bus: EventBus) -> None:
    seen: list[str] = []

    def on_timer(event: BusEvent) -> None:
        seen.append(f"timer {event.payload} begins")
        if event.payload == 1:
            bus.publish(BusKind.TIMER, 3)
        seen.append(f"timer {event.payload} ends")

    bus.subscribe(BusKind.TIMER, on_timer)
    bus.publish(BusKind.TIMER, 1)
    bus.publish(BusKind.TIMER, 2)
    bus.drain()

    assert seen == [f"timer {n} {w}" for n in (1, 2, 3) for w in ("begins", "ends")]


def test_handlers_run_by_priority_then_by_registration(bus: EventBus) -> None:
    seen: list[str] = []
    bus.subscribe(BusKind.TIMER, lambda _: seen.append("late"), priority=200)
    bus.subscribe(BusKind.TIMER, lambda _: seen.append("first"))
    bus.subscribe(BusKind.TIMER, lambda _: seen.append("second"))
    bus.publish(BusKind.TIMER, None)
    bus.drain()
    assert seen == ["first", "second", "late"]


def test_an_event_names_its_cause(bus: EventBus) -> None:
    effects: list[BusEvent] = []
    bus.subscribe(BusKind.TIMER, lambda _: effects.append(bus.publish(BusKind.LIFECYCLE, None)))
    cause = bus.publish(BusKind.TIMER, None)
    bus.drain()
    assert (cause.cause_seq, effects[0].cause_seq, effects[0].ts_ns) == (-1, cause.seq, 5)


def test_an_event_of_another_container_is_refused(bus: EventBus) -> None:
    other = EventBus(container_id="paper_2", clock=SimulatedClock())
    with pytest.raises(IsolationViolation, match="paper_2"):
        bus.relay(other.publish(BusKind.TIMER, None))


def test_cleared_bus_forgets_events_and_handlers(bus: EventBus) -> None:
    seen: list[object] = []
    bus.subscribe(BusKind.TIMER, seen.append)
    bus.publish(BusKind.TIMER, None)
    bus.clear()
    bus.drain()
    bus.publish(BusKind.TIMER, None)
    bus.drain()
    assert seen == []
    assert bus.events_published == 2
