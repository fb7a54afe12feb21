"""How session time follows wall time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.live.clock import SystemClock
from engine.live.pace import END_OF_TIME_NS, Pace
from engine.model.clock import SECOND_NS
from engine.testing.manual_clock import ManualClock
from engine.testing.small_session import START_NS


def pace_of(speed: str | None) -> tuple[ManualClock, Pace]:
    clock = ManualClock(monotonic_ns=777)
    value = None if speed is None else Decimal(speed)
    return clock, Pace(clock=clock, start_ns=START_NS, speed=value)


@pytest.mark.parametrize(
    ("speed", "passed_ns"), [("1", SECOND_NS), ("3600", 3600 * SECOND_NS), ("0.1", SECOND_NS // 10)]
)
def test_session_time_follows_at_its_speed(speed: str, passed_ns: int) -> None:
    clock, pace = pace_of(speed)
    assert not pace.is_simulated
    assert pace.now_ns() == START_NS
    clock.advance(SECOND_NS)
    assert pace.now_ns() == START_NS + passed_ns


@pytest.mark.parametrize(("speed", "seconds"), [("1", 10.0), ("4", 2.5), ("0.5", 20.0)])
def test_how_long_to_wait(speed: str, seconds: float) -> None:
    clock, pace = pace_of(speed)
    due_ns = START_NS + 10 * SECOND_NS
    assert pace.seconds_until(due_ns) == seconds
    clock.advance(int(seconds * SECOND_NS))
    assert pace.seconds_until(due_ns) == 0
    clock.advance(SECOND_NS)
    assert pace.seconds_until(due_ns) == 0


def test_an_uneven_speed_does_not_drift() -> None:
    clock, pace = pace_of("0.3")
    for _ in range(1_000):
        clock.advance(SECOND_NS // 7)
    assert pace.now_ns() == START_NS + 1_000 * (SECOND_NS // 7) * 3 // 10


def test_on_the_simulated_clock_everything_is_due() -> None:
    _, pace = pace_of(None)
    assert pace.is_simulated
    assert pace.now_ns() == END_OF_TIME_NS
    assert pace.seconds_until(END_OF_TIME_NS) == 0.0


def test_the_system_clock_goes_forward() -> None:
    clock = SystemClock()
    assert clock.now_ns() > START_NS - 10**18
    assert clock.monotonic_ns() <= clock.monotonic_ns()
