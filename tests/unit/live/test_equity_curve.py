"""Equity over a whole session in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.live.equity_curve import CAPACITY, EquityCurve


def test_samples_that_are_too_fresh_are_not_taken() -> None:
    curve = EquityCurve(interval_ns=10)
    assert [curve.add(ts_ns, 1.0) for ts_ns in (0, 9, 10, 15, 30)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert [ts_ns for ts_ns, _ in curve.samples()] == [0, 10, 30]


def test_a_full_curve_keeps_every_second_sample_and_doubles_the_distance() -> None:
    curve = EquityCurve(interval_ns=1, capacity=4)
    for ts_ns in range(4):
        curve.add(ts_ns, float(ts_ns))
    assert curve.samples() == ((0, 0.0), (2, 2.0))
    assert not curve.add(3, 3.0)
    assert curve.add(4, 4.0)


@given(st.lists(st.integers(0, 50), max_size=300), st.integers(2, 20))
def test_a_curve_is_bounded_in_order_and_begins_at_the_beginning(
    steps: list[int], capacity: int
) -> None:
    curve = EquityCurve(interval_ns=3, capacity=capacity)
    now_ns = 0
    for step in steps:
        now_ns += step
        curve.add(now_ns, float(now_ns))
    stamps = [ts_ns for ts_ns, _ in curve.samples()]
    assert len(stamps) < max(2, capacity)
    assert stamps == sorted(set(stamps))
    assert not steps or stamps[0] == steps[0]


def test_weeks_of_seconds_fit() -> None:
    curve = EquityCurve(interval_ns=1)
    for ts_ns in range(200_000):
        curve.add(ts_ns, 0.0)
    assert CAPACITY // 2 - 1 <= len(curve.samples()) < CAPACITY
