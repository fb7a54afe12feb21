"""The studies: list, table of trials, heat map, pages, dialogs, a trial as a backtest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.widgets import Input

from engine.api.optimization_views import StudyStatus
from engine.testing.fake_backtests import make_backtests
from engine.testing.fake_console import FakeConsoleEngine
from engine.testing.fake_studies import make_studies
from tests.integration.shell.conftest import Console, OpenConsole
from tui.screens.study_detail import StudyDetailScreen
from tui.settings import Settings
from tui.widgets.heat_panel import HeatPanel
from tui.widgets.line_view import LineView
from tui.widgets.live_table import LiveTable

pytestmark = pytest.mark.anyio
DONE = ("8", "g", "j", "j")
"""Keys to the completed study."""


def top(console: Console) -> str:
    return type(console.app.screen).__name__


def table(console: Console, name: str = "#studies") -> LiveTable[Any]:
    return console.app.screen.query_one(name, LiveTable)


def ids(console: Console, name: str = "#trials") -> list[Any]:
    rows = table(console, name).model.rows
    return [getattr(row, "index", None) if name == "#trials" else row.id for row in rows]


def page(console: Console) -> str:
    view = console.app.screen.query_one("#page", LineView)
    return "\n".join("".join(text for text, _ in line) for line in view.lines)


def sent(console: Console) -> list[str]:
    return [type(command).__name__ for command in console.engine.submitted]


async def test_the_list_says_how_every_study_stands(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("8", "g", "j")
        shown = console.shown("#studies")
        for text in ("63%", "4.9/s", "○ queued", "✓ done 21s", "⚠ cut off", "◌ cancelled",
                     "✗ failed", "19/30", "sharpe 1.500"):  # fmt: skip
            assert text in shown
        assert "19 of 30 trials  4.9/s  2s left" in console.shown("#study")
        assert "known at the end" in console.shown("#study")
        await console.press("j")
        assert "deflated Sharpe 78.1% ⚠ luck?" in console.shown("#study")
        await console.press("G")
        assert "no scheduler answers" in console.shown("#study")


async def test_the_list_filters_and_sorts(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("8")
        studies = table(console)
        studies.set_filter("state:done failed>0")
        assert ids(console, "#studies") == ["opt-1ff93efb", "opt-c4417e0b"]
        studies.set_filter("speed<0!")
        assert "needs a number" in console.shown("#studies")
        studies.set_filter("")
        await console.press("o", "b", "g")
        assert table(console).model.query.sort == "best"
        await console.press("y")
        assert "sma-cross" in console.app.clipboard


async def test_cancel_asks_and_go_on_sends(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press(*DONE, "x")
        assert "has ended already" in console.hint()
        await console.press("R")
        assert "nothing to go on with" in console.hint()
        await console.press("k", "x")
        assert top(console) == "CancelStudyModal"
        await console.press("enter")
        assert not console.engine.submitted
        await console.press("x")
        assert "19 of 30 trials" in console.shown("#to-cancel")
        await console.press("y")
        assert sent(console) == ["CancelOptimization"]
        table(console).set_filter("state:interrupted")
        await console.press("R")
        assert sent(console)[1:] == ["RunOptimization"]
        assert getattr(console.engine.submitted[1], "resume", "") == "opt-51b3c870"


async def test_typed_ahead_does_not_cancel(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("8", "g", "j")
        await console.pilot.press("x")
        await console.pilot.press("y")
        await console.pilot.pause()
        assert not console.engine.submitted


async def test_a_new_study_is_checked_and_sent(open_console: OpenConsole) -> None:
    async with open_console(size=(80, 24)) as console:
        await console.press("8", "n")
        await console.settle()
        assert top(console) == "RunStudyModal"
        assert "36 by grid" in console.shown("#run-preview")
        path, workers, *_ = console.app.screen.query(Input)
        path.value = "nowhere/missing.yaml"
        await console.press("enter")
        await console.settle()
        await console.press("enter")
        assert "does not exist" in console.shown("FormRow")
        path.value, workers.value = "", "many"
        await console.press("enter")
        assert "is not a number from 1" in console.shown("FormRow")
        workers.value = "2"
        await console.press("enter")
        await console.settle()
        await console.press("enter")
        await console.press("enter")
        (command,) = console.engine.submitted
        assert getattr(command, "workers", None) == 2
        assert getattr(command, "path", "").endswith("optimization.yaml")


async def test_trials_are_filtered_sorted_and_pinned(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press(*DONE, "enter")
        assert isinstance(console.app.screen, StudyDetailScreen)
        assert ids(console)[:3] == [17, 4, 12]
        trials = table(console, "#trials")
        trials.set_filter("sharpe>1 fast<12")
        assert ids(console) == [4, 12, 11, 13, 7]
        trials.set_filter("state:failed")
        assert "sma_cross raised at bar 812" in console.shown("#trials")
        trials.set_filter("pace>1")
        assert "there is no field 'pace'" in console.shown("#trials")
        trials.set_filter("")
        await console.press("g", "j", "j", "space")
        assert ids(console)[:3] == [12, 17, 4]
        assert trials.model.cursor_id == "22"
        assert "1 pinned" in trials._title
        trials.set_filter("fast=20")
        assert ids(console)[0] == 12
        trials.set_filter("")
        await console.press("o", "c")
        assert ids(console)[0] == 12
        assert trials.model.query.sort == "parameter fast"
        await console.press("minus", "O")
        assert ids(console)[:3] == [17, 4, 12]
        await console.press("Y")
        assert console.app.clipboard.startswith("#\tState\tfast\tslow\tSharpe")


async def test_the_heat_map_walks_and_judges(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press(*DONE, "enter", "right_square_bracket")
        shown = console.shown("#heat")
        for text in ("slow\\fast", "[1.50█]", "✗", "[ ] here", "±1 step 0.96..1.37"):
            assert text in shown
        assert "#17 ✓ done" in console.shown("#heat-side")
        await console.press("left", "left", "left", "j", "j")
        assert "fast=5 slow=120" in console.shown("#heat")
        assert "⚠ lone peak: fragile" in console.shown("#heat")
        await console.press("y")
        assert "lone peak" in console.app.clipboard
        await console.press(*("l",) * 5, *("k",) * 4)
        assert "ZeroDivisionError" in console.shown("#heat")
        await console.press("g", "Y")
        assert "1.50█" in console.app.clipboard
        await console.press("right_square_bracket", "left_square_bracket")
        assert isinstance(console.app.focused, HeatPanel)


async def test_a_click_goes_to_a_cell_and_to_a_tab(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press(*DONE, "enter")
        await console.pilot.click("#study-tabs", offset=(16, 0))
        await console.pilot.pause()
        panel = console.app.screen.query_one(HeatPanel)
        await console.pilot.click(panel, offset=(14, 4))
        await console.pilot.pause()
        assert (panel.heat.row, panel.heat.column) == (0, 0)


async def test_axes_are_chosen_in_a_dialog(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press(*DONE, "enter", "b")
        assert top(console) == "AxesModal"
        await console.press("right")
        await console.press("enter")
        assert "is across already" in console.shown("FormRow")
        await console.press("right")
        await console.press("down", "right", "right")
        await console.press("enter")
        assert top(console) == "StudyDetailScreen"
        heat = console.app.screen.query_one(HeatPanel).heat
        assert (heat.axes.x, heat.axes.y) == ("slow", "")
        assert heat.axes.metric != "sharpe"
        await console.press("b", "escape")
        assert top(console) == "StudyDetailScreen"


async def test_the_pages_tell_what_to_believe(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press(*DONE, "enter", *("right_square_bracket",) * 2)
        assert "rank correlation" in page(console)
        assert "decay" in page(console)
        await console.press("Y")
        assert console.app.clipboard.startswith("#\tParameters")
        await console.press("right_square_bracket")
        assert "This study has no folds" in page(console)
        await console.press("right_square_bracket")
        assert "slow" in page(console)
        assert "59%" in page(console)
        await console.press("right_square_bracket")
        assert "partly luck" in page(console)
        await console.press("Y", "escape", "j", "enter", *("right_square_bracket",) * 3)
        assert "░" in page(console)
        assert "█" in page(console)
        assert "+9.12%" in page(console)


async def test_the_trials_of_each_training_can_be_looked_at(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press(*DONE, "enter", "greater_than_sign")
        assert "no folds" in console.hint()
        await console.press("escape", "j", "enter")
        whole = console.app.screen.query_one(HeatPanel).heat.high
        await console.press("greater_than_sign", "greater_than_sign")
        assert "fold 1 of 4, bars 500 to 2,500" in str(table(console, "#trials").border_title)
        assert len(ids(console)) > 0
        await console.press("right_square_bracket")
        panel = console.app.screen.query_one(HeatPanel)
        assert "fold 1 of 4" in str(panel.border_title)
        assert panel.heat.high == pytest.approx(whole - 0.1)
        await console.press("right_square_bracket", "right_square_bracket")
        assert "▸1" in page(console)
        await console.press("less_than_sign", "less_than_sign")
        assert "▸" not in page(console)
        await console.press("less_than_sign")
        assert "▸3" in page(console)


async def test_enter_runs_a_trial_once_and_opens_its_backtest(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press(*DONE, "enter", "enter")
        (command,) = console.engine.submitted
        data = command.model_dump()
        assert data["name"] == "opt-1ff93efb #17"
        assert data["config"]["components"]["strategy"]["params"] == {"fast": 12, "slow": 80}
        assert data["base_dir"] == "sample_configs"
        assert "mode 7" in console.hint()
        detail = list(make_backtests().values())[2]
        named = replace(detail, row=replace(detail.row, name=data["name"]))
        console.engine.replace_backtests({named.row.id: named})
        await console.press("r")
        assert top(console) == "BacktestDetailScreen"
        await console.press("escape", "enter")
        assert top(console) == "BacktestDetailScreen"
        assert len(console.engine.submitted) == 1


async def test_a_trial_becomes_a_paper_session_file(open_console: OpenConsole) -> None:
    async with open_console(FakeConsoleEngine(hold_commands=True)) as console:
        await console.press(*DONE, "enter", "right_square_bracket", "right", "P")
        (command,) = console.engine.submitted
        assert command.model_dump()["index"] == 22
        assert sent(console) == ["WritePaperSession"]
        console.engine.finish("cmd-0001", reason="strategy 'mine' cannot run on paper")
        await console.press("r")
        assert top(console) == "StudyDetailScreen"
        assert console.app.next_session is None


async def test_one_key_starts_a_paper_session_in_the_place_of_this_one(
    open_console: OpenConsole,
) -> None:
    async with open_console(FakeConsoleEngine(hold_commands=True)) as console:
        await console.press(*DONE, "enter", "right_square_bracket", "right", "P")
        console.engine.finish(
            "cmd-0001", answer="written, start it with quarterdeck run /data/a b.yaml"
        )
        await console.press("r")
        assert top(console) == "StartPaperDialog"
        shown = console.shown("#begins")
        assert "a b.yaml" in shown
        assert "fast=15 slow=80" in shown
        await console.press("enter")  # the focus is on staying
        assert top(console) == "StudyDetailScreen"
        assert console.app.next_session is None
        await console.press("P")
        console.engine.finish(
            "cmd-0002", answer="written, start it with quarterdeck run /data/b.yaml"
        )
        await console.press("r")
        await console.press("k")
        assert sent(console)[-1] == "StopSession"
        assert str(console.app.next_session) == "/data/b.yaml"


async def test_a_study_is_held_and_goes_on(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press(*DONE, "s")
        assert "only what runs can be held" in console.hint()
        await console.press("k", "s")
        assert sent(console) == ["HoldOptimization"]
        studies = make_studies()
        running = studies["opt-9e04b6d2"]
        held = replace(running, row=replace(running.row, status=StudyStatus.HELD))
        console.engine.replace_studies({**studies, "opt-9e04b6d2": held})
        await console.press("r")
        assert "= held 63%" in console.shown("#studies")
        assert "s lets it go on" in console.shown("#study")
        await console.press("s")
        assert console.engine.submitted[-1].model_dump()["held"] is False


async def test_a_study_is_exported(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("8", "g", "E")
        assert "has no trial to export yet" in console.hint()
        await console.press("j", "j", "enter", "E")
        await console.settle()
        assert top(console) == "ExportStudyModal"
        await console.press("enter")
        await console.press("enter")
        await console.settle()
        assert console.engine.exported == [("opt-1ff93efb", "exports/sma-cross-spx")]
        assert "Wrote 2 files" in console.hint()


async def test_the_menu_of_a_study_lists_its_own_keys(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press(*DONE, "enter", "a")
        shown = console.shown(".actions")
        assert "slice of the others" in shown
        assert "Start a paper session" in shown


async def test_a_read_only_console_only_looks(open_console: OpenConsole) -> None:
    async with open_console(settings=Settings(fps=0, read_only=True)) as console:
        await console.press("8", "j", "x", "R", "n")
        assert "read only" in console.hint()
        await console.press("j", "enter", "enter", "P")
        assert not console.engine.submitted
        assert top(console) == "StudyDetailScreen"


async def test_a_running_study_grows_while_it_is_watched(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("8", "g", "j", "enter")
        assert "Trials ─ 19" in table(console, "#trials")._title
        whole = make_studies()["opt-1ff93efb"]
        console.engine.replace_studies(
            {"opt-9e04b6d2": replace(whole, row=replace(whole.row, id="opt-9e04b6d2"))}
        )
        await console.press("r")
        assert "Trials ─ 30" in table(console, "#trials")._title
        console.engine.replace_studies({})
        await console.press("r")
        assert "not there any more" in console.shown("#study-facts")
        await console.press("escape", "r")
        assert "No studies yet" in console.shown("#studies")


async def test_an_engine_that_starts_has_no_studies(open_console: OpenConsole) -> None:
    async with open_console(FakeConsoleEngine(state="starting")) as console:
        await console.press("8", "enter", "x", "R", "a", "escape")
        assert top(console) == "StudiesScreen"
