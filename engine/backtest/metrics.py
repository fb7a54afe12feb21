"""The metrics of a run: pure functions of equity, trades and totals.

Statistics are float64; sums run from left to right (see `metric_series`), so a streaming version
agrees to the bit where it adds the same values in the same order. Ratios of money are quotients of
exact integers. What cannot be computed is None with a reason, never NaN or infinity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from engine.backtest import metric_series as series
from engine.backtest.benchmark_prices import BenchmarkPrices
from engine.backtest.curve_facts import CurveFacts, curve_facts
from engine.backtest.overfitting import (
    deflated_sharpe,
    per_period_sharpe,
    probabilistic_sharpe,
    sample_deviation,
    sharpe_moments,
)
from engine.backtest.trade_log import TRADE_DTYPE
from engine.backtest.trade_metrics import trade_metrics
from engine.model.bar_columns import DAY_NS, FloatArray, IntArray, placed, release_pages
from engine.model.calendar import SessionCalendar
from engine.model.run_tables import Table

MetricValue: TypeAlias = float | int | Decimal | None

METRIC_NAMES: Final = (
    "total_return",
    "cagr",
    "ann_return",
    "volatility",
    "volatility_geo",
    "sharpe",
    "sharpe_geo",
    "sortino",
    "sortino_geo",
    "max_drawdown",
    "max_drawdown_duration",
    "avg_drawdown",
    "calmar",
    "ulcer",
    "exposure",
    "turnover",
    "n_trades",
    "win_rate",
    "profit_factor",
    "profit_factor_pct",
    "expectancy",
    "expectancy_pct",
    "payoff",
    "sqn",
    "kelly",
    "best_trade",
    "worst_trade",
    "avg_trade",
    "max_duration",
    "avg_duration",
    "max_consecutive_wins",
    "max_consecutive_losses",
    "alpha",
    "beta",
    "var_95",
    "cvar_95",
    "fees_total",
    "slippage_total",
    "funding_total",
    "psr",
    "dsr",
)
"""All metrics in the order of the table. Durations are in days; rates and drawdowns are fractions,
money is Decimal; `best_trade`, `worst_trade` and `avg_trade` are returns of trades."""

SHORT_SAMPLE: Final = "SHORT_SAMPLE"
NO_DATA: Final = "NO_DATA"
ZERO_VARIANCE: Final = "ZERO_VARIANCE"
ZERO_TIME: Final = "ZERO_TIME"
NOT_FINITE: Final = "NOT_FINITE"
ANNUALISED: Final = frozenset(
    {
        "cagr",
        "ann_return",
        "volatility",
        "volatility_geo",
        "sharpe",
        "sharpe_geo",
        "sortino",
        "sortino_geo",
        "calmar",
        "turnover",
    }
)
"""What needs 30 days of samples (MET-4)."""
_LEAST_YEARS: Final = 30 / 365.25


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RunFacts:
    """What a run leaves for its metrics beside its curve.

    ``turnover_atoms`` is the sum of the absolute notionals of all fills. ``exposed_bars`` counts
    bars with a position at any time. ``benchmark_ts`` and ``benchmark_close`` are the first
    symbol's bars as float64 prices; ``decision_ns`` is the end of the first decision bar.
    ``bar_ns`` is the nominal bar length. Of ``trades`` the columns ``pnl_atoms``, ``entry_atoms``,
    ``entry_ts`` and ``exit_ts`` are read.
    """

    initial_atoms: int
    money_precision: int = 8
    trades: Table = field(default_factory=lambda: np.zeros(0, dtype=TRADE_DTYPE))
    turnover_atoms: int = 0
    fees_atoms: int = 0
    slippage_atoms: int = 0
    funding_atoms: int = 0
    bars: int = 0
    exposed_bars: int = 0
    bar_ns: int = DAY_NS
    benchmark_ts: IntArray | None = None
    benchmark_close: FloatArray | BenchmarkPrices | None = None
    decision_ns: int | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MetricInputs(RunFacts):
    """The same with the equity samples, ``ts_close`` and ``equity_atoms``."""

    ts_close: IntArray
    equity_atoms: IntArray
    calendar: SessionCalendar | None = None


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """How metrics are annualised.

    ``risk_free`` is a rate a year. ``sr_trials`` are the Sharpe ratios per period of all trials of
    the search that found this run, for `dsr`.
    """

    risk_free: float = 0.0
    periods_per_year: int | None = None
    sessions_per_year: int | None = None
    annualise_short: bool = False
    sr_trials: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Metrics:
    """Values by name, None with a reason where undefined; and what they rest on.

    ``basis`` has `years`, `periods_per_year`, `returns` (their number) and `risk_free`.
    """

    values: Mapping[str, MetricValue]
    reasons: Mapping[str, str]
    basis: Mapping[str, float | int]

    def __post_init__(self) -> None:
        for name in ("values", "reasons", "basis"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __getitem__(self, name: str) -> MetricValue:
        return self.values[name]

    def to_json(self) -> dict[str, Any]:
        """Return the values for JSON: money as text, statistics as numbers, null if undefined."""
        return {
            name: f"{value:f}" if isinstance(value, Decimal) else value
            for name, value in self.values.items()
        }


class MetricDraft:
    """Collects values; what is not finite becomes None with a reason."""

    def __init__(self) -> None:
        self.values: dict[str, MetricValue] = {}
        self.reasons: dict[str, str] = {}

    def put(self, name: str, value: MetricValue, reason: str = NOT_FINITE) -> None:
        """Set *name* to *value*, or to None with *reason* when it is None."""
        if isinstance(value, float) and not math.isfinite(value):
            value, reason = None, NOT_FINITE
        self.values[name] = value
        self.reasons.pop(name, None)
        if value is None:
            self.reasons[name] = reason


def compute_metrics(inputs: MetricInputs, settings: MetricSettings | None = None) -> Metrics:
    """Return all metrics of `METRIC_NAMES`."""
    curve = curve_facts(
        inputs.ts_close,
        inputs.equity_atoms,
        money_precision=inputs.money_precision,
        bar_ns=inputs.bar_ns,
        calendar=inputs.calendar,
    )
    return metrics_of(curve, inputs, settings)


def metrics_of(curve: CurveFacts, run: RunFacts, settings: MetricSettings | None = None) -> Metrics:
    """Return all metrics of `METRIC_NAMES` from the facts of a curve, whoever found them."""
    settings = settings or MetricSettings()
    draft = MetricDraft()
    returns = series.simple_returns(curve.period_values)
    periods = _periods(curve, run, settings, len(returns))
    _put_growth(draft, curve, run)
    _put_returns(draft, returns, periods, settings.risk_free)
    _put_drawdowns(draft, curve)
    _put_benchmark(draft, curve, run, settings.risk_free)
    _put_tail(draft, returns)
    _put_luck(draft, returns, periods, settings)
    trade_metrics(draft, run.trades, run.money_precision)
    _put_totals(draft, curve, run)
    if curve.years < _LEAST_YEARS and not settings.annualise_short:
        for name in ANNUALISED:
            draft.put(name, None, draft.reasons.get(name, SHORT_SAMPLE))
    basis: dict[str, float | int] = {
        "years": curve.years,
        "periods_per_year": periods,
        "returns": len(returns),
        "risk_free": settings.risk_free,
    }
    return Metrics({name: draft.values[name] for name in METRIC_NAMES}, draft.reasons, basis)


def _periods(curve: CurveFacts, run: RunFacts, settings: MetricSettings, returns: int) -> int:
    given = settings.periods_per_year or settings.sessions_per_year
    if given:
        return given
    days = (curve.period_ns - 1) // DAY_NS
    return series.periods_per_year(returns, curve.years, sample_days=days, bar_ns=run.bar_ns)


def _put_growth(draft: MetricDraft, curve: CurveFacts, run: RunFacts) -> None:
    initial = float(run.initial_atoms) / float(10**run.money_precision)
    if not curve.samples or not initial:
        for name in ("total_return", "cagr"):
            draft.put(name, None, NO_DATA)
        return
    growth = curve.last / initial
    draft.put("total_return", growth - 1.0)
    if not curve.years:
        draft.put("cagr", None, ZERO_TIME)
    else:
        draft.put("cagr", -1.0 if growth <= 0 else _power(growth, 1.0 / curve.years) - 1.0)


def _power(base: float, exponent: float) -> float:
    """Return the power, infinity where it is too large."""
    try:
        return float(base**exponent)
    except OverflowError:
        return math.inf


def _put_returns(draft: MetricDraft, returns: FloatArray, periods: int, risk_free: float) -> None:
    count = len(returns)
    names = ("volatility", "volatility_geo", "sharpe", "sharpe_geo", "sortino", "sortino_geo")
    if not count:
        for name in ("ann_return", *names):
            draft.put(name, None, NO_DATA)
        return
    root = math.sqrt(periods)
    growth = geometric_mean(returns)
    annual = _power(1.0 + growth, periods) - 1.0
    draft.put("ann_return", annual)
    mean = series.running_sum(returns) / count
    excess = mean - risk_free / periods
    shortfall = np.minimum(returns - risk_free / periods, 0.0)
    downside = math.sqrt(series.running_square_sum(shortfall) / count)
    draft.put("sortino", excess / downside * root if downside else None, "NO_DOWNSIDE")
    losses = np.minimum(returns, 0.0)
    downside_geo = math.sqrt(series.running_square_sum(losses) / count) * root
    draft.put(
        "sortino_geo", (annual - risk_free) / downside_geo if downside_geo else None, "NO_DOWNSIDE"
    )
    deviation = sample_deviation(returns)
    if deviation is None:
        for name in ("volatility", "volatility_geo", "sharpe", "sharpe_geo"):
            draft.put(name, None, "TOO_FEW_RETURNS")
        return
    draft.put("volatility", deviation * root)
    draft.put("sharpe", excess / deviation * root if deviation else None, ZERO_VARIANCE)
    square = (1.0 + growth) ** 2
    variance = _power(deviation * deviation + square, periods) - _power(square, periods)
    spread = math.sqrt(variance) if variance > 0 else 0.0
    draft.put("volatility_geo", spread)
    draft.put("sharpe_geo", (annual - risk_free) / spread if spread else None, ZERO_VARIANCE)


def geometric_mean(returns: FloatArray) -> float:
    """Return ``exp(mean(ln(1 + r))) - 1``; 0 if any 1 + r is at or below 0."""
    growth = 1.0 + returns
    if not len(returns) or bool((growth <= 0.0).any()):
        return 0.0
    return math.exp(series.running_sum(np.log(growth)) / len(returns)) - 1.0


def _put_drawdowns(draft: MetricDraft, curve: CurveFacts) -> None:
    names = ("max_drawdown", "max_drawdown_duration", "avg_drawdown", "ulcer")
    if not curve.samples:
        for name in (*names, "calmar"):
            draft.put(name, None, NO_DATA)
        return
    draft.put("max_drawdown", curve.deepest)
    draft.put("max_drawdown_duration", curve.longest_ns / DAY_NS)
    draft.put("avg_drawdown", curve.depths / curve.spells if curve.spells else 0.0)
    draft.put("ulcer", math.sqrt(curve.square_depths / curve.samples))
    annual = draft.values["ann_return"]
    if annual is None:
        draft.put("calmar", None, draft.reasons["ann_return"])
    else:
        calmar = float(annual) / curve.deepest if curve.deepest else None
        draft.put("calmar", calmar, "NO_DRAWDOWN")


def _put_benchmark(draft: MetricDraft, curve: CurveFacts, run: RunFacts, risk_free: float) -> None:
    stamps, prices = run.benchmark_ts, run.benchmark_close
    if stamps is None or prices is None or not len(prices) or not curve.samples:
        draft.put("alpha", None, "NO_BENCHMARK")
        draft.put("beta", None, "NO_BENCHMARK")
        return
    place = placed(stamps, curve.period_ns, "right") - 1
    values, marks = curve.period_values[place >= 0], prices[place[place >= 0]]
    if len(values) < 3 or bool((values <= 0).any()) or bool((marks <= 0).any()):
        reason = "TOO_FEW_RETURNS" if len(values) < 3 else "NOT_POSITIVE"
        draft.put("alpha", None, reason)
        draft.put("beta", None, reason)
        return
    beta = _slope(np.diff(np.log(values)), np.diff(np.log(marks)))
    draft.put("beta", beta, ZERO_VARIANCE)
    first = 0 if run.decision_ns is None else int(np.searchsorted(stamps, run.decision_ns))
    last = int(np.searchsorted(stamps, curve.last_ns, side="right")) - 1
    total = draft.values["total_return"]
    if beta is None or total is None or not 0 <= first <= last:
        draft.put("alpha", None, ZERO_VARIANCE)
        return
    held = float(prices[last]) / float(prices[first]) - 1.0
    release_pages(stamps)
    draft.put("alpha", float(total) - risk_free - beta * (held - risk_free))


def _slope(values: FloatArray, market: FloatArray) -> float | None:
    """Return cov(values, market) / var(market); None where the market does not move."""
    count = len(market)
    away = market - series.running_sum(market) / count
    variance = series.running_square_sum(away)
    if variance <= 0.0:
        return None
    return series.running_sum((values - series.running_sum(values) / count) * away) / variance


def _put_tail(draft: MetricDraft, returns: FloatArray) -> None:
    if not len(returns):
        draft.put("var_95", None, NO_DATA)
        draft.put("cvar_95", None, NO_DATA)
        return
    at_risk = percentile(np.sort(returns), 0.05)
    tail = returns[returns <= at_risk]
    draft.put("var_95", at_risk)
    # Interpolation may land a hair below the only value there is.
    draft.put("cvar_95", series.running_sum(tail) / len(tail) if len(tail) else at_risk)


def percentile(ordered: FloatArray, share: float) -> float:
    """Return the quantile *share* of *ordered* values, linear between two, as numpy has it."""
    place = share * (len(ordered) - 1)
    below = int(place)
    low, high = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
    part = place - below
    return high - (high - low) * (1.0 - part) if part >= 0.5 else low + (high - low) * part


def _put_luck(
    draft: MetricDraft, returns: FloatArray, periods: int, settings: MetricSettings
) -> None:
    sharpe = per_period_sharpe(returns, risk_free=settings.risk_free / periods)
    if sharpe is None:
        reason = ZERO_VARIANCE if len(returns) > 1 else "TOO_FEW_RETURNS"
        draft.put("psr", None, reason)
        draft.put("dsr", None, reason)
        return
    skew, kurtosis = sharpe_moments(returns)
    psr = probabilistic_sharpe(
        sharpe, benchmark=0.0, returns=len(returns), skew=skew, kurtosis=kurtosis
    )
    draft.put("psr", psr, ZERO_VARIANCE)
    draft.put("dsr", deflated_sharpe(returns, settings.sr_trials), "NO_TRIALS")


def _put_totals(draft: MetricDraft, curve: CurveFacts, run: RunFacts) -> None:
    draft.put("exposure", run.exposed_bars / run.bars if run.bars else None, NO_DATA)
    mean = curve.total / curve.samples if curve.samples else 0.0
    if not mean or not curve.years:
        draft.put("turnover", None, NO_DATA if not mean else ZERO_TIME)
    else:
        traded = float(run.turnover_atoms) / float(10**run.money_precision)
        draft.put("turnover", traded / mean / curve.years)
    for name, atoms in (
        ("fees_total", run.fees_atoms),
        ("slippage_total", run.slippage_atoms),
        ("funding_total", run.funding_atoms),
    ):
        draft.put(name, Decimal(atoms).scaleb(-run.money_precision))
