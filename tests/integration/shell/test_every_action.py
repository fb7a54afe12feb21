"""Every action of the registry answers to its key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from textual.widgets import Input

from engine.testing.fake_agents import make_agents
from tests.integration.shell.conftest import Console, OpenConsole
from tui.actions import ACTIONS, Scope
from tui.modals.create_executor import CreateExecutorModal
from tui.modals.dialog import Dialog
from tui.modals.overlay import Overlay
from tui.modals.quit import QuitDialog
from tui.modals.settings import SettingsScreen
from tui.modals.stop_executor import StopExecutorModal
from tui.modals.store_executor import StoreExecutorModal
from tui.screens.backtest_detail import BacktestDetailScreen
from tui.screens.base import ConsoleScreen
from tui.screens.executor_detail import ExecutorDetailScreen
from tui.screens.study_detail import StudyDetailScreen
from tui.widgets.choice import Choice
from tui.widgets.form import Form
from tui.widgets.heat_panel import HeatPanel
from tui.widgets.line_view import LineView
from tui.widgets.live_table import LiveTable
from tui.widgets.prompt_bar import PromptInput
from tui.widgets.result_chart import ResultChart

pytestmark = pytest.mark.anyio
Check = Callable[[Console], Awaitable[None]]
CHECKS: dict[str, Check] = {}


def checks(*action_ids: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        CHECKS.update(dict.fromkeys(action_ids, check))
        return check

    return register


def table(console: Console) -> LiveTable[Any]:
    return console.app.screen.query_one("#executors", LiveTable)


def screen(console: Console) -> ConsoleScreen:
    assert isinstance(console.app.screen, ConsoleScreen)
    return console.app.screen


def top(console: Console) -> str:
    return type(console.app.screen).__name__


async def press_again(console: Console, action_id: str) -> None:
    await console.press(key_of(action_id))


def key_of(action_id: str) -> str:
    return next(action for action in ACTIONS if action.id == action_id).keys.split(",")[0]


@checks("mode.executors")
async def goes_to_executors(console: Console) -> None:
    assert screen(console).mode == "executors"
    await console.press("1")
    assert screen(console).mode == "dashboard"


@checks("mode.dashboard")
async def stays_on_the_dashboard(console: Console) -> None:
    assert screen(console).mode == "dashboard"


@checks("mode.flow")
async def goes_to_flow(console: Console) -> None:
    assert screen(console).mode == "flow"
    assert "Executor State (commands):" in console.shown("#flow-text")
    await console.press("j")
    assert "Executor State (session):" in console.shown("#flow-text")


@checks("mode.logs")
async def goes_to_logs(console: Console) -> None:
    assert screen(console).mode == "logs"
    assert console.app.screen.query_one("#log", LiveTable).model.window.total == 40


@checks("app.command")
async def opens_the_command_line(console: Console) -> None:
    await console.press(*"theme quarterdeck-light".replace(" ", "_"), "enter")
    assert "There is no command" in console.hint()
    await console.press("colon")
    console.app.screen.query_one(Input).value = "theme quarterdeck-light"
    await console.press("enter")
    assert console.app.theme == "quarterdeck-light"


@checks("app.palette")
async def opens_the_palette(console: Console) -> None:
    assert top(console) == "CommandPalette"
    await console.press(*"logs")
    await console.press("down", "enter")


@checks("app.help")
async def opens_help(console: Console) -> None:
    assert top(console) == "HelpScreen"
    assert "Create an executor" in console.shown("LiveTable")
    await console.press("slash", *"archive", "enter")
    assert "Create an executor" not in console.shown("LiveTable")
    await console.press("escape")
    assert top(console) == "DashboardScreen"


@checks("app.settings")
async def opens_settings_with_a_preview(console: Console) -> None:
    before = console.app.theme
    await console.press("j")
    assert console.app.theme != before
    await console.press("escape")
    assert console.app.theme == before
    await console.press("comma", "j", "T", "enter")
    assert console.app.theme != before


@checks("app.alerts")
async def shows_warnings_and_errors_from_anywhere(console: Console) -> None:
    await console.press("escape", "2", "A")
    assert top(console) == "AlertsScreen"
    alerts = console.app.screen.query_one("#log", LiveTable)
    assert {row.level for row in alerts.model.rows} == {"warning", "error"}
    await console.press("k", "enter")  # about a feed, not about an executor
    assert top(console) == "AlertsScreen"
    await console.press("G", "enter")
    assert top(console) == "ExecutorDetailScreen"
    await console.press("escape", "A", "escape")
    assert top(console) == "ExecutorsScreen"


@checks("app.quit")
async def asks_before_quitting(console: Console) -> None:
    assert top(console) == "QuitDialog"
    await console.press("escape")
    assert top(console) == "DashboardScreen"
    await console.press("q")
    console.now[0] += 10
    await console.press("f")
    assert [type(command).__name__ for command in console.engine.submitted] == ["StopSession"]
    assert console.app.return_code == 0


@checks("app.interrupt")
async def needs_ctrl_c_twice(console: Console) -> None:
    assert "ctrl+c again" in console.hint()
    console.now[0] += 3
    await console.press("ctrl+c")
    assert console.app.return_code is None
    console.now[0] += 1
    await console.press("ctrl+c")
    assert console.app.return_code == 0


@checks("view.pause")
async def freezes_the_display(console: Console) -> None:
    assert console.app.console_state.paused_at is not None
    console.now[0] += 14
    screen(console).update_keys()
    assert "PAUSED 14s" in console.hint()
    await console.press("p")
    assert "PAUSED" not in console.hint()


@checks("view.time")
async def changes_the_time_format(console: Console) -> None:
    assert console.app.console_state.time_format == "local"
    await console.press("T")
    assert " ago" in console.shown("#log")


@checks("app.back")
async def closes_filter_and_marks_and_never_quits(console: Console) -> None:
    await console.press("space", "slash", *"btc", "enter")
    assert table(console).model.query.filter_text == "btc"
    await console.press("escape")
    assert table(console).model.query.filter_text == ""
    assert table(console).model.marks
    await console.press("escape")
    assert not table(console).model.marks
    await console.press("escape", "escape")
    assert console.app.return_code is None


@checks("panel.next", "panel.previous")
async def moves_the_focus(console: Console) -> None:
    assert console.app.focused is not None
    assert console.app.focused.id != "executors"


@checks("view.zoom")
async def maximises_the_panel(console: Console) -> None:
    assert table(console).size.height > 25
    assert not console.app.screen.query_one("#session").display
    await console.press("escape")
    assert console.app.screen.query_one("#session").display


@checks("view.refresh")
async def asks_again(console: Console) -> None:
    assert "Asked the engine again" in console.hint()


@checks("list.down")
async def goes_down(console: Console) -> None:
    assert table(console).model.cursor == 1


@checks("list.up")
async def goes_up(console: Console) -> None:
    await console.press("j", "j", "up")
    assert table(console).model.cursor == 1


@checks("list.bottom", "list.top")
async def goes_to_the_ends(console: Console) -> None:
    await console.press("G")
    assert table(console).model.cursor == 17
    await console.press("home")
    assert table(console).model.cursor == 0


@checks("list.page_down", "list.page_up")
async def goes_by_pages(console: Console) -> None:
    await console.press("g", "ctrl+d")
    assert table(console).model.cursor == table(console).model.height - 1
    await console.press("pageup")
    assert table(console).model.cursor == 0


@checks("list.right", "list.left")
async def scrolls_columns_past_the_frozen_one(console: Console) -> None:
    await console.press("h", "h", "l")
    header = console.shown("#executors").splitlines()[0]
    assert "Id" in header
    assert "Type" not in header


@checks("list.wide")
async def shows_all_columns(console: Console) -> None:
    assert table(console).wide
    await console.press("w")
    assert not table(console).wide


@checks("list.open")
async def opens_the_detail(console: Console) -> None:
    assert top(console) == "ExecutorDetailScreen"


@checks("list.mark")
async def marks_and_steps_down(console: Console) -> None:
    assert len(table(console).model.marks) == 1
    assert table(console).model.cursor == 1
    assert "●" in console.shown("#executors").splitlines()[1][:2]


@checks("list.mark_range")
async def marks_a_range(console: Console) -> None:
    await console.press("j", "j", "v")
    assert len(table(console).model.marks) == 3
    assert "3 marked" in str(table(console).border_title)


@checks("exec.export", "agent.export", "log.export")
async def asks_where_to_write_the_rows(console: Console) -> None:
    assert top(console) == "ExportRowsModal"


@checks("panel.jump")
async def jumps_to_a_panel(console: Console) -> None:
    assert top(console) == "JumpScreen"
    await console.press("escape")
    before = console.app.focused
    await console.press("semicolon", "s")
    assert top(console) == "DashboardScreen"
    assert console.app.focused is not before
    await console.press("semicolon", "m")  # no panel has this letter
    assert top(console) == "DashboardScreen"


@checks("list.mark_all", "list.unmark")
async def marks_all_and_none(console: Console) -> None:
    await console.press("asterisk")
    assert len(table(console).model.marks) == 18
    await console.press("minus")
    assert not table(console).model.marks


@checks("list.copy")
async def copies_the_row(console: Console) -> None:
    assert "\tBTC-USDT\t" in console.app.clipboard
    assert "Copied one row" in console.hint()


@checks("list.sort")
async def sorts_by_a_letter(console: Console) -> None:
    assert top(console) == "SortMenu"
    await console.press("p")
    query = table(console).model.query
    assert (query.sort, query.descending) == ("pnl", True)
    await console.press("o", "p")
    assert not table(console).model.query.descending


@checks("list.sort_off")
async def goes_back_to_the_usual_order(console: Console) -> None:
    await console.press("o", "t", "O")
    assert table(console).model.query == table(console).model.source.home


@checks("list.filter")
async def filters_while_typing(console: Console) -> None:
    await console.press(*"eur")
    assert table(console).model.window.matching < 18
    assert "of 18" in str(console.app.screen.query_one(".prompt-note").render())
    await console.press("escape")
    assert table(console).model.window.matching == 18


@checks("list.follow")
async def follows_or_not(console: Console) -> None:
    assert not table(console).model.follow


@checks("exec.new")
async def opens_the_form(console: Console) -> None:
    assert top(console) == "CreateExecutorModal"


@checks("exec.stop", "exec.stop_options")
async def asks_before_stopping(console: Console) -> None:
    assert top(console) == "StopExecutorModal"
    await console.press("escape")
    assert not console.engine.submitted
    await console.press("ctrl+k")
    assert top(console) == "StopExecutorModal"


@checks("exec.edit")
async def opens_the_update_form(console: Console) -> None:
    assert top(console) == "UpdateExecutorModal"


@checks("exec.store")
async def stores_only_what_has_ended(console: Console) -> None:
    assert "Only a terminated executor" in console.hint()
    await console.press("G", "S")
    assert top(console) == "StoreExecutorModal"


def agents(console: Console) -> LiveTable[Any]:
    return console.app.screen.query_one("#agents", LiveTable)


def sent(console: Console) -> list[tuple[str, str]]:
    return [
        (type(command).__name__, getattr(command, "agent_id", ""))
        for command in console.engine.submitted
    ]


@checks("mode.agents")
async def goes_to_the_agents(console: Console) -> None:
    assert screen(console).mode == "agents"
    assert agents(console).model.window.total == 9
    assert "watches that every stop can fire" in console.shown("#agent")
    assert "57/60" in console.shown("#scheduling")
    await console.press("j")
    assert "watches over the session's pace" in console.shown("#agent")


@checks("agent.start")
async def starts_what_does_not_run(console: Console) -> None:
    await console.press("escape", "5", "g", "s")
    assert "runs already" in console.hint()
    await console.press("G", "s")
    assert sent(console) == [("StartAgent", "rebalance")]
    assert "Started agent rebalance" in console.hint()
    await console.press("g", "space", "G", "space", "s")
    assert sent(console)[1:] == [("StartAgent", "rebalance")]
    assert not agents(console).model.marks


@checks("agent.run")
async def runs_a_cycle_now(console: Console) -> None:
    await console.press("escape", "5", "G", "R")
    assert "does not run" in console.hint()
    await console.press("g", "R")
    assert sent(console) == [("RunAgentNow", "stop-guard:main")]


@checks("agent.pause", "agent.resume")
async def pauses_an_agent_and_lets_it_go_on(console: Console) -> None:
    console.engine.replace_agents(make_agents())
    await console.press("escape", "5", "G", "H")
    assert "does not run" in console.hint()
    await console.press("g", "u")
    assert "is not paused" in console.hint()
    await console.press("H")
    assert sent(console) == [("PauseAgent", "stop-guard:main")]
    detail = make_agents()["stop-guard:main"]
    paused = replace(detail, row=replace(detail.row, repeats=False, next_in_s=None))
    console.engine.replace_agents({**make_agents(), "stop-guard:main": paused})
    await console.press("r", "H")
    assert "is paused; u lets it go on" in console.hint()
    assert "paused" in console.shown("#agents")
    await console.press("u")
    assert sent(console)[-1] == ("ResumeAgent", "stop-guard:main")
    console.engine.replace_agents(make_agents())


@checks("exec.controller")
async def stops_a_controller_and_lets_it_go_on(console: Console) -> None:
    assert "no controllers" in console.hint()
    console.engine.controllers = {"main": "running", "spare": "stopped", "bad": "failed"}
    await console.press("K")
    assert top(console) == "ControllerMenu"
    assert "too many failures" in console.shown("Painted")
    await console.press("a")
    assert top(console) == "StopControllerModal"
    await console.press("escape")
    assert not console.engine.submitted
    await console.press("K", "a")
    console.now[0] += 10
    await console.press("k", "y")
    (command,) = console.engine.submitted
    assert command.model_dump() == {
        "session": command.session, "actor": "operator", "controller_id": "main",
        "keep_position": True,
    }  # fmt: skip
    assert "Stopped controller main" in console.hint()
    await console.press("K", "b")
    assert type(console.engine.submitted[-1]).__name__ == "StartController"
    assert "Started controller spare" in console.hint()
    await console.press("K", "z", "escape")
    assert len(console.engine.submitted) == 2
    console.engine.controllers = {f"many-{number:02}": "stopped" for number in range(60)}
    await console.press("K", "up", "end")
    assert "and 9 more, for which no letter is left" in console.shown("Painted")
    await console.press("A")
    assert console.engine.submitted[-1].model_dump()["controller_id"] == "many-25"


@checks("agent.stop")
async def asks_before_stopping_an_agent(console: Console) -> None:
    await console.press("escape", "5", "g", "x")
    assert top(console) == "StopAgentModal"
    await console.press("enter")
    assert not console.engine.submitted
    await console.press("x")
    await console.press("y")
    assert sent(console) == [("StopAgent", "stop-guard:main")]
    await console.press("space", "space", "G", "space", "ctrl+k")
    assert "1 agent does not run: left out" in console.shown("#head")
    await console.press("y")
    assert len(sent(console)) == 3
    await console.press("G", "x")
    assert "does not run" in console.hint()


@checks("agent.priority")
async def changes_the_priority_by_a_letter(console: Console) -> None:
    await console.press("escape", "5", "g", "P")
    assert top(console) == "PriorityMenu"
    await console.press("escape")
    assert not console.engine.submitted
    await console.press("P", "h")
    (command,) = console.engine.submitted
    assert command.model_dump() == {
        "session": console.app.console_state.session,
        "actor": "operator",
        "agent_id": "stop-guard:main",
        "priority": "high",
    }


@checks("agent.edit")
async def changes_interval_and_priority_in_a_form(console: Console) -> None:
    await console.press("escape", "5", "g", "e")
    assert top(console) == "EditAgentModal"
    console.app.screen.query_one(Input).value = "4 parsecs"
    await console.press("enter")
    assert "is not a duration" in console.shown("FormRow")
    console.app.screen.query_one(Input).value = "500ms"
    await console.press("enter", "enter", "enter")
    (command,) = console.engine.submitted
    assert getattr(command, "interval", None) == 0.5


@checks("exec.actions")
async def lists_what_can_be_done_with_an_executor(console: Console) -> None:
    await console.press("escape", "2", "g", "a")
    assert top(console) == "ActionMenu"
    await console.press("x")
    assert top(console) == "StopExecutorModal"
    await console.press("escape", "a", "escape")
    assert top(console) == "ExecutorsScreen"


@checks("agent.actions")
async def lists_what_can_be_done_with_an_agent(console: Console) -> None:
    await console.press("escape", "5", "g", "a")
    assert top(console) == "ActionMenu"
    assert "runs already" in console.shown(".actions")
    await console.press("x")
    assert top(console) == "StopAgentModal"
    await console.press("escape", "a", "escape")
    assert top(console) == "AgentsScreen"


def backtests(console: Console) -> LiveTable[Any]:
    return console.app.screen.query_one("#backtests", LiveTable)


async def to_backtest(console: Console, place: int) -> None:
    """Go to the backtests, without marks, to the one at *place*."""
    await console.press("escape", "7", "minus", "g", *("j",) * place)


def asked(console: Console) -> list[tuple[str, str]]:
    return [
        (type(command).__name__, getattr(command, "backtest_id", ""))
        for command in console.engine.submitted
    ]


@checks("mode.backtests")
async def goes_to_the_backtests(console: Console) -> None:
    assert screen(console).mode == "backtests"
    assert backtests(console).model.window.total == 9
    await console.press("g", "j")
    assert "612,000 of 1,000,000 bars" in console.shown("#backtest")
    assert "61%" in console.shown("#backtests")


@checks("mode.containers")
async def goes_to_the_containers(console: Console) -> None:
    assert "96 MiB" in console.shown("#containers")
    assert "orchestrator" in console.shown("#container")
    await console.press("j")
    assert "612,000 of 1,000,000" in console.shown("#container")
    await console.press("g", "enter")
    assert "is a session" in console.hint()
    await console.press("j", "enter")
    assert top(console) == "BacktestDetailScreen"


@checks("bt.new")
async def runs_a_sample(console: Console) -> None:
    await to_backtest(console, 0)
    await console.press("n")
    await console.settle()
    assert top(console) == "RunBacktestModal"
    assert "sma_cross fast=10" in console.shown("#run-preview")
    await console.press("enter")
    await console.press("enter")
    assert asked(console) == [("RunBacktest", "")]
    assert getattr(console.engine.submitted[0], "path", "").endswith("backtest.yaml")


@checks("bt.duplicate")
async def runs_again_with_changes(console: Console) -> None:
    await to_backtest(console, 2)
    await console.press("d")
    await console.settle()
    assert top(console) == "RunBacktestModal"
    console.app.screen.query(Input)[0].value = "25"
    await console.press("enter")
    await console.settle()
    await console.press("enter")
    await console.press("enter")
    (command,) = console.engine.submitted
    assert command.model_dump()["overrides"] == ("components.strategy.params.fast=25",)
    assert command.model_dump()["name"] == "sma-cross-spx fast=25"


@checks("bt.cancel")
async def asks_before_cancelling(console: Console) -> None:
    await to_backtest(console, 1)
    await console.press("x")
    assert top(console) == "EndBacktestModal"
    await console.press("enter")
    assert not console.engine.submitted
    await console.press("x")
    await console.press("y")
    assert asked(console) == [("CancelBacktest", "bt-0000000000109-9")]
    await console.press("j", "ctrl+k")
    assert "has ended" in console.hint()


@checks("bt.delete")
async def asks_before_deleting(console: Console) -> None:
    await to_backtest(console, 1)
    await console.press("D")
    assert "x cancels it first" in console.hint()
    await console.press("space", "space", "space", "D")
    assert "1 backtest left out: not ended" in console.shown("#head")
    await console.press("y")
    assert asked(console) == [
        ("DeleteBacktest", "bt-0000000000100-8"),
        ("DeleteBacktest", "bt-0000000000099-7"),
    ]
    assert not backtests(console).model.marks


@checks("bt.compare")
async def compares_marked_ones(console: Console) -> None:
    await to_backtest(console, 1)
    await console.press("m")
    assert "Mark two to four" in console.hint()
    await console.press("space", "space", "m")
    assert "has no result" in console.hint()
    await console.press("minus", "space", "space", "m")
    await console.settle()
    assert top(console) == "BacktestCompareScreen"
    assert "B" in console.shown("#curves")
    await console.press("Y")
    assert "donchian" in console.app.clipboard


@checks("bt.export")
async def writes_to_a_folder(console: Console) -> None:
    await to_backtest(console, 0)
    await console.press("E")
    assert "no result to export" in console.hint()
    await console.press("j", "j", "E")
    assert top(console) == "ExportBacktestModal"
    console.app.screen.query_one(Input).value = "/proc/nowhere"
    await console.press("enter", "enter")
    await console.settle()
    assert "cannot be written" in console.shown("#outcome")
    console.app.screen.query_one(Input).value = "out"
    await console.press("enter")  # the button has the focus already
    await console.settle()
    assert console.engine.exported == [("bt-0000000000100-8", "out")]
    assert "Wrote 2 files to out." in console.hint()


@checks("bt.actions")
async def lists_what_can_be_done_with_a_backtest(console: Console) -> None:
    await to_backtest(console, 2)
    await console.press("a")
    assert top(console) == "ActionMenu"
    assert "has ended; D deletes it" in console.shown(".actions")
    await console.press("D")
    assert top(console) == "EndBacktestModal"


@checks("log.level")
async def raises_the_level(console: Console) -> None:
    await console.press("0", "L")
    assert "Shows info and above" in console.hint()
    await console.press("L", "L")
    rows = console.app.screen.query_one("#log", LiveTable).model.rows
    assert {row.level for row in rows} == {"error"}


@checks("exec.duplicate")
async def opens_the_form_with_the_values_of_the_executor(console: Console) -> None:
    assert top(console) == "CreateExecutorModal"
    modal = console.app.screen
    assert isinstance(modal, CreateExecutorModal)
    row = console.engine.executors("main").rows[0]
    assert modal.form_values["amount"] == str(row.amount)
    assert modal.form_values["side"] == row.side
    assert modal.form_values["triple_barrier_config.stop_loss"] == "2%"
    await console.press("escape", "n")
    assert modal.form_values["amount"] == str(row.amount)


async def to_study(console: Console, place: int) -> None:
    """Go to the studies, without marks, to the one at *place*."""
    await console.press("escape", "8", "minus", "g", *("j",) * place)


@checks("mode.optimization")
async def goes_to_the_studies(console: Console) -> None:
    assert screen(console).mode == "optimization"
    assert "63%" in console.shown("#studies")
    await to_study(console, 2)
    assert "deflated Sharpe 78.1%" in console.shown("#study")


@checks("opt.new")
async def runs_a_sample_study(console: Console) -> None:
    await to_study(console, 0)
    await console.press("n")
    await console.settle()
    assert top(console) == "RunStudyModal"
    await console.press("enter")
    await console.press("enter")
    assert [type(one).__name__ for one in console.engine.submitted] == ["RunOptimization"]


@checks("opt.resume")
async def goes_on_with_what_was_cut_off(console: Console) -> None:
    await to_study(console, 4)
    await console.press("R")
    assert getattr(console.engine.submitted[0], "resume", "") == "opt-51b3c870"


@checks("opt.cancel")
async def asks_before_cancelling_a_study(console: Console) -> None:
    await to_study(console, 1)
    await console.press("x")
    assert top(console) == "CancelStudyModal"
    await console.press("enter")
    assert not console.engine.submitted
    await console.press("ctrl+k")
    await console.press("y")
    assert [type(one).__name__ for one in console.engine.submitted] == ["CancelOptimization"]


@checks("opt.hold")
async def holds_a_study_that_runs(console: Console) -> None:
    await to_study(console, 1)
    await console.press("s")
    assert [type(one).__name__ for one in console.engine.submitted] == ["HoldOptimization"]


@checks("opt.export")
async def asks_where_a_study_is_written(console: Console) -> None:
    await to_study(console, 2)
    await console.press("E")
    await console.settle()
    assert top(console) == "ExportStudyModal"
    await console.press("escape")


@checks("opt.actions")
async def lists_what_can_be_done_with_a_study(console: Console) -> None:
    await to_study(console, 2)
    await console.press("a")
    assert "has ended already" in console.shown(".actions")
    await console.press("escape")


SCREENS = {
    Scope.EVERYWHERE, Scope.SCREEN, Scope.LIST, Scope.EXECUTORS, Scope.AGENTS, Scope.LOGS,
    Scope.BACKTESTS, Scope.STUDIES,
}  # fmt: skip
OWNERS: dict[Scope, type[Any]] = {
    Scope.DETAIL: ExecutorDetailScreen,
    Scope.RESULT: BacktestDetailScreen,
    Scope.CHART: ResultChart,
    Scope.STUDY: StudyDetailScreen,
    Scope.HEATMAP: HeatPanel,
    Scope.TEXT: LineView,
    Scope.DIALOG: Dialog,
    Scope.CONFIRM: StoreExecutorModal,
    Scope.STOP: StopExecutorModal,
    Scope.QUIT: QuitDialog,
    Scope.FORM: Form,
    Scope.CHOICE: Choice,
    Scope.OVERLAY: Overlay,
    Scope.SETTINGS: SettingsScreen,
    Scope.PROMPT: PromptInput,
}


def test_every_action_has_a_check_or_belongs_to_a_dialog() -> None:
    assert set(CHECKS) == {action.id for action in ACTIONS if action.scope in SCREENS}
    assert {*OWNERS, *SCREENS} == set(Scope)


@pytest.mark.parametrize("scope", OWNERS, ids=lambda scope: scope.name)
def test_what_has_keys_of_its_own_can_do_what_they_say(scope: Scope) -> None:
    owner = OWNERS[scope]
    bound = {binding.id for binding in owner.BINDINGS}
    for action in ACTIONS:
        if action.scope is scope:
            assert action.fixed or action.id in bound
            name = action.handler.partition("(")[0]
            assert "." in name or action.fixed or callable(getattr(owner, f"action_{name}"))


async def test_help_in_a_dialog_and_in_the_detail_lists_their_keys(
    open_console: OpenConsole,
) -> None:
    async with open_console(size=(100, 60)) as console:
        await console.press("x")
        await console.press("question_mark")
        assert "Keep the position after stopping" in console.shown("LiveTable")
        await console.press("escape", "escape", "enter", "question_mark")
        help_text = console.shown("LiveTable")
        assert "Copy the whole id" in help_text
        assert "One page down" in help_text


GROUPS = sorted({action.group for action in ACTIONS if action.scope in SCREENS})


async def start_anew(console: Console) -> None:
    """Bring the console back to how it opens: to open another one costs most of a second."""
    app = console.app
    while len(app.screen_stack) > 1:
        _ = app.pop_screen()
    if app.console_state.paused_at is not None:
        app.console_state.toggle_pause()
    app.console_state.time_format = "utc"
    app.console_state.drafts.clear()
    app.theme = "quarterdeck-dark"
    console.engine.submitted.clear()
    await console.press("1")
    if app.screen.has_class("-zoomed"):
        screen(console).action_zoom()
    shown = table(console)
    shown.focus()
    shown.action_unmark()
    shown.set_filter("")
    shown.action_sort_off()
    shown.wide = True
    shown.action_wide()
    shown.model.follow = True
    shown.action_top()
    await console.pilot.pause()


@pytest.mark.parametrize("group", GROUPS)
async def test_the_keys_do_what_they_say(group: str, open_console: OpenConsole) -> None:
    wanted = [a for a in ACTIONS if a.scope in SCREENS and a.group == group]
    async with open_console() as console:
        for action in wanted:
            if console.app.return_code is None:
                await start_anew(console)
                await console.press(key_of(action.id))
                await CHECKS[action.id](console)
                wanted = wanted[1:]
    for action in wanted:  # what comes after a quit
        async with open_console() as console:
            await console.press(key_of(action.id))
            await CHECKS[action.id](console)
