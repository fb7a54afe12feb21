"""Curves, comparisons and forms of the backtests screens."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.api.backtest_views import BacktestRow, BacktestStatus
from engine.backtest.control import Progress, RunControl
from engine.testing.fake_backtests import make_backtests
from tui.formatting.backtest_text import progress_line
from tui.state.backtest_form import change_fields, changed_name, command_values, split_changes
from tui.state.backtest_source import drawdown_text, progress_bar, state_span
from tui.state.backtest_text import metric_text, progress_lines
from tui.state.compare_text import best_of
from tui.state.plot import Canvas, Curve, Window, dot_columns, join_bounds
from tui.state.result_reader import relative
from tui.state.text import plain

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@settings(max_examples=60)
@given(values=VALUES, cells=st.integers(1, 30))
def test_every_extreme_is_drawn(values: list[float], cells: int) -> None:
    curve = Curve(range(len(values)), values)
    columns = dot_columns(curve, Window(0, max(1, len(values) - 1), cells), 2 * cells)
    assert min(low for low, _ in columns.values()) == pytest.approx(min(values))
    assert max(high for _, high in columns.values()) == pytest.approx(max(values))
    assert sorted(columns) == list(range(min(columns), max(columns) + 1))


@settings(max_examples=40)
@given(values=VALUES, cells=st.integers(1, 30), rows=st.integers(1, 8), cursor=st.integers(-3, 40))
def test_a_canvas_is_as_wide_as_it_was_made(
    values: list[float], cells: int, rows: int, cursor: int
) -> None:
    window = Window(0, max(1, len(values) - 1), cells)
    curve = Curve(range(len(values)), values)
    canvas = Canvas(cells, rows, join_bounds([curve.bounds]))
    canvas.draw(curve, window, "spark")
    canvas.mark(0, 0, "▲", "key")
    assert [len(plain(line)) for line in canvas.lines(cursor)] == [cells] * rows


@given(cell=st.integers(0, 199), span=st.integers(10_000, 10**18))
def test_a_cell_finds_itself_again(cell: int, span: int) -> None:
    window = Window(7, 7 + span, 200)
    assert window.cell_of(window.time_of(cell)) == cell


def test_gaps_stay_gaps_and_flat_ranges_have_room() -> None:
    curve = Curve((0, 1, 2, 3), (1.0, math.nan, 3.0, 3.0))
    columns = dot_columns(curve, Window(0, 3, 10), 20)
    assert 3 not in columns
    assert join_bounds([(5.0, 5.0)]) == (4.95, 5.05)
    assert join_bounds([None]) == (0.0, 1.0)
    assert Curve().value_at(3) is None
    assert curve.value_at(-5) == 1.0
    assert relative(Curve((0, 1), (100.0, 110.0))).values == pytest.approx([0.0, 0.1])


def test_the_best_is_marked_by_the_meaning_of_the_metric() -> None:
    assert best_of("sharpe", [0.1, 0.4, None]) == 1
    assert best_of("max_drawdown", [0.1, 0.4]) == 0
    assert best_of("n_trades", [1, 2]) is None
    assert best_of("sharpe", [0.4, 0.4]) is None
    assert best_of("final_equity", ["10.5", "9"]) == 0
    assert best_of("sharpe", [True, 0.2, 0.1]) == 1


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("sharpe", None, "--"),
        ("max_drawdown", 0.2087, "-20.87%"),
        ("win_rate", 0.42, "42.00%"),
        ("total_return", 0.3342, "+33.42%"),
        ("final_equity", "133426.25000000", "133,426.25"),
        ("max_drawdown_duration", 3981.0, "3,981"),
        ("engine", "events", "events"),
        ("n_trades", 88, "88"),
    ],
)
def test_metrics_for_people(name: str, value: object, text: str) -> None:
    assert metric_text(name, value) == text


def test_bars_of_progress_show_that_something_began() -> None:
    assert progress_bar(0.0, 4) == "▁▁▁▁"
    assert progress_bar(0.01, 4) == "▇▁▁▁"
    assert progress_bar(2.0, 4) == "▇▇▇▇"
    assert drawdown_text(None) == "--"


def test_changes_become_overrides() -> None:
    detail = next(one for one in make_backtests().values() if one.summary)
    names = [item.name for item in change_fields(detail)]
    assert names[:2] == ["components.strategy.params.fast", "components.strategy.params.slow"]
    typed = {"components.strategy.params.fast": "12", "overrides": "seed=7 'name=a b'"}
    values, errors = command_values(typed, samples={}, detail=detail)
    assert not errors
    assert values["overrides"] == ("components.strategy.params.fast=12", "seed=7", "name=a b")
    assert values["config"] == dict(detail.config)
    assert changed_name("sma fast=3", ("a.b.fast=12",)) == "sma fast=12"


def test_what_cannot_be_read_is_told() -> None:
    assert split_changes("seed=7 'x")[1].endswith("close the quote")
    assert "is no key=value" in split_changes("seed")[1]
    assert command_values({}, samples={}, detail=None)[1] == {"path": "Name a backtest file."}
    values, _ = command_values({"sample": "a", "path": " b.yaml "}, samples={"a": "x"}, detail=None)
    assert values["path"] == "b.yaml"


def test_workers_start_where_stderr_has_no_descriptor() -> None:
    program = (
        "import io, sys\n"
        "from multiprocessing import resource_tracker\n"
        "from engine.backtest.worker import start_resource_tracker\n"
        "class Shown(io.StringIO):\n"
        "    def fileno(self): return -1\n"
        "shown = sys.stderr = Shown()\n"
        "start_resource_tracker()\n"
        "assert sys.stderr is shown\n"
        "print(resource_tracker.getfd() > 2)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # noqa: PLW1510
    assert done.stdout.strip() == "True"


def test_a_run_that_compiles_says_so_instead_of_standing_at_zero() -> None:
    heard: list[Progress] = []
    control = RunControl(listener=heard.append)
    control.begin_compiling()
    assert [one.status for one in heard] == ["compiling"]
    assert progress_line(heard[0]).startswith("compiling kernels")
    control.report(bars_done=5, bars_total=10, now_ns=1, equity_atoms=2, fills=0)
    assert "50%" in progress_line(control.progress)


@pytest.mark.parametrize(
    ("phase", "done", "word", "line"),
    [
        ("", 0, "starting", "Reading the data"),
        ("compiling", 0, "compiling", "takes up to a minute"),
        ("collecting", 700, "reporting", "700 bars are done"),
    ],
)
def test_what_a_run_does_beside_its_bars_is_named(
    phase: str, done: int, word: str, line: str
) -> None:
    row = BacktestRow(
        "bt-1",
        "x",
        BacktestStatus.RUNNING,
        0,
        "x.yaml",
        bars_done=done,
        bars_total=900,
        phase=phase,
    )
    assert word in state_span(row)[0]
    assert line in plain(progress_lines(row, 80)[0])
