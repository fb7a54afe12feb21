"""The agents screen beyond its keys: filters, sorting, the detail, states without agents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.testing.fake_agents import make_agents
from engine.testing.fake_console import FakeConsoleEngine
from tests.integration.shell.conftest import Console, OpenConsole
from tui.screens.agent_detail import AgentDetailScreen
from tui.settings import Settings
from tui.widgets.line_view import LineView
from tui.widgets.live_table import LiveTable

pytestmark = pytest.mark.anyio


def table(console: Console) -> LiveTable[Any]:
    return console.app.screen.query_one("#agents", LiveTable)


def page(console: Console) -> str:
    view = console.app.screen.query_one(LineView)
    return "\n".join("".join(text for text, _ in line) for line in view.lines)


async def test_filters_and_orders(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("5")

        def ids() -> list[str]:
            return [row.id for row in table(console).model.rows]

        for text, found in (
            ("state:overdue", ["vol-watch"]),
            ("took>1s", ["reconcile:main"]),
            ("fail>5", ["prices"]),
            ("origin:session !state:error", ["vol-watch", "rebalance"]),
        ):
            table(console).set_filter(text)
            assert ids() == found
        table(console).set_filter("speed<1")
        assert "there is no field 'speed'" in console.shown("#agents")
        table(console).set_filter("")
        await console.press("o", "t")
        assert ids()[0] == "reconcile:main"
        await console.press("o", "p", "g", "y")
        assert ids()[0] == "stop-guard:main"
        assert console.app.clipboard.startswith("stop-guard:main\t")


async def test_the_detail_lists_runs_slowest_first_and_acts(open_console: OpenConsole) -> None:
    async with open_console(size=(80, 24)) as console:
        await console.press("5", "G", "k", "enter")
        detail = console.app.screen
        assert isinstance(detail, AgentDetailScreen)
        assert "RequestFailed" in console.shown("#facts")
        assert page(console).splitlines()[1].split()[2] == "4.9s"
        await console.press("right_square_bracket")
        assert "4 attempts" in page(console)
        await console.press("right_square_bracket")
        assert "********" in page(console)
        await console.press("Y")
        assert "api_key\t********" in console.app.clipboard
        await console.press("left_square_bracket", "left_square_bracket", "y")
        assert console.app.clipboard == "prices"
        await console.press("R")
        assert "does not run" in console.hint()
        await console.press("s")
        assert [type(one).__name__ for one in console.engine.submitted] == ["StartAgent"]
        await console.press("z", "r", "question_mark")
        assert "Run one cycle now" in console.shown("LiveTable")
        await console.press("escape", "escape")
        assert type(console.app.screen).__name__ == "AgentsScreen"


async def test_an_agent_that_goes_away_while_it_is_shown(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("5", "enter")
        console.engine.replace_agents({})
        await console.press("r", "x")
        assert "not there any more" in console.shown("#facts")
        assert not console.engine.submitted
        await console.press("escape", "r")
        assert "No agents run" in console.shown("#agents")
        assert "No agent is selected" in console.shown("#agent")


async def test_a_read_only_console_only_looks(open_console: OpenConsole) -> None:
    async with open_console(settings=Settings(fps=0, read_only=True)) as console:
        await console.press("5", "x", "s", "R", "P", "e", "H", "u")
        assert "read only" in console.hint()
        assert type(console.app.screen).__name__ == "AgentsScreen"
        assert not console.engine.submitted


async def test_an_engine_that_starts_has_no_agents_yet(open_console: OpenConsole) -> None:
    async with open_console(FakeConsoleEngine(state="starting")) as console:
        await console.press("5", "enter", "x", "s", "R", "a", "escape")
        assert type(console.app.screen).__name__ == "AgentsScreen"


async def test_a_refusal_is_told_and_marks_make_one_command_each(
    open_console: OpenConsole,
) -> None:
    engine = FakeConsoleEngine(refusal="the execution engine does not run")
    async with open_console(engine) as console:
        await console.press("5", "space", "space", "R")
        assert len(engine.submitted) == 2
        assert "Could not run 2 agents" in console.hint()


async def test_hundreds_of_agents_scroll(open_console: OpenConsole) -> None:
    engine = FakeConsoleEngine()
    one = next(iter(make_agents().values()))
    many = {f"a{n}": replace(one, row=replace(one.row, id=f"a{n}")) for n in range(300)}
    engine.replace_agents(many)
    async with open_console(engine, size=(80, 24)) as console:
        await console.press("5", "G")
        assert table(console).model.cursor_id == "a299"
        assert "agents" in console.shown("#agent") or "a299" in console.shown("#agents")


async def test_typed_ahead_does_not_confirm(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("5")
        await console.pilot.press("x")
        await console.pilot.press("y")
        await console.pilot.pause()
        assert not console.engine.submitted


async def test_the_command_line_goes_to_the_agents(open_console: OpenConsole) -> None:
    async with open_console() as console:
        console.app.run_command(":agents")
        await console.pilot.pause()
        assert type(console.app.screen).__name__ == "AgentsScreen"


async def test_enter_on_the_flow_screen_lists_the_events_of_an_executor(
    open_console: OpenConsole,
) -> None:
    async with open_console() as console:
        await console.press("6", "g", "enter")
        overlay = console.app.screen
        assert type(overlay).__name__ == "FlowEventsScreen"
        events = overlay.query_one("#events", LiveTable)
        panel = console.engine.flow_states()[0]
        assert events.model.window.total == sum(panel.counts.values())
        for status, total in panel.counts.items():
            await console.press("right_square_bracket")
            assert events.model.window.total == total
            title = str(overlay.query_one(".overlay-box").border_title)
            assert f"Events of {panel.name} ─ {status}" in title
        await console.press("left_square_bracket", "left_square_bracket", "left_square_bracket")
        await console.press("y")
        assert "TimeoutError: no answer" in console.app.clipboard
        await console.press("escape")
        assert type(console.app.screen).__name__ == "FlowScreen"


async def test_the_dashboard_says_how_many_agents_run(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("r")
        assert "agents 7/9 ✗ 1 failed" in console.shown("#health")
        assert "tick p50 0.6 p95 1.9 ms" in console.shown("#health")
