from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from engine.backtest.result_view import SORT_KEYS, ResultView
from engine.backtest.results import BacktestResult
from engine.backtest.results_io import ResultFormatError, save_result
from engine.backtest.return_tables import MonthReturn, monthly_returns, return_histogram
from engine.backtest.sampling import bucket_edges, candles, min_max_buckets
from engine.model.bar_columns import BarColumns
from engine.model.clock import from_iso

Example = tuple[BarColumns, BacktestResult]


@pytest.fixture(scope="module")
def view(daily_example: Example, tmp_path_factory: pytest.TempPathFactory) -> ResultView:
    bars, result = daily_example
    folder = tmp_path_factory.mktemp("run")
    save_result(result, folder, bars=[bars])
    return ResultView(folder)


def test_curves_are_small_and_keep_their_extremes(view: ResultView, daily_example: Example) -> None:
    _, result = daily_example
    ts, values = view.equity(100)
    assert len(ts) == len(values) <= 202
    assert values.max() == result.equity_curve.max()
    assert values.min() == result.equity_curve.min()
    assert (ts[0], ts[-1]) == view.span_ns
    assert view.drawdown(50)[1].max() == result.metrics["max_drawdown"]


def test_a_part_of_the_time_is_shown_in_detail(view: ResultView) -> None:
    start, end = from_iso("2008-01-01"), from_iso("2009-01-01")
    ts, _ = view.equity(1000, from_ns=start, to_ns=end)
    assert len(ts) == 254
    assert start <= ts[0] <= ts[-1] <= end


def test_bars_are_joined_for_the_screen(view: ResultView, daily_example: Example) -> None:
    bars, _ = daily_example
    assert view.has_prices()
    whole = view.price(80)
    assert len(whole) == 80
    assert whole.high.max() == bars.high.max() * 0.01
    assert whole.low.min() == bars.low.min() * 0.01
    assert whole.open[0] == bars.open[0] * 0.01
    part = view.price(400, from_ns=from_iso("2008-01-01"), to_ns=from_iso("2008-02-01"))
    assert len(part) == 22
    assert int(bars.ts_open[part.first_bar[0]]) == part.ts_open[0]


def test_prices_that_were_not_kept(daily_example: Example, tmp_path: Path) -> None:
    save_result(daily_example[1], tmp_path)
    bare = ResultView(tmp_path)
    assert not bare.has_prices()
    with pytest.raises(ResultFormatError, match="run the backtest again"):
        bare.price(10)


@pytest.mark.parametrize("sort", ["number", "return", *SORT_KEYS])
@pytest.mark.parametrize("descending", [False, True])
def test_trades_come_sorted_and_in_windows(
    view: ResultView, *, sort: str, descending: bool
) -> None:
    everything = view.trades(0, 1000, sort=sort, descending=descending)
    assert len(everything) == view.trade_count == 88
    assert sorted(row.number for row in everything) == list(range(88))
    window = view.trades(20, 10, sort=sort, descending=descending)
    assert window == everything[20:30]
    assert view.place_of(window[0].number, sort=sort, descending=descending) == 20
    returns = [row.return_pct for row in everything]
    if sort == "return":
        assert returns == sorted(returns, reverse=descending)


def test_a_trade_row_is_exact(view: ResultView, daily_example: Example) -> None:
    bars, result = daily_example
    row = view.trades(0, 1)[0]
    assert (row.symbol, row.side, row.qty) == ("SP500", 1, Decimal(50))
    assert row.pnl == result.money(int(result.trades["pnl_atoms"][0]))
    assert row.entry_price == pytest.approx(float(bars.open[row.entry_bar]) / 100)
    assert row.mae <= 0 <= row.mfe
    assert row.exit_reason == "SIGNAL"


def test_an_unknown_column_is_told(view: ResultView) -> None:
    with pytest.raises(ValueError, match="'colour' is no column of trades, use number"):
        view.trades(0, 1, sort="colour")


def test_trades_of_a_stretch_are_thinned_evenly(view: ResultView) -> None:
    start, end = view.span_ns
    assert len(view.trades_between(start, end)) == 88
    few = view.trades_between(start, end, most=10)
    assert (few[0].number, few[-1].number) == (0, 87)
    assert len(few) == 10


def test_metrics_months_and_distribution(view: ResultView, daily_example: Example) -> None:
    _, result = daily_example
    assert view.metrics == result.metrics.to_json()
    months = view.months
    assert len(months) == 240
    product = float(np.prod([1 + one.value for one in months]))
    assert product == pytest.approx(1 + float(result.metrics["total_return"] or 0), rel=1e-12)
    assert view.distribution(31).counts.sum() == 5030


def test_months_start_from_the_initial_equity() -> None:
    ts = np.array(
        [from_iso(day) for day in ("2024-01-15", "2024-02-01", "2024-02-02", "2024-04-01")]
    )
    found = monthly_returns(ts, np.array([110.0, 121.0, 60.5, 121.0]), 100.0)
    # Midnight of 1 February belongs to January.
    assert [(one.year, one.month) for one in found] == [(2024, 1), (2024, 2), (2024, 3)]
    assert [one.value for one in found] == pytest.approx([0.21, -0.5, 1.0])
    assert monthly_returns(ts[:0], np.zeros(0), 100.0) == []
    assert monthly_returns(ts[:1], np.array([5.0]), 0.0) == [MonthReturn(2024, 1, 0.0)]


def test_histograms_count_everything_once() -> None:
    values = np.random.default_rng(1).normal(size=1000)
    found = return_histogram(values, 11)
    assert (len(found.edges), found.counts.sum()) == (12, 1000)
    assert return_histogram(np.full(5, 0.1)).counts.sum() == 5
    assert len(return_histogram(np.zeros(0)).counts) == 0


def test_buckets_are_of_nearly_equal_length() -> None:
    assert bucket_edges(10, 3).tolist() == [0, 3, 6]
    assert bucket_edges(2, 5).tolist() == [0, 1]
    ts = np.arange(9, dtype=np.int64)
    assert min_max_buckets(ts, np.zeros(9), 5)[0].tolist() == ts.tolist()
    values = np.array([0, 5, 1, 1, -4, 1, 2, 2, 2, 2], dtype=np.float64)
    assert min_max_buckets(np.arange(10), values, 2)[0].tolist() == [0, 1, 4, 5, 6, 9]


def test_no_bars_make_no_candles() -> None:
    none = np.zeros(0, dtype=np.int64)
    empty = np.zeros(0)
    assert len(candles(none, none, (empty, empty, empty, empty), 5)) == 0


def test_trades_are_filtered_by_words_and_numbers(view: ResultView) -> None:
    everything = view.trades(0, view.trade_count)
    wins = [row.number for row in everything if row.pnl > 0]
    where = (("pnl", ">", 0.0, False),)
    assert view.count_trades(where) == len(wins)
    assert [row.number for row in view.trades(0, 1000, where=where)] == wins
    assert view.count_trades((("pnl", ">", 0.0, True),)) == len(everything) - len(wins)
    symbol = view.instruments[0].symbol.casefold()
    both = (("", ":", symbol, False), ("side", ":", "long", False), ("bars", ">=", 10.0, False))
    held = [row for row in everything if row.side > 0 and row.bars_held >= 10]
    best = sorted(held, key=lambda row: -row.pnl)
    shown = view.trades(0, 5, sort="pnl", descending=True, where=both)
    assert [row.pnl for row in shown] == [row.pnl for row in best[:5]]
    assert view.place_of(shown[2].number, sort="pnl", descending=True, where=both) == 2
    assert view.place_of(wins[0], where=(("number", "=", 0.0, False),)) is None
    assert view.count_trades((("why", ":", "nothing of the kind", False),)) == 0
    for field in ("number", "qty", "in", "out", "return", "bars", "pnl", "fees", "worst", "best"):
        assert 0 <= view.count_trades(((field, "<=", 0.0, False),)) <= view.trade_count
    with pytest.raises(ValueError, match="'colour' is no number of trades, use number, qty, in"):
        view.count_trades((("colour", "<", 1.0, False),))
    with pytest.raises(ValueError, match="'tag' is no text of trades, use symbol, side, why"):
        view.count_trades((("tag", ":", "x", False),))
