"""Scheduling 7: factors, intervals, smoothing, back-off, jitter; tests 17, 18 and 19."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from engine.scheduling import AdaptiveScheduler, MarketCondition, SystemLoad
from engine.testing.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def scheduler(clock: ManualClock) -> AdaptiveScheduler:
    return AdaptiveScheduler(clock=clock, rng=random.Random(5))


def plain(scheduler: AdaptiveScheduler, base: float = 60) -> float:
    return scheduler.calculate_interval("a", "cycle", base)


def test_with_nothing_known_the_interval_is_its_base(scheduler: AdaptiveScheduler) -> None:
    assert plain(scheduler) == 60.0
    assert scheduler.explain("a", "cycle", 60).adjustment == 1.0
    assert scheduler.next_interval("b", "cycle", 60) != 60.0  # jitter
    assert plain(scheduler) == 60.0


def test_an_explicit_load_of_zero_gives_54(scheduler: AdaptiveScheduler) -> None:
    scheduler.update_system_load(SystemLoad())
    assert plain(scheduler) == pytest.approx(54.0)


def test_the_worked_example_gives_46_8(scheduler: AdaptiveScheduler) -> None:
    scheduler.update_execution_time("a", "cycle", 5.0)
    scheduler.update_timeout("a", "cycle")
    scheduler.update_market_condition(MarketCondition(volatility=0.8, trading_volume=0.8))
    scheduler.update_system_load(SystemLoad(cpu_usage=0.8, memory_usage=0.8))
    factors = scheduler.explain("a", "cycle", 60)
    assert factors.performance == pytest.approx(0.8)
    assert factors.market == pytest.approx(0.7)
    assert factors.system == pytest.approx(0.9)
    assert plain(scheduler) == pytest.approx(46.8)


@pytest.mark.parametrize(
    "give",
    [
        lambda s: s.update_market_condition(0.8, 0.8),
        lambda s: s.update_market_condition(volatility=0.8, trading_volume=0.8),
        lambda s: s.update_market_condition({"volatility": 0.8, "trading_volume": 0.8}),
        lambda s: s.update_market_condition(MarketCondition(0.8, 0.8)),
    ],
    ids=["positions", "names", "mapping", "object"],
)
def test_market_figures_come_in_any_form(scheduler: AdaptiveScheduler, give: Any) -> None:
    give(scheduler)
    assert scheduler.market_condition == MarketCondition(0.8, 0.8, 0.0, 0.5)


def test_full_cpu_and_memory_are_a_full_load(scheduler: AdaptiveScheduler) -> None:
    # What is not measured does not dilute it (pitfall 15).
    scheduler.update_system_load(SystemLoad(1.0, 1.0, None, None))
    assert scheduler.explain("a", "cycle", 60).system == 1.5


def test_nothing_measured_is_neutral(scheduler: AdaptiveScheduler) -> None:
    scheduler.update_system_load(dict.fromkeys(SystemLoad().to_dict()))
    assert scheduler.explain("a", "cycle", 60).system == 1.0
    scheduler.update_system_load(0.9, None, None, None)
    assert scheduler.system_load == SystemLoad(0.9, None, None, None)
    scheduler.update_system_load(cpu_usage=0.9)
    assert scheduler.system_load == SystemLoad(0.9, 0.0, 0.0, 0.0)


def test_market_figures_stop_counting_after_their_time(
    scheduler: AdaptiveScheduler, clock: ManualClock
) -> None:
    scheduler.update_market_condition(MarketCondition(1.0, 1.0))
    assert scheduler.explain("a", "cycle", 60).market == 0.5
    clock.block(300)
    assert scheduler.explain("a", "cycle", 60).market == 0.5
    clock.block(0.001)
    assert scheduler.explain("a", "cycle", 60).market == 1.0
    clock.step_wall(-3600)
    assert scheduler.explain("a", "cycle", 60).market == 1.0


def test_opportunity_is_reported_only(scheduler: AdaptiveScheduler) -> None:
    scheduler.update_market_condition(MarketCondition(0.5, 0.5, -0.8, 0.2))
    factors = scheduler.explain("a", "cycle", 60)
    assert factors.opportunity == pytest.approx((0.5 + 0.2 + 0.8) / 3)
    assert factors.adjustment == 1.0


@pytest.mark.parametrize(("failures", "factor"), [(1, 1.05), (5, 1.25), (20, 1.25)])
def test_an_agent_that_only_times_out_is_slowed_down(
    scheduler: AdaptiveScheduler, failures: int, factor: float
) -> None:
    for _ in range(failures):
        scheduler.update_timeout("a", "cycle")
    assert scheduler.explain("a", "cycle", 60).performance == pytest.approx(factor)


def test_timeouts_and_errors_add_up_to_no_reliability(scheduler: AdaptiveScheduler) -> None:
    for _ in range(10):
        scheduler.update_timeout("a", "cycle")
        scheduler.update_error("a", "cycle", "broken")
    factors = scheduler.explain("a", "cycle", 60)
    assert (factors.reliability, factors.performance) == (0.0, 1.5)


def test_run_times_are_the_mean_of_the_newest_ten(scheduler: AdaptiveScheduler) -> None:
    for _ in range(10):
        scheduler.update_execution_time("a", "cycle", 100.0)
    assert scheduler.explain("a", "cycle", 60).performance == 1.0
    for _ in range(10):
        scheduler.update_execution_time("a", "cycle", 0.0)
    assert scheduler.explain("a", "cycle", 60).performance == 0.5


def test_failures_decay_after_twenty_outcomes(scheduler: AdaptiveScheduler) -> None:
    for _ in range(4):
        scheduler.update_error("a", "cycle", "broken")
    for number in range(20):
        assert scheduler.reliability("a", "cycle") < 1.0, number
        scheduler.update_execution_time("a", "cycle", 1.0)
    assert scheduler.reliability("a", "cycle") == 1.0


@pytest.mark.parametrize(("base", "expected"), [(0.001, 1.0), (1.5, 1.5), (1e9, 3600.0)])
def test_intervals_are_clamped(scheduler: AdaptiveScheduler, base: float, expected: float) -> None:
    assert plain(scheduler, base) == expected
    assert 1.0 <= scheduler.next_interval("a", "cycle", base) <= 3600.0


@pytest.mark.parametrize("scale", [1e-300, 1.0, 7.0, 1e300])
def test_weights_are_normalised(clock: ManualClock, scale: float) -> None:
    weights = {"market_weight": 0.4, "performance_weight": 0.4, "system_weight": 0.2}
    scheduler = AdaptiveScheduler(
        {name: value * scale for name, value in weights.items()}, clock=clock
    )
    assert plain(scheduler) == pytest.approx(60.0)
    scheduler.update_system_load(SystemLoad())
    assert plain(scheduler) == pytest.approx(54.0)


@pytest.mark.parametrize("base", [0, -1, math.nan, math.inf, None, "60", True])
def test_a_base_that_is_no_positive_number_is_refused(
    scheduler: AdaptiveScheduler, base: Any
) -> None:
    for method in (scheduler.calculate_interval, scheduler.next_interval, scheduler.explain):
        with pytest.raises(ValueError, match="base interval"):
            method("a", "cycle", base)


def test_smoothing_mixes_in_the_newest_factor(clock: ManualClock) -> None:
    scheduler = AdaptiveScheduler({"jitter": 0, "smoothing": 0.3}, clock=clock)
    assert scheduler.next_interval("a", "cycle", 100) == pytest.approx(100)
    scheduler.update_system_load(SystemLoad())  # F = 0.9
    expected = 1.0
    for _ in range(5):
        expected = 0.3 * 0.9 + 0.7 * expected
        assert scheduler.next_interval("a", "cycle", 100) == pytest.approx(100 * expected)
    # calculate_interval has no memory, and the first call of another task takes F as it is.
    assert plain(scheduler, 100) == pytest.approx(90)
    assert scheduler.next_interval("b", "cycle", 100) == pytest.approx(90)


def test_smoothing_of_1_is_off(clock: ManualClock) -> None:
    scheduler = AdaptiveScheduler({"jitter": 0, "smoothing": 1}, clock=clock)
    scheduler.next_interval("a", "cycle", 100)
    scheduler.update_system_load(SystemLoad())
    assert scheduler.next_interval("a", "cycle", 100) == pytest.approx(90)


@pytest.mark.parametrize("kind", ["timeout", "error", "both"])
def test_failures_in_a_row_back_off_and_a_success_resets(clock: ManualClock, kind: str) -> None:
    scheduler = AdaptiveScheduler(
        {"jitter": 0, "performance_weight": 0, "max_interval": 1e6}, clock=clock
    )
    multipliers = []
    for number in range(7):
        if kind == "timeout" or (kind == "both" and number % 2):
            scheduler.update_timeout("a", "cycle")
        else:
            scheduler.update_error("a", "cycle", "broken")
        multipliers.append(scheduler.next_interval("a", "cycle", 100) / 100)
    assert multipliers == pytest.approx([1, 2, 4, 8, 16, 16, 16])
    scheduler.update_execution_time("a", "cycle", 1.0)
    assert scheduler.next_interval("a", "cycle", 100) == pytest.approx(100)
    scheduler.update_timeout("a", "cycle")
    assert scheduler.next_interval("a", "cycle", 100) == pytest.approx(100)


def test_before_any_failure_and_after_one_there_is_no_back_off(clock: ManualClock) -> None:
    scheduler = AdaptiveScheduler({"jitter": 0, "performance_weight": 0}, clock=clock)
    assert scheduler.explain("a", "cycle", 10).backoff == 1
    scheduler.update_timeout("a", "cycle")
    assert scheduler.explain("a", "cycle", 10).backoff == 1
    for _ in range(5000):
        scheduler.update_timeout("a", "cycle")
    assert scheduler.explain("a", "cycle", 10).backoff == 16


def test_jitter_stays_within_its_share_and_spreads(scheduler: AdaptiveScheduler) -> None:
    draws = [scheduler.next_interval("a", "cycle", 100) for _ in range(10_000)]
    assert 90 <= min(draws) < 91
    assert 109 < max(draws) <= 110
    assert sum(draws) / len(draws) == pytest.approx(100, abs=0.5)


def test_the_same_seed_gives_the_same_jitter(clock: ManualClock) -> None:
    series = []
    for _ in range(2):
        scheduler = AdaptiveScheduler(clock=clock, rng=random.Random(3))
        series.append([scheduler.next_interval("a", "cycle", 60) for _ in range(20)])
    assert series[0] == series[1]


def test_a_jittered_interval_is_clamped_again(clock: ManualClock) -> None:
    scheduler = AdaptiveScheduler(
        {"jitter": 0.5, "min_interval": 59, "max_interval": 61}, clock=clock, rng=random.Random(1)
    )
    draws = [scheduler.next_interval("a", "cycle", 60) for _ in range(1000)]
    assert (min(draws), max(draws)) == (59, 61)


def test_what_made_the_latest_interval_can_be_read(scheduler: AdaptiveScheduler) -> None:
    assert scheduler.last_factors("a", "cycle") is None
    interval = scheduler.next_interval("a", "cycle", 60)
    factors = scheduler.last_factors("a", "cycle")
    assert factors is not None
    assert factors.interval == interval
    assert factors.to_dict()["market"] == 1.0


def test_forgetting_an_agent_empties_its_metrics(scheduler: AdaptiveScheduler) -> None:
    scheduler.update_timeout("a", "cycle")
    scheduler.update_execution_time("a", "other", 1.0)
    scheduler.update_error("b", "cycle", "broken")
    assert scheduler.get_stats()["agents_tracked"] == 2
    scheduler.forget("a")
    scheduler.forget("a")
    assert scheduler.get_stats()["agents_tracked"] == 1
    assert scheduler.reliability("a", "cycle") == 1.0
    assert scheduler.reliability("b", "cycle") == 0.9


def test_reading_creates_no_entries(scheduler: AdaptiveScheduler) -> None:
    scheduler.explain("a", "cycle", 60)
    scheduler.last_factors("a", "cycle")
    scheduler.reliability("a", "cycle")
    plain(scheduler)
    assert scheduler.get_stats()["agents_tracked"] == 0


def test_values_out_of_range_are_clamped_and_counted(scheduler: AdaptiveScheduler) -> None:
    scheduler.update_market_condition(MarketCondition(1.5, -1, -3, 0.5))
    scheduler.update_system_load(SystemLoad(2.0, 0.5, None, -0.1))
    stats = scheduler.get_stats()
    assert stats["clamped_inputs"] == 5
    assert stats["market_condition"] == {
        "volatility": 1.0,
        "trading_volume": 0.0,
        "trend": -1.0,
        "liquidity": 0.5,
    }
    assert stats["system_load"] == {
        "cpu_usage": 1.0,
        "memory_usage": 0.5,
        "network_usage": None,
        "io_usage": 0.0,
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "0.5", True])
def test_what_is_no_finite_number_is_refused(scheduler: AdaptiveScheduler, value: Any) -> None:
    before = scheduler.get_stats()
    with pytest.raises(ValueError, match="volatility"):
        scheduler.update_market_condition(volatility=value)
    with pytest.raises(ValueError, match="cpu_usage"):
        scheduler.update_system_load(cpu_usage=value)
    with pytest.raises(ValueError, match="run time"):
        scheduler.update_execution_time("a", "cycle", value)
    assert scheduler.get_stats() == before


def test_a_negative_run_time_is_refused(scheduler: AdaptiveScheduler) -> None:
    with pytest.raises(ValueError, match="run time"):
        scheduler.update_execution_time("a", "cycle", -0.001)


def test_unknown_figures_are_refused(scheduler: AdaptiveScheduler) -> None:
    with pytest.raises(ValueError, match="there is no 'weather'"):
        scheduler.update_market_condition({"weather": 1.0})
    with pytest.raises(ValueError, match="not both"):
        scheduler.update_market_condition(MarketCondition(), 0.3)


def test_statistics_are_fresh_and_json(scheduler: AdaptiveScheduler) -> None:
    plain(scheduler)
    scheduler.next_interval("a", "cycle", 60)
    stats = scheduler.get_stats()
    assert stats["interval_adjustments"] == 2
    assert json.loads(json.dumps(stats)) == stats
    stats["market_condition"]["trend"] = 9
    assert scheduler.get_stats()["market_condition"]["trend"] == 0.0
