"""Jumping, commands by name, toasts, colours and badges: what is the same on every screen."""

from __future__ import annotations

from typing import Never

import pytest
from textual.events import MouseEvent, MouseScrollDown, MouseScrollUp

from tests.integration.shell.conftest import OpenConsole
from tui.screens.executor_detail import ExecutorDetailScreen
from tui.settings import Settings
from tui.widgets.live_table import LiveTable
from tui.widgets.painted import Painted

pytestmark = pytest.mark.anyio


async def test_letters_lie_on_the_panels_and_go_away(open_console: OpenConsole) -> None:
    async with open_console(size=(80, 24)) as console:
        await console.press("2", "6", "semicolon")
        letters = [widget.lines[0][0][0] for widget in console.app.screen.query(Painted)]
        assert letters[:2] == [" a ", " s "]
        places = {widget.region.offset for widget in console.app.screen.query(Painted)}
        assert len(places) == len(letters)
        await console.press("s")
        assert console.app.focused is console.app.screen.focus_chain[1]


async def test_an_action_can_be_typed_by_its_name(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("colon", *"list.mark_all", "enter")
        assert "18 marked" in console.shown("#executors") + str(
            console.app.screen.query_one("#executors").border_title
        )
        await console.press("colon", *"exec.stop", "enter")
        assert type(console.app.screen).__name__ == "StopExecutorModal"
        assert not console.engine.submitted


async def test_an_action_of_another_screen_says_that_it_is_not_possible(
    open_console: OpenConsole,
) -> None:
    async with open_console() as console:
        await console.press("colon", *"agent.stop", "enter")
        assert "agent.stop is not possible here" in console.hint()
        await console.press("colon", *"exec.stpo", "enter")
        assert "Did you mean :exec.stop?" in console.hint()


async def test_toasts_are_three_at_most_and_equal_ones_are_counted(
    open_console: OpenConsole,
) -> None:
    async with open_console() as console:
        app = console.app

        def shown() -> list[str]:
            return [one.message for one in app._notifications]

        app.tell("the feed [x] stopped", severity="error", timeout=3_600.0)
        for _ in range(4):
            app.tell("saved")
            await console.pilot.pause()
        assert shown() == ["the feed [x] stopped", "saved  x4"]
        for name in ("one", "two", "three"):
            app.tell(name)
            await console.pilot.pause()
        assert shown() == ["the feed [x] stopped", "two", "three"]


async def test_profit_and_loss_have_the_colours_of_the_settings(open_console: OpenConsole) -> None:
    async with open_console(settings=Settings(fps=0, pnl_colors="blue_orange")) as console:
        assert console.app.theme_variables["pnl-up"] == "#56B4E9"
        assert console.app.theme_variables["pnl-down"] == "#E69F00"
        await console.press("comma", "P", "escape")
        assert console.app.settings.pnl_colors == "green_red"
        variables = console.app.theme_variables
        assert variables["pnl-up"] == variables["success"].upper() != "#56B4E9"


async def test_read_only_is_part_of_the_badge(open_console: OpenConsole) -> None:
    async with open_console(settings=Settings(fps=0, read_only=True)) as console:
        assert console.shown("TopBar").startswith(" ◌ PAPER RO ")
        await console.press("question_mark")
        assert console.shown("TopBar").startswith(" ◌ PAPER RO ")
    async with open_console() as console:
        assert " RO " not in console.shown("TopBar")


async def test_the_detail_of_an_executor_has_the_keys_of_everywhere(
    open_console: OpenConsole,
) -> None:
    async with open_console() as console:
        await console.press("enter", "v")
        assert "v has no meaning here" in console.hint()
        await console.press("T")
        assert "Times are LOCAL" in console.hint()
        assert not list(console.app._notifications)
        await console.press("p")
        assert "The display stands still" in console.hint()
        assert "PAUSED" in console.hint()
        await console.press("p")
        assert "PAUSED" not in console.hint()
        await console.press("colon", *"nonsense", "enter")
        assert "There is no command :nonsense" in console.hint()
        await console.press("colon", "escape")
        assert type(console.app.screen).__name__ == "ExecutorDetailScreen"
        await console.press("colon", *"agents", "enter")
        assert type(console.app.screen).__name__ == "AgentsScreen"


async def test_a_paused_detail_stands_still(open_console: OpenConsole) -> None:
    async with open_console(settings=Settings(fps=30)) as console:
        await console.press("enter")
        detail = console.app.screen
        assert isinstance(detail, ExecutorDetailScreen)
        await console.press("p")
        asked: list[str] = []
        detail.engine.executor = lambda *names: asked.append(names[1])  # type: ignore[method-assign]
        detail._tick()
        assert not asked
        await console.press("p")
        detail._tick()
        assert asked


async def test_a_question_that_fails_does_not_end_the_detail(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("enter")
        detail = console.app.screen
        assert isinstance(detail, ExecutorDetailScreen)

        def fails(*_: str) -> Never:
            msg = "the disk is [/gone]"
            raise OSError(msg)

        detail.engine.executor = fails  # type: ignore[method-assign, assignment]
        await console.press("r")
        detail.pull()
        assert "OSError: the disk is [/gone]" in console.hint()


async def test_the_detail_of_an_agent_has_the_keys_of_everywhere(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("5", "enter", "V")
        assert "V has no meaning here" in console.hint()
        await console.press("p")
        assert "PAUSED" in console.hint()
        await console.press("p")
        assert "PAUSED" not in console.hint()
        await console.press("E")
        assert "exported from the list of agents" in console.hint()
        await console.press("colon", *"dash", "enter")
        assert type(console.app.screen).__name__ == "DashboardScreen"


async def test_escape_dismisses_what_stays_until_it_is_dismissed(open_console: OpenConsole) -> None:
    async with open_console() as console:
        console.app.tell("the order was refused", severity="error", timeout=3_600.0)
        await console.press("space", "escape")
        assert len(list(console.app._notifications)) == 1  # the marks go first
        await console.press("escape")
        assert not list(console.app._notifications)
        assert type(console.app.screen).__name__ == "DashboardScreen"


async def test_the_wheel_scrolls_columns_with_shift_and_rows_without(
    open_console: OpenConsole,
) -> None:
    def wheel(kind: type[MouseEvent], *, shift: bool) -> MouseEvent:
        return kind(table, 5, 3, 0, 1, 0, shift, False, False)

    async with open_console(size=(80, 24)) as console:
        await console.press("2")
        table = console.app.screen.query_one("#executors", LiveTable)
        header = console.shown("#executors").splitlines()[0]
        assert "Pair" in header
        for _ in range(2):
            table.post_message(wheel(MouseScrollDown, shift=True))
        await console.pilot.pause()
        scrolled = console.shown("#executors").splitlines()[0]
        assert "Id" in scrolled
        assert "Pair" not in scrolled
        assert table.model.top == 0
        for _ in range(2):
            table.post_message(wheel(MouseScrollUp, shift=True))
        await console.pilot.pause()
        assert "Pair" in console.shown("#executors").splitlines()[0]


async def test_a_paused_display_stands_still_behind_a_dialog(open_console: OpenConsole) -> None:
    async with open_console() as console:
        await console.press("2", "p")
        before = console.shown("#executors")
        console.engine.advance()
        await console.press("question_mark", "escape")
        await console.press("1", "2")
        assert console.shown("#executors") == before
        await console.press("5")  # what was never shown shows what there is
        assert "stop-guard" in console.shown("#agents")
        await console.press("2", "p")
        assert console.shown("#executors") != before
