from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from engine.backtest.metric_series import (
    Spell,
    drawdown_spells,
    drawdowns,
    equity_values,
    period_ends,
    periods_per_year,
    running_square_sum,
    running_sum,
    simple_returns,
    years_between,
)
from engine.backtest.metrics import (
    ANNUALISED,
    METRIC_NAMES,
    MetricInputs,
    Metrics,
    MetricSettings,
    compute_metrics,
)
from engine.backtest.trade_log import TRADE_DTYPE
from engine.backtest.trade_metrics import longest_run
from engine.model.bar_columns import DAY_NS, IntArray
from engine.model.calendar import SessionCalendar
from engine.model.clock import from_iso
from engine.model.run_tables import Table

ATOM = 10**8
HOUR_NS = DAY_NS // 24


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-12, abs=1e-15)


def atoms(*values: float) -> IntArray:
    return np.array([round(value * ATOM) for value in values], dtype=np.int64)


def days(count: int, start: str = "2024-01-01") -> IntArray:
    return from_iso(start) + np.arange(1, count + 1, dtype=np.int64) * DAY_NS


def inputs(*equity: float, **changes: Any) -> MetricInputs:
    values: dict[str, Any] = {
        "ts_close": days(len(equity)),
        "equity_atoms": atoms(*equity),
        "initial_atoms": 100 * ATOM,
    }
    return MetricInputs(**{**values, **changes})


def compute(*equity: float, settings: dict[str, Any] | None = None, **changes: Any) -> Metrics:
    chosen = MetricSettings(
        **{"annualise_short": True, "periods_per_year": 252, **(settings or {})}
    )
    return compute_metrics(inputs(*equity, **changes), chosen)


def trades(*rows: tuple[float, float], hold_ns: int = DAY_NS) -> Table:
    """Make trades of (net result, entry value)."""
    table = np.zeros(len(rows), dtype=TRADE_DTYPE)
    for index, (pnl, entry) in enumerate(rows):
        table["pnl_atoms"][index] = round(pnl * ATOM)
        table["entry_atoms"][index] = round(entry * ATOM)
        table["entry_ts"][index] = index * DAY_NS
        table["exit_ts"][index] = index * DAY_NS + hold_ns * (index + 1)
    return table


RETURNS = [0.1, -0.05, 0.02, -0.04]
EQUITY = [100.0]
for one in RETURNS:
    EQUITY.append(EQUITY[-1] * (1 + one))


def test_every_metric_of_the_table_is_there_and_json_has_no_nan() -> None:
    for metrics in (compute(*EQUITY), compute(), compute(100.0), compute(0.0, 0.0, 0.0)):
        assert tuple(metrics.values) == METRIC_NAMES
        for name, value in metrics.to_json().items():
            assert value is None or isinstance(value, str | int) or math.isfinite(value)
            assert (value is None) == (name in metrics.reasons)


def test_growth_by_hand() -> None:
    metrics = compute(
        100.0, 110.0, 121.0, ts_close=np.array([0, 0, 365.25 * DAY_NS], dtype=np.int64)
    )
    assert metrics["total_return"] == near(0.21)
    assert metrics["cagr"] == near(0.21)
    assert metrics.basis["years"] == 1.0


def test_returns_leave_out_the_first_sample_met_3() -> None:
    metrics = compute(*EQUITY)
    assert metrics.basis["returns"] == 4
    mean = sum(RETURNS) / 4
    deviation = math.sqrt(sum((one - mean) ** 2 for one in RETURNS) / 3)
    assert metrics["volatility"] == near(deviation * math.sqrt(252))
    assert metrics["sharpe"] == near(mean / deviation * math.sqrt(252))
    downside = math.sqrt((0.05**2 + 0.04**2) / 4)
    assert metrics["sortino"] == near(mean / downside * math.sqrt(252))


def test_geometric_forms_by_hand_met_1() -> None:
    metrics = compute(*EQUITY, settings={"risk_free": 0.02})
    growth = math.exp(sum(math.log(1 + one) for one in RETURNS) / 4) - 1
    annual = (1 + growth) ** 252 - 1
    mean = sum(RETURNS) / 4
    variance = sum((one - mean) ** 2 for one in RETURNS) / 3
    spread = math.sqrt((variance + (1 + growth) ** 2) ** 252 - (1 + growth) ** 504)
    downside = math.sqrt((0.05**2 + 0.04**2) / 4) * math.sqrt(252)
    assert metrics["ann_return"] == pytest.approx(annual, rel=1e-11)
    assert metrics["volatility_geo"] == pytest.approx(spread, rel=1e-9)
    assert metrics["sharpe_geo"] == pytest.approx((annual - 0.02) / spread, rel=1e-9)
    assert metrics["sortino_geo"] == pytest.approx((annual - 0.02) / downside, rel=1e-11)
    assert metrics["sharpe"] == near((mean - 0.02 / 252) / math.sqrt(variance) * math.sqrt(252))


def test_growth_is_zero_after_a_total_loss() -> None:
    metrics = compute(100.0, 0.0, 0.0)
    assert metrics["ann_return"] == 0.0
    assert metrics["cagr"] == -1.0
    assert metrics["total_return"] == -1.0
    assert metrics["max_drawdown"] == 1.0


def test_drawdowns_by_hand() -> None:
    curve = (100.0, 90.0, 95.0, 100.0, 110.0, 99.0, 110.0, 88.0)
    metrics = compute(*curve)
    assert metrics["max_drawdown"] == near(0.2)
    # Spells: 100 to 100 (10 %), 110 to 110 (10 %); the last one is one step long and left out.
    assert metrics["avg_drawdown"] == near(0.1)
    assert metrics["max_drawdown_duration"] == 3.0
    depths = [0, 0.1, 0.05, 0, 0, 0.1, 0, 0.2]
    assert metrics["ulcer"] == near(math.sqrt(sum(x * x for x in depths) / 8))
    assert metrics["calmar"] == near(float(metrics["ann_return"] or 0) / 0.2)


def test_a_drawdown_that_never_ends_lasts_to_the_end() -> None:
    metrics = compute(100.0, 120.0, 110.0, 119.0, 118.0)
    assert metrics["max_drawdown_duration"] == 3.0
    assert metrics["avg_drawdown"] == near(1 / 12)


def test_a_curve_that_only_rises_has_no_drawdown() -> None:
    metrics = compute(100.0, 101.0, 102.0)
    assert (metrics["max_drawdown"], metrics["max_drawdown_duration"]) == (0.0, 0.0)
    assert (metrics["avg_drawdown"], metrics["ulcer"]) == (0.0, 0.0)
    assert metrics.reasons["calmar"] == "NO_DRAWDOWN"
    assert metrics.reasons["sortino"] == metrics.reasons["sortino_geo"] == "NO_DOWNSIDE"


def test_a_curve_that_does_not_move_has_no_ratio() -> None:
    metrics = compute(100.0, 100.0, 100.0)
    assert metrics["volatility"] == 0.0
    assert metrics.reasons["sharpe"] == "ZERO_VARIANCE"
    assert metrics.reasons["psr"] == "ZERO_VARIANCE"


def test_spells_of_a_drawdown() -> None:
    depths = drawdowns(np.array([1.0, 0.5, 1.0, 0.9, 0.8]))
    assert drawdown_spells(depths) == [Spell(0, 2, True), Spell(2, 4, False)]
    assert drawdown_spells(np.zeros(3)) == []
    assert drawdowns(np.array([-1.0, -2.0])).tolist() == [0.0, 0.0]


def test_exposure_and_turnover_by_hand() -> None:
    year = np.array([0, 182.625 * DAY_NS, 365.25 * DAY_NS], dtype=np.int64)
    metrics = compute(
        100.0, 200.0, 300.0, ts_close=year, turnover_atoms=600 * ATOM, bars=8, exposed_bars=2
    )
    assert metrics["exposure"] == 0.25
    assert metrics["turnover"] == near(600 / 200 / 1)


def test_trades_by_hand() -> None:
    table = trades((10, 100), (-5, 100), (20, 100), (0, 100), (-5, 50), (-10, 100))
    metrics = compute(100.0, 101.0, trades=table)
    assert metrics["n_trades"] == 6
    assert metrics["win_rate"] == pytest.approx(2 / 6)
    assert metrics["profit_factor"] == near(30 / 20)
    assert metrics["profit_factor_pct"] == near(0.3 / 0.25)
    assert metrics["expectancy"] == near(10 / 6)
    assert metrics["expectancy_pct"] == near(0.05 / 6)
    assert metrics["payoff"] == near(15 / (20 / 3))
    deviation = float(np.std([10, -5, 20, 0, -5, -10], ddof=1))
    assert metrics["sqn"] == near(math.sqrt(6) * (10 / 6) / deviation)
    assert metrics["kelly"] == near(1 / 3 - (2 / 3) / 2.25)
    assert (metrics["best_trade"], metrics["worst_trade"]) == (0.2, -0.1)
    product = 1.1 * 0.95 * 1.2 * 1.0 * 0.9 * 0.9
    assert metrics["avg_trade"] == pytest.approx(product ** (1 / 6) - 1, rel=1e-10)
    assert (metrics["max_duration"], metrics["avg_duration"]) == (6.0, 3.5)
    assert (metrics["max_consecutive_wins"], metrics["max_consecutive_losses"]) == (1, 2)


def test_what_trades_cannot_give_has_its_reason() -> None:
    none = compute(100.0, 101.0)
    assert none["n_trades"] == none["max_consecutive_wins"] == 0
    assert none.reasons["win_rate"] == none.reasons["profit_factor"] == "NO_TRADES"
    won = compute(100.0, 101.0, trades=trades((1, 10), (2, 10)))
    assert won["win_rate"] == 1.0
    assert won.reasons["profit_factor"] == won.reasons["payoff"] == "NO_LOSSES"
    lost = compute(100.0, 101.0, trades=trades((-1, 10)))
    assert lost["profit_factor"] == 0.0
    assert lost.reasons["payoff"] == lost.reasons["kelly"] == "NO_WINS"
    assert lost.reasons["sqn"] == "TOO_FEW_TRADES"
    ruined = compute(100.0, 101.0, trades=trades((-20, 10), (5, 10)))
    assert ruined["avg_trade"] == 0.0


def test_runs_of_wins() -> None:
    assert longest_run(np.array([True, True, False, True])) == 2
    assert longest_run(np.zeros(0, dtype=np.bool_)) == 0


def test_alpha_and_beta_against_buy_and_hold_of_the_first_symbol() -> None:
    prices = np.array([50.0, 55.0, 52.0, 60.0, 57.0])
    stamps = days(5)
    same = compute(
        *(2 * prices), benchmark_ts=stamps, benchmark_close=prices, decision_ns=int(stamps[0])
    )
    assert same["beta"] == near(1.0)
    assert same["alpha"] == pytest.approx(0.0, abs=1e-12)
    late = compute(
        *(2 * prices), benchmark_ts=stamps, benchmark_close=prices, decision_ns=int(stamps[2])
    )
    held = 57 / 52 - 1
    assert late["alpha"] == near((114 / 100 - 1) - held)
    ours = np.diff(np.log(EQUITY))
    market = np.diff(np.log(prices))
    other = compute(*EQUITY, benchmark_ts=stamps, benchmark_close=prices)
    slope = np.cov(ours, market)[0, 1] / np.var(market, ddof=1)
    assert other["beta"] == pytest.approx(slope, rel=1e-10)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "NO_BENCHMARK"),
        ({"benchmark_ts": days(5), "benchmark_close": np.full(5, 7.0)}, "ZERO_VARIANCE"),
        ({"benchmark_ts": days(5), "benchmark_close": np.arange(-1.0, 4.0)}, "NOT_POSITIVE"),
        ({"benchmark_ts": days(5)[3:], "benchmark_close": np.full(2, 7.0)}, "TOO_FEW_RETURNS"),
    ],
)
def test_a_benchmark_that_says_nothing(changes: dict[str, Any], reason: str) -> None:
    metrics = compute(*EQUITY, **changes)
    assert metrics.reasons["beta"] == reason
    assert metrics["alpha"] is None


def test_value_at_risk_by_hand() -> None:
    steps = [-0.1, -0.05, 0.0, 0.05, 0.1]
    curve = np.cumprod([100.0, *(1 + step for step in steps)])
    metrics = compute(*curve)
    assert metrics["var_95"] == pytest.approx(-0.09, abs=1e-9)
    assert metrics["cvar_95"] == pytest.approx(-0.1, abs=1e-9)


def test_totals_are_money() -> None:
    metrics = compute(100.0, 101.0, fees_atoms=123, slippage_atoms=5 * ATOM, funding_atoms=-ATOM)
    assert metrics["fees_total"] == Decimal("0.00000123")
    assert metrics.to_json()["slippage_total"] == "5.00000000"
    assert metrics.to_json()["funding_total"] == "-1.00000000"


def test_short_samples_are_not_annualised_met_4() -> None:
    month = days(30)
    short = compute_metrics(inputs(*np.linspace(100, 110, 30), ts_close=month))
    for name in ANNUALISED:
        assert short[name] is None
        assert short.reasons[name] in ("SHORT_SAMPLE", "NO_DOWNSIDE", "NO_DRAWDOWN")
    assert short["total_return"] is not None
    assert short.reasons["sharpe"] == "SHORT_SAMPLE"
    longer = compute_metrics(inputs(*np.linspace(100, 110, 31), ts_close=days(31)))
    assert longer["sharpe"] is not None
    forced = compute_metrics(
        inputs(*np.linspace(100, 110, 30), ts_close=month), MetricSettings(annualise_short=True)
    )
    assert forced["sharpe"] is not None


def test_intraday_equity_is_taken_once_a_day() -> None:
    stamps = from_iso("2024-01-01") + np.arange(1, 73, dtype=np.int64) * HOUR_NS
    curve = np.arange(101.0, 173.0)
    metrics = compute(*curve, ts_close=stamps, bar_ns=HOUR_NS)
    assert metrics.basis["returns"] == 2
    expected = [148 / 124 - 1, 172 / 148 - 1]  # the ends of three days, 24:00 belongs to its day
    assert metrics["volatility"] == pytest.approx(
        float(np.std(expected, ddof=1)) * math.sqrt(252), rel=1e-9
    )


def test_period_ends() -> None:
    stamps = np.array([1, 24, 25, 48, 100], dtype=np.int64) * HOUR_NS
    assert period_ends(stamps, HOUR_NS).tolist() == [1, 3, 4]
    assert period_ends(stamps, 7 * DAY_NS).tolist() == [0, 1, 2, 3, 4]
    night = SessionCalendar("UTC", 22 * HOUR_NS, 22 * HOUR_NS)
    evening = np.array([21, 22, 23, 45, 47], dtype=np.int64) * HOUR_NS
    assert period_ends(evening, HOUR_NS, night).tolist() == [1, 3, 4]
    assert len(period_ends(stamps[:0], HOUR_NS)) == 0
    long = np.arange(1, 24 * 3_000 + 1, dtype=np.int64) * HOUR_NS
    assert period_ends(long, HOUR_NS).tolist() == list(range(23, len(long), 24))


@pytest.mark.parametrize(
    ("returns", "years", "bar_ns", "expected"),
    [
        (5030, 19.99, DAY_NS, 252),
        (311, 0.99, HOUR_NS, 312),
        (260, 1.0, DAY_NS, 260),
        (365, 1.0, HOUR_NS, 365),
        (52, 1.01, 7 * DAY_NS, 52),
        (300, 1.0, DAY_NS, 300),
        (48, 1.0, DAY_NS, 48),
        (2, 4.0, 30 * DAY_NS, 1),
        (20, 0.1, DAY_NS, 252),
        (20, 0.1, HOUR_NS, 252),
        (4, 0.1, 7 * DAY_NS, 52),
        (1, 0.1, 30 * DAY_NS, 12),
        (1, 0.1, 365 * DAY_NS, 1),
    ],
)
def test_periods_a_year_by_the_automatic_rule_met_2(
    returns: int, years: float, bar_ns: int, expected: int
) -> None:
    weekdays = np.array([0, 1, 4, 5, 6], dtype=np.int64)  # 1970-01-01 is a Thursday
    found = periods_per_year(returns, years, sample_days=weekdays, bar_ns=bar_ns)
    assert found == expected


def test_short_samples_with_weekends_have_365_periods() -> None:
    every_day = np.arange(21, dtype=np.int64)
    assert periods_per_year(20, 0.1, sample_days=every_day, bar_ns=DAY_NS) == 365


def test_periods_may_be_given_or_come_from_the_instrument() -> None:
    both = compute(*EQUITY, settings={"periods_per_year": 100, "sessions_per_year": 260})
    assert both.basis["periods_per_year"] == 100
    one = compute(*EQUITY, settings={"periods_per_year": None, "sessions_per_year": 260})
    assert one.basis["periods_per_year"] == 260


def test_too_few_samples_have_their_reasons() -> None:
    nothing = compute()
    assert nothing.reasons["total_return"] == nothing.reasons["max_drawdown"] == "NO_DATA"
    assert nothing.reasons["var_95"] == nothing.reasons["exposure"] == "NO_DATA"
    once = compute(100.0)
    assert once.reasons["cagr"] == once.reasons["turnover"] == "ZERO_TIME"
    twice = compute(100.0, 101.0)
    assert twice.reasons["volatility"] == twice.reasons["psr"] == "TOO_FEW_RETURNS"
    assert twice["var_95"] == pytest.approx(0.01)


def test_what_is_too_large_for_a_number_is_null() -> None:
    huge = compute(100.0, 1e9, 1e9, settings={"periods_per_year": 365})
    assert huge["ann_return"] is None
    assert huge.reasons["ann_return"] == huge.reasons["calmar"] == "NOT_FINITE"


def left_to_right(values: list[float]) -> float:
    """Return the sum as a loop makes it; Python's own `sum` compensates from 3.12 on."""
    total = 0.0
    for value in values:
        total += value
    return total


def test_series_helpers() -> None:
    assert running_sum(np.array([0.1] * 10)) == 0.9999999999999999
    assert running_sum(np.zeros(0)) == running_square_sum(np.zeros(0)) == 0.0
    long = np.random.default_rng(1).normal(size=70_000)
    assert running_sum(long) == left_to_right(long.tolist())
    assert running_square_sum(long) == left_to_right([one * one for one in long.tolist()])
    assert simple_returns(np.array([0.0, 5.0, 10.0])).tolist() == [0.0, 1.0]
    assert len(simple_returns(np.zeros(0))) == 0
    assert equity_values(np.array([150], dtype=np.int64), 2).tolist() == [1.5]
    assert years_between(np.zeros(0, dtype=np.int64)) == 0.0
