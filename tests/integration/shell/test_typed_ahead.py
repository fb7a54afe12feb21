"""What is typed faster than the console paints goes where it was meant to, or nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from textual import events
from textual.widgets import Input

from engine.api import views
from engine.testing.fake_console import FakeConsoleEngine
from tests.integration.shell.conftest import Console, OpenConsole
from tui.key_gate import MOST_HELD, KeyGate
from tui.modals.create_executor import CreateExecutorModal
from tui.widgets.live_table import LiveTable
from tui.widgets.prompt_bar import PromptInput

pytestmark = pytest.mark.anyio

NAMED = {"/": "slash", ":": "colon", ".": "full_stop", "\r": "enter", ",": "comma"}


class Loaded(FakeConsoleEngine):
    """Every question takes long: each answer is asked for many times."""

    def executors(self, session: str, **query: Any) -> views.ExecutorPage:
        for _ in range(300):
            super().executors(session, **query)
        return super().executors(session, **query)


def burst(console: Console, text: Sequence[str]) -> None:
    """Hand all keys of *text* to the app before it can take the first."""
    for one in text:
        character = one if len(one) == 1 and one != "\r" else None
        console.app.post_message(events.Key(NAMED.get(one, one), character))


async def settled(console: Console) -> None:
    """Wait until no key is held back any more."""
    await console.pilot.pause()
    while console.app._key_gate.busy:
        await console.pilot.pause()


@pytest.mark.parametrize("word", ["galaxy", "xynq", "STOP"])
async def test_a_filter_typed_in_one_burst_is_a_filter(
    open_console: OpenConsole, word: str
) -> None:
    async with open_console(Loaded()) as console:
        burst(console, f"/{word}")
        await settled(console)
        assert len(console.app.screen_stack) == 1
        assert console.app.screen.query_one(PromptInput).value == word
        table = console.app.screen.query_one("#executors", LiveTable)
        assert table.model.query.filter_text == word
        assert console.engine.submitted == []


async def test_a_command_line_typed_in_one_burst_is_carried_out(open_console: OpenConsole) -> None:
    async with open_console(Loaded()) as console:
        burst(console, ":logs\r")
        await settled(console)
        assert getattr(console.app.screen, "mode", "") == "logs"
        burst(console, ":q\ry")
        await settled(console)
        assert type(console.app.screen).__name__ == "QuitDialog"
        assert console.app.return_code is None
        assert console.engine.submitted == []


async def test_an_amount_typed_behind_the_key_for_a_new_executor_is_the_amount(
    open_console: OpenConsole,
) -> None:
    async with open_console(Loaded()) as console:
        burst(console, "n0.01")
        await settled(console)
        screen = console.app.screen
        assert isinstance(screen, CreateExecutorModal)
        assert isinstance(screen.focused, Input)
        assert screen.focused.value == "0.01"
        assert screen.form_values["amount"] == "0.01"
        assert console.engine.submitted == []


@pytest.mark.parametrize("keys", [["x", "y"], ["x", "tab", "enter"], ["q", "y"], ["q", "f"]])
async def test_nothing_is_confirmed_by_what_was_typed_before_the_dialog_was_there(
    open_console: OpenConsole, keys: list[str]
) -> None:
    async with open_console(Loaded()) as console:
        burst(console, keys)
        await settled(console)
        assert len(console.app.screen_stack) == 2
        assert console.engine.submitted == []
        assert console.app.return_code is None
        await console.press("escape")
        assert len(console.app.screen_stack) == 1


async def test_a_key_pressed_before_the_first_paint_is_dropped_however_late_it_comes(
    open_console: OpenConsole,
) -> None:
    async with open_console() as console:
        await console.press("x")
        early = events.Key("y", "y")
        early.time -= 0.5
        console.now[0] += 0.5
        console.app.post_message(early)
        await settled(console)
        assert console.engine.submitted == []
        await console.press("y")
        assert [type(one).__name__ for one in console.engine.submitted] == ["StopExecutor"]


async def test_keys_go_on_after_a_screen_has_gone(open_console: OpenConsole) -> None:
    async with open_console() as console:
        burst(console, ["question_mark", "escape", "2", "j", "slash", "b", "escape", "1", "j"])
        await settled(console)
        assert getattr(console.app.screen, "mode", "") == "dashboard"
        table = console.app.screen.query_one("#executors", LiveTable)
        assert table.model.cursor == 1


async def test_keys_searched_in_one_burst_are_found_in_the_help(open_console: OpenConsole) -> None:
    async with open_console() as console:
        burst(console, ["question_mark", *"/quit"])
        await settled(console)
        assert type(console.app.screen).__name__ == "HelpScreen"
        assert console.app.screen.query_one(PromptInput).value == "quit"


async def test_a_paste_behind_the_key_of_a_prompt_is_its_text(open_console: OpenConsole) -> None:
    async with open_console(Loaded()) as console:
        burst(console, "/")
        console.app.post_message(events.Paste("xy"))
        await settled(console)
        assert console.app.screen.query_one(PromptInput).value == "xy"


async def test_a_file_sent_as_keys_is_cut_off_and_ctrl_c_does_not_wait_for_it(
    open_console: OpenConsole,
) -> None:
    async with open_console() as console:
        burst(console, "/" + "x" * (2 * MOST_HELD))
        burst(console, ("ctrl+c",))
        await settled(console)
        assert len(console.app.screen.query_one(PromptInput).value) < 2
        assert "ctrl+c again" in console.hint()
        gate = KeyGate(console.app)
        keys = [events.Key("x", "x") for _ in range(MOST_HELD + 9)]
        assert [gate.holds(key) for key in keys] == [False, *(True for _ in keys[1:])]
        assert len(gate._held) == MOST_HELD
