"""The whole console over an engine that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from engine.testing.fake_console import FakeConsoleEngine
from tui.app import ConsoleApp
from tui.settings import Settings
from tui.widgets.key_bar import KeyBar
from tui.widgets.painted import Painted

THEMES = Path(__file__).parents[3] / "themes"


@dataclass
class Console:
    """A running console with its engine and its hand-turned clock."""

    app: ConsoleApp
    engine: FakeConsoleEngine
    pilot: Pilot[None]
    now: list[float]

    async def press(self, *keys: str) -> None:
        """Press keys half a second later, past every guard, and let everything settle."""
        self.now[0] += 0.5
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def settle(self) -> None:
        """Wait for the threads that read files for the screen, and show what they found."""
        while any(not worker.is_finished and worker.group != "keys" for worker in self.app.workers):
            await self.pilot.pause(0.005)
        await self.pilot.pause()
        await self.pilot.pause()

    def shown(self, selector: str | type[Painted]) -> str:
        """Return the text that a painted widget shows."""
        return "\n".join(
            "".join(segment.text for segment in widget.render_line(y))
            for widget in self.app.screen.query(selector)
            for y in range(widget.size.height)
        )

    def hint(self) -> str:
        """Return the text of the key bar."""
        return self.shown(KeyBar)


OpenConsole = Callable[..., AbstractAsyncContextManager[Console]]


def widget_lines(widget: Widget) -> list[str]:
    """Return what a line-painting widget shows."""
    return [
        "".join(segment.text for segment in widget.render_line(y))
        for y in range(widget.size.height)
    ]


@pytest.fixture
def open_console() -> OpenConsole:
    """Open a console: ``async with open_console(size=(80, 24)) as console``."""

    @asynccontextmanager
    async def opened(
        engine: FakeConsoleEngine | None = None,
        *,
        size: tuple[int, int] = (120, 40),
        settings: Settings | None = None,
    ) -> AsyncIterator[Console]:
        fake = engine or FakeConsoleEngine()
        now = [100.0]
        app = ConsoleApp(
            fake,
            settings=settings or Settings(fps=0),
            themes_dir=THEMES,
            clock=lambda: now[0],
        )
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            yield Console(app, fake, pilot, now)

    return opened
