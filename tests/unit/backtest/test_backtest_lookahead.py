"""LOOK-1 to LOOK-4: planted leaks are caught, clean strategies pass."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from engine.backtest.lookahead import check_request, poisoned
from engine.backtest.strategy_loading import type_of_class
from engine.containers.bus import ComponentFailedError
from engine.flow.errors import ConfigurationError
from engine.model.bar_columns import BarColumns
from engine.model.bar_view import AnyBar
from engine.strategies.indicators import IndicatorType, compute_indicator, cut_points
from engine.strategies.signal_table import SignalTable, signal_table
from engine.strategies.signals import Bracket, Signal, SignalKind
from engine.strategies.strategy import Strategy
from engine.testing.bar_market import bars_of, config_of, request_of, run_on, wave

ROWS = wave(120)


def normalised(bars: BarColumns, params: Mapping[str, Any]) -> Any:
    """Uses the mean of the whole column, as careless feature code does."""
    return bars.close - bars.close.mean()


def one_bar_early(bars: BarColumns, params: Mapping[str, Any]) -> Any:
    return np.append(bars.close[1:], bars.close[-1:])


class Leaks(Strategy):
    """Decides by an indicator that looks ahead."""

    compute = staticmethod(normalised)

    @property
    def indicators(self) -> Mapping[str, IndicatorType]:
        return {"leak": IndicatorType("leak", self.compute, lambda _: 1, is_trusted=True)}

    def on_start(self) -> None:
        self._leak = self.ctx.indicator("leak")

    def on_bar(self, bar: AnyBar) -> None:
        kind = SignalKind.DIRECTION if self._leak() > 0 else SignalKind.EXIT
        self.ctx.signal(Signal(bar.market, kind, Decimal(1)))


class LeaksOneBar(Leaks):
    compute = staticmethod(one_bar_early)

    def on_bar(self, bar: AnyBar) -> None:
        kind = SignalKind.DIRECTION if self._leak() > bar.close_ticks else SignalKind.EXIT
        self.ctx.signal(Signal(bar.market, kind, Decimal(1)))


class LeaksInFlags(Leaks):
    """The decision is clean; only the stop of its bracket knows tomorrow's price."""

    compute = staticmethod(one_bar_early)

    def on_bar(self, bar: AnyBar) -> None:
        tomorrow = Decimal(int(self._leak())) / 100
        self.ctx.signal(
            Signal(
                bar.market,
                SignalKind.DIRECTION,
                Decimal(1),
                bracket=Bracket(stop=tomorrow / 2),
                only_flat=True,
            )
        )


class LeaksInTable(Strategy):
    def signals(self, bars: BarColumns, *, start: int = 0) -> SignalTable:
        rises = np.flatnonzero(bars.close[1:] > bars.close[:-1])
        return signal_table({"bar": rises, "value": np.ones(len(rises))})


class Clean(Strategy):
    def on_start(self) -> None:
        self._mean = self.ctx.indicator("sma", length=5)
        self._smooth = self.ctx.indicator("ema", length=5)

    def on_bar(self, bar: AnyBar) -> None:
        mean = self._mean()
        if mean is not None and bar.close_ticks > mean:
            self.ctx.signal(Signal(bar.market, SignalKind.DIRECTION, Decimal(1)))


@pytest.mark.parametrize(
    ("cls", "failed"),
    [
        (Leaks, {("prefix", "signals"), ("poison", "signals"), ("prefix", "leak()")}),
        (LeaksOneBar, {("prefix", "signals"), ("poison", "signals"), ("prefix", "leak()")}),
        (LeaksInFlags, {("prefix", "signals"), ("poison", "signals"), ("prefix", "leak()")}),
        (
            LeaksInTable,
            {("prefix", "signals"), ("poison", "signals"), ("prefix", "signals() of mine")},
        ),
        (Clean, set()),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_planted_leaks_are_caught_and_clean_ones_pass(
    cls: type[Strategy], failed: set[tuple[str, str]]
) -> None:
    request = request_of(config_of("mine"), bars_of(ROWS), strategies={"mine": type_of_class(cls)})
    report = check_request(request)
    found = {(one.test, one.subject) for one in report.findings if not one.passed}
    assert found == failed
    assert report.passed is (not failed)
    assert report.to_json()["lookahead"] == ("failed" if failed else "passed")
    if failed:
        assert all(one.bar is not None for one in report.findings if not one.passed)


def test_features_after_the_cut_are_poisoned() -> None:
    closes = [row[3] for row in ROWS]
    bars = bars_of(ROWS, features={"joined": [float(one) for one in closes]})
    hurt = poisoned(bars, 50, seed=1)
    assert np.array_equal(hurt.close[:51], bars.close[:51])
    assert not np.array_equal(hurt.close[51:], bars.close[51:])
    assert np.isnan(hurt.features["joined"][51:]).all()
    assert (hurt.high >= np.maximum(hurt.open, hurt.close)).all()
    assert (hurt.low <= np.minimum(hurt.open, hurt.close)).all()
    assert np.array_equal(poisoned(bars, 50, seed=1).close, hurt.close)


def test_recursive_indicators_tell_how_much_they_remember() -> None:
    request = request_of(
        config_of("mine"), bars_of(ROWS), strategies={"mine": type_of_class(Clean)}
    )
    recursion = check_request(request).recursion
    assert recursion["sma(length=5)"] == {"50": 0.0, "100": 0.0}
    change = recursion["ema(length=5)"]["50"]
    assert change is not None
    assert 0 < change < 1e-3


def test_an_own_indicator_that_looks_ahead_is_refused_in_any_run() -> None:
    class Caught(Leaks):
        @property
        def indicators(self) -> Mapping[str, IndicatorType]:
            return {"leak": IndicatorType("leak", normalised, lambda _: 1)}

    with pytest.raises(ComponentFailedError, match="indicator leak looks ahead"):
        run_on(config_of("mine"), bars_of(ROWS), strategies={"mine": type_of_class(Caught)})


def test_a_result_with_a_failing_check_says_so() -> None:
    config = config_of("mine", check_lookahead=True)
    bad = run_on(config, bars_of(ROWS), strategies={"mine": type_of_class(Leaks)})
    good = run_on(config, bars_of(ROWS), strategies={"mine": type_of_class(Clean)})
    assert (bad.flags["lookahead"], good.flags["lookahead"]) == ("failed", "passed")
    late = run_on(config_of("sma_cross", broker={"fill_timing": "this_close"}), bars_of(ROWS))
    assert late.flags["optimistic"] == "same_close"


def test_cut_points_lie_inside_and_near_the_end() -> None:
    assert cut_points(1) == ()
    assert cut_points(100) == (20, 40, 60, 80, 98)
    assert max(cut_points(1_000_000)) == 999_998


def test_an_indicator_of_the_wrong_length_is_refused() -> None:
    kind = IndicatorType("short", lambda bars, _: bars.close[1:], lambda _: 1)
    with pytest.raises(ConfigurationError, match="one for each bar is needed"):
        compute_indicator(kind, bars_of(ROWS), {})
