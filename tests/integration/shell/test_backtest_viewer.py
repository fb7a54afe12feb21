"""The viewer of a backtest: charts and trades are linked, every state says what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.testing.fake_backtests import make_backtests
from engine.testing.fake_console import FakeConsoleEngine
from engine.testing.fake_result import FakeResult
from tests.integration.shell.conftest import Console, OpenConsole
from tui.screens.backtest_detail import BacktestDetailScreen
from tui.settings import Settings
from tui.widgets.line_view import LineView
from tui.widgets.result_chart import ResultChart
from tui.widgets.trade_table import TradeTable

pytestmark = pytest.mark.anyio
DONE, PARTIAL, FAILED = 2, 6, 8


async def to_viewer(console: Console, place: int = DONE) -> BacktestDetailScreen:
    await console.press("7", *("j",) * place, "enter")
    await console.settle()
    viewer = console.app.screen
    assert isinstance(viewer, BacktestDetailScreen)
    return viewer


def chart(console: Console) -> ResultChart:
    return console.app.screen.query_one(ResultChart)


def trades(console: Console) -> TradeTable:
    return console.app.screen.query_one(TradeTable)


def page(console: Console) -> str:
    view = console.app.screen.query_one(LineView)
    return "\n".join("".join(text for text, _ in line) for line in view.lines)


def window(console: Console) -> tuple[int, int]:
    data = chart(console).data
    assert data is not None
    return data.from_ns, data.to_ns


async def test_the_chart_moves_the_table_and_the_table_moves_the_chart(
    open_console: OpenConsole,
) -> None:
    async with open_console(size=(80, 24)) as console:
        await to_viewer(console)
        assert "return ▲ +33.42%" in console.shown("#facts")
        assert console.app.focused is chart(console)
        assert trades(console).model.cursor_id == "87"
        before = chart(console).cursor_ns
        await console.press("left", "left", "h", "less_than_sign")
        assert chart(console).cursor_ns < before
        number = trades(console).model.cursor_id
        assert number is not None
        assert int(number) < 87
        assert f"trade {int(number) + 1}" in console.shown("#readout")
        await console.press("home")
        assert trades(console).model.cursor_id == "0"
        await console.press("tab", "j", "j")
        row = trades(console).model.current
        assert row is not None
        assert row.number == 2
        assert chart(console).cursor_ns == row.entry_ns
        await console.press("enter")
        await console.settle()
        assert console.app.focused is chart(console)
        from_ns, to_ns = window(console)
        assert from_ns < row.entry_ns < row.exit_ns < to_ns
        assert to_ns - from_ns < 4 * (row.exit_ns - row.entry_ns)
        await console.press("c")
        assert "▲" in console.shown("#chart").split("└")[0]
        await console.press("c")
        assert console.hint().strip().startswith("Chart: ")


async def test_zoom_fit_pan_and_walking_along_the_trades(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await to_viewer(console)
        whole = window(console)
        await console.press("g")
        await console.press("plus")
        await console.settle()
        half = window(console)
        assert half[1] - half[0] == (whole[1] - whole[0]) // 2
        await console.press("end")
        await console.press("right")
        await console.settle()
        assert window(console)[0] > half[0]
        await console.press("minus")
        await console.settle()
        assert window(console) == whole
        for _ in range(12):
            await console.press("plus")
            await console.settle()
        assert "single bars already" in console.hint()
        await console.press("right_parenthesis", "right_parenthesis", "left_parenthesis")
        await console.settle()
        row = trades(console).model.current
        assert row is not None
        assert chart(console).cursor_ns == row.entry_ns
        assert window(console)[0] <= row.entry_ns <= window(console)[1]
        await console.press("equals_sign")
        await console.settle()
        assert window(console) == whole


async def test_tabs_zoom_copies_and_sorting(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await to_viewer(console)
        wanted = ("Jan", "Daily return", "profit factor", "orders refused", "strategy.params.fast")
        for text in wanted:
            await console.press("right_square_bracket")
            assert text in page(console)
        await console.press("Y")
        assert "components.strategy.params.slow" in console.app.clipboard
        await console.press("y")
        assert console.app.clipboard == "bt-0000000000100-8"
        await console.press("right_square_bracket", "tab", "o", "p")
        rows = trades(console).model.rows
        assert [row.pnl for row in rows] == sorted((row.pnl for row in rows), reverse=True)
        height = trades(console).size.height
        await console.press("z")
        assert trades(console).size.height > height
        await console.press("escape")
        assert trades(console).size.height == height
        await console.press("shift+tab", "z")
        assert not trades(console).display
        await console.press("escape", "m")
        assert "m compares them" in console.hint()
        await console.press("d")
        assert type(console.app.screen).__name__ == "RunBacktestModal"
        await console.press("escape", "escape")
        assert type(console.app.screen).__name__ == "BacktestsScreen"


async def test_a_running_one_opens_by_itself_when_it_ends(open_console: OpenConsole) -> None:
    async with open_console() as console:
        viewer = await to_viewer(console, 1)
        assert "612,000 of 1,000,000 bars" in console.shown("#chart")
        assert "61%" in console.shown("#facts")
        await console.press("plus")
        assert "no chart" in console.hint()
        await console.press("x")
        await console.press("y")
        assert type(console.engine.submitted[0]).__name__ == "CancelBacktest"
        details = make_backtests()
        done = next(iter(d for d in details.values() if d.summary))
        ended = replace(done, row=replace(done.row, id=viewer.backtest_id))
        console.engine.replace_backtests({viewer.backtest_id: ended})
        await console.press("r")
        await console.settle()
        assert "equity" in console.shown("#chart")
        assert "Trades 88" in console.shown("#tabs")
        console.engine.replace_backtests({})
        await console.press("r")
        assert "not there any more" in console.shown("#facts")


async def test_a_failed_one_says_why_and_what_next(open_console: OpenConsole) -> None:
    async with open_console(size=(80, 24)) as console:
        await to_viewer(console, FAILED)
        shown = console.shown("#chart")
        assert "ZeroDivisionError" in shown
        assert "No result was stored" in shown
        assert "d runs it again" in shown
        await console.press("right_square_bracket")
        assert "It comes with the result" in page(console)


async def test_a_partial_one_is_marked(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await to_viewer(console, PARTIAL)
        assert "◌ partial 38%" in console.shown("#facts")
        assert "equity" in console.shown("#chart")


class Damaged(FakeConsoleEngine):
    """An engine whose stored results cannot be read."""

    def backtest_result(self, backtest_id: str) -> Any:
        raise ValueError(f"{backtest_id}/result.json:1: file: cannot be read")


async def test_damaged_files_are_told_and_tried_again(open_console: OpenConsole) -> None:
    async with open_console(Damaged()) as console:
        await to_viewer(console)
        assert "result.json:1: file: cannot be read" in console.shown("#chart")
        await console.press("r")
        await console.settle()
        assert "cannot be read" in console.shown("#chart")
        await console.press("escape", "space", "k", "space", "m")
        await console.settle()
        assert type(console.app.screen).__name__ != "BacktestDetailScreen"


async def test_errors_of_the_form_stand_beside_their_field(open_console: OpenConsole) -> None:
    async with open_console(size=(80, 24)) as console:
        await console.press("7", "n")
        await console.settle()
        form = console.app.screen.query("FormRow")
        form[1].query_one("Input").value = "missing.yaml"  # type: ignore[attr-defined]
        await console.press("enter")
        await console.settle()
        assert "does not exist" in console.shown("FormRow")
        form[1].query_one("Input").value = ""  # type: ignore[attr-defined]
        form[3].query_one("Input").value = "seed"  # type: ignore[attr-defined]
        await console.press("enter")
        assert "is no key=value" in console.shown("FormRow")
        assert not console.engine.submitted


async def test_a_read_only_console_looks_and_exports(open_console: OpenConsole) -> None:
    async with open_console(settings=Settings(fps=0, read_only=True)) as console:
        await console.press("7", "j", "j")
        for key in ("n", "d", "x", "D"):
            await console.press(key)
            assert "read only" in console.hint()
        await console.press("E")
        assert type(console.app.screen).__name__ == "ExportBacktestModal"


@pytest.mark.parametrize("keys", [("7",), ("C",)], ids=["backtests", "containers"])
async def test_empty_states_say_what_to_do(
    open_console: OpenConsole, keys: tuple[str, ...]
) -> None:
    async with open_console(FakeConsoleEngine(state="empty"), size=(80, 24)) as console:
        await console.press(*keys)
        shown = console.shown("Panel") + "".join(
            "".join(text for text, _ in line)
            for table in console.app.screen.query("LiveTable")
            for line in table._messages  # type: ignore[attr-defined]
        )
        assert "n runs one" in shown or "A session has one" in shown


async def test_filter_and_order_of_the_list(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("7")
        table = console.app.screen.query_one("#backtests")
        names: Callable[[], list[str]] = lambda: [  # noqa: E731
            row.name
            for row in table.model.rows  # type: ignore[attr-defined]
        ]
        for text, found in (
            ("state:failed", ["my-strategy"]),
            ("return>0.4", ["sma-cross-spx fast=20"]),
            ("trades<20 !state:bankrupt", ["scripted-spx"]),
        ):
            table.set_filter(text)  # type: ignore[attr-defined]
            assert names() == found
        table.set_filter("")  # type: ignore[attr-defined]
        await console.press("o", "r")
        assert names()[0] == "sma-cross-spx fast=20"


async def test_words_of_the_command_line(open_console: OpenConsole) -> None:
    async with open_console() as console:
        for word, name in (("containers", "ContainersScreen"), ("tests", "BacktestsScreen")):
            console.app.run_command(word)
            await console.pilot.pause()
            await console.pilot.pause()
            assert type(console.app.screen).__name__ == name


def test_every_sample_backtest_is_offered() -> None:
    from tui.paths import sample_backtests

    found = sample_backtests()
    assert next(iter(found)) == "sma_cross"
    assert all(Path(path).is_file() for path in found.values())


async def test_trades_are_filtered_while_it_is_typed(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await to_viewer(console)
        await console.press("tab", "slash")
        await console.press(*"side:short")
        await console.settle()
        rows = trades(console).model.rows
        assert rows
        assert {row.side for row in rows} == {-1}
        assert trades(console).model.window.matching == 17
        await console.press("enter")
        assert console.app.focused is trades(console)
        first = trades(console).model.current
        assert first is not None
        await console.press("right_parenthesis")
        second = trades(console).model.current
        assert second is not None
        assert (second.side, second.number > first.number) == (-1, True)
        await console.press("slash", *" pnl:x")
        await console.settle()
        assert trades(console).model.window.error == "pnl: needs a number, not 'x': pnl:0"
        await console.press("escape")
        await console.settle()
        assert trades(console).model.window.matching == 88
        await console.press("slash", *"side:short", "enter", "escape")
        assert trades(console).model.window.matching == 88
        assert isinstance(console.app.screen, BacktestDetailScreen)


class TwoSymbols(FakeConsoleEngine):
    def backtest_result(self, backtest_id: str) -> FakeResult | None:
        made = super().backtest_result(backtest_id)
        if made is None:
            return None
        return FakeResult(
            seed=5, days=300, trades=20, metrics=made.metrics, final=9e4, symbols=("SPX", "NDX")
        )


async def test_the_price_is_that_of_any_symbol_of_the_run(open_console: OpenConsole) -> None:
    async with open_console(TwoSymbols()) as console:
        await to_viewer(console)
        assert "Symbol" in console.shown("#trades")
        assert "NDX" not in console.shown("#chart")
        await console.press("i")
        assert "Price of NDX, 2 of 2." in console.hint()
        await console.settle()
        assert "NDX" in console.shown("#chart")
        await console.press("tab", "g", "j", "j")
        await console.settle()
        row = trades(console).model.current
        assert row is not None
        assert (row.number, row.symbol) == (2, "SPX")
        assert "SPX" in console.shown("#chart")


async def test_a_run_over_one_symbol_says_so(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await to_viewer(console)
        await console.press("i")
        assert "This run has one symbol." in console.hint()
