"""Theme and time format are kept when they are chosen, never before, and never in the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from textual.worker import WorkerFailed

from engine.testing.fake_console import FakeConsoleEngine
from tests.integration.shell.conftest import THEMES
from tui.app import ConsoleApp
from tui.settings import Settings

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(
    save: Callable[[Settings], None] | None, *, theme: str | None = None
) -> AsyncIterator[Pilot[None]]:
    app = ConsoleApp(
        FakeConsoleEngine(),
        settings=Settings(fps=0),
        theme=theme,
        save=save,
        themes_dir=THEMES,
        clock=lambda: 100.0,
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        yield pilot


async def settle(pilot: Pilot[None]) -> None:
    await saving_ends(pilot)
    await pilot.pause()


async def saving_ends(pilot: Pilot[None]) -> None:
    # Of the app's workers the one behind the keys never ends.
    workers = [worker for worker in pilot.app.workers if worker.group == "settings"]
    if workers:  # an empty list would mean all of them
        await pilot.app.workers.wait_for_complete(workers)


async def test_nothing_is_kept_before_a_choice_nor_by_a_look() -> None:
    kept: list[Settings] = []
    async with opened(kept.append) as pilot:
        await pilot.press("comma", "j", "escape")
        await settle(pilot)
    assert kept == []


async def test_the_theme_taken_in_settings_and_the_time_format_are_kept() -> None:
    kept: list[Settings] = []
    async with opened(kept.append) as pilot:
        await pilot.press("comma", "j", "enter")
        await settle(pilot)
        assert kept == [Settings(fps=0, theme=pilot.app.theme)]
        assert pilot.app.theme != Settings().theme
        await pilot.press("T")
        await settle(pilot)
        assert kept[-1] == Settings(fps=0, theme=pilot.app.theme, time_format="local")


async def test_the_theme_of_the_command_line_holds_for_one_run() -> None:
    kept: list[Settings] = []
    async with opened(kept.append, theme="quarterdeck-light") as pilot:
        assert pilot.app.theme == "quarterdeck-light"
        await pilot.press("T")
        await settle(pilot)
        assert [settings.theme for settings in kept] == [Settings().theme]
        await pilot.press("colon")
        pilot.app.screen.query_one(Input).value = "theme quarterdeck-mono"
        await pilot.press("enter")
        await settle(pilot)
        assert [settings.theme for settings in kept] == [Settings().theme, "quarterdeck-mono"]


def refuse(settings: Settings) -> None:
    raise OSError(f"[no] room for {settings.time_format}")


async def test_a_file_that_cannot_be_written_is_told_and_the_choice_holds() -> None:
    async with opened(refuse) as pilot:
        await pilot.press("T")
        with suppress(WorkerFailed):
            await saving_ends(pilot)
        await pilot.pause()
        (note,) = pilot.app._notifications
        assert note.message.endswith("they were not saved: [no] room for local")
        assert note.severity == "warning"


async def test_without_a_place_to_keep_them_choices_still_work() -> None:
    async with opened(None) as pilot:
        await pilot.press("T")
        await settle(pilot)
        assert not pilot.app._notifications
