"""Metrics against other implementations, on the bundled real data.

The figures were computed once, outside of the tests, from the very same equity samples and trades:

- `backtesting.py` 0.6.6, ``backtesting._stats.compute_stats(trades, equity, ohlc, None)``;
- `empyrical-reloaded` 0.7.1 on daily returns (``pct_change`` of the last sample of each day);
- `quantstats` 0.0.86 on the results of the trades.

Each with Python 3.11 and numpy 2.4. They agree to a relative 1e-9 (the geometric volatility is a
difference of two powers near 1, so some digits are lost in both).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.backtest.metrics import Metrics, MetricSettings
from engine.backtest.results import BacktestResult
from engine.model.bar_columns import BarColumns

TOLERANCE = 1e-9
Example = tuple[BarColumns, BacktestResult]

BACKTESTING_DAILY = {
    "exposure": 0.6275094414629299,
    "total_return": 0.279585,
    "cagr": 0.012409915617930922,
    "ann_return": 0.012427889152319072,
    "volatility_geo": 0.07263075120378469,
    "sharpe_geo": 0.17111056882021441,
    "sortino_geo": 0.23479784553936098,
    "calmar": 0.05819136550418586,
    "alpha": 0.059583056299274836,
    "beta": 0.2112878882180728,
    "max_drawdown": 0.21356929923607137,
    "avg_drawdown": 0.017489964996936738,
    "max_drawdown_duration": 2919,
    "n_trades": 88,
    "win_rate": 0.42045454545454547,
    "best_trade": 0.15640032352815972,
    "worst_trade": -0.08638701122287266,
    "avg_trade": 0.005074615428671603,
    "profit_factor_pct": 1.4653952873969918,
    "expectancy_pct": 0.006014069801824504,
    "sqn": 0.9791173690470761,
    "kelly": 0.10448021907966182,
    "max_duration": 217,
}
EMPYRICAL_DAILY = {
    "ann_return": 0.012427889152346827,
    "volatility": 0.07165101599300641,
    "sharpe": 0.20828920774359574,
    "sortino": 0.28195893247815423,
    "var_95": -0.007483460568552347,
    "cvar_95": -0.01193912247482313,
}
QUANTSTATS_DAILY = {
    "profit_factor": 1.3306604694069435,
    "payoff": 1.8341536199933546,
    "max_consecutive_wins": 4,
    "max_consecutive_losses": 6,
}
BACKTESTING_HOURLY = {
    "total_return": 0.042185,
    "cagr": 0.04257668634933709,
    "max_drawdown": 0.015241092069130269,
    "avg_drawdown": 0.0019615965361308918,
    "max_drawdown_duration": 152.75,
    "n_trades": 107,
    "win_rate": 0.4485981308411215,
    "best_trade": 0.021658956507343813,
    "worst_trade": -0.007275557510744137,
    "avg_trade": 0.0006051995496088036,
    "profit_factor_pct": 1.4289309067293914,
    "expectancy_pct": 0.0006176887638875853,
    "sqn": 1.2232579379009323,
    "kelly": 0.13032867998483177,
    "max_duration": 6.125,
}
EMPYRICAL_HOURLY = {  # annualization=312
    "ann_return": 0.042323473933776334,
    "volatility": 0.0308692491726719,
    "sharpe": 1.3582965753989462,
    "sortino": 2.2788975437181405,
    "var_95": -0.002215348806194062,
    "cvar_95": -0.00341830055453287,
}
QUANTSTATS_HOURLY = {
    "profit_factor": 1.4094916418594001,
    "payoff": 1.732500143118846,
    "max_consecutive_wins": 4,
    "max_consecutive_losses": 6,
}
BACKTESTING_HOURLY_252 = {  # it always takes 252 periods where there are no full weekends
    "ann_return": 0.03404751611242185,
    "volatility_geo": 0.028688976264507657,
    "sharpe_geo": 1.1867804482986544,
    "sortino_geo": 2.0590485595741117,
    "calmar": 2.2339289046998565,
}


@pytest.mark.parametrize(
    "expected",
    [BACKTESTING_DAILY, EMPYRICAL_DAILY, QUANTSTATS_DAILY],
    ids=["backtesting.py", "empyrical", "quantstats"],
)
def test_twenty_years_by_the_day(daily_example: Example, expected: dict[str, float]) -> None:
    metrics = daily_example[1].metrics
    assert metrics.basis["periods_per_year"] == 252
    found = {name: metrics[name] for name in expected}
    assert found == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize(
    "expected",
    [BACKTESTING_HOURLY, EMPYRICAL_HOURLY, QUANTSTATS_HOURLY],
    ids=["backtesting.py", "empyrical", "quantstats"],
)
def test_a_year_by_the_hour(hourly_example: Example, expected: dict[str, float]) -> None:
    metrics = hourly_example[1].metrics
    assert metrics.basis["periods_per_year"] == 312  # Sunday evenings count (MET-2)
    found = {name: metrics[name] for name in expected}
    assert found == pytest.approx(expected, rel=TOLERANCE)


def test_geometric_forms_agree_when_the_periods_do_met_1(
    hourly_example: Example, recompute: Callable[[Example, MetricSettings], Metrics]
) -> None:
    metrics = recompute(hourly_example, MetricSettings(periods_per_year=252))
    found = {name: metrics[name] for name in BACKTESTING_HOURLY_252}
    assert found == pytest.approx(BACKTESTING_HOURLY_252, rel=TOLERANCE)


def test_the_automatic_periods_make_the_annual_return_agree_with_the_growth_met_2(
    hourly_example: Example, recompute: Callable[[Example, MetricSettings], Metrics]
) -> None:
    automatic = hourly_example[1].metrics
    assumed = recompute(hourly_example, MetricSettings(periods_per_year=252))
    growth = automatic["cagr"]
    assert automatic["ann_return"] == pytest.approx(growth, rel=0.01)
    assert assumed["ann_return"] != pytest.approx(growth, rel=0.15)
