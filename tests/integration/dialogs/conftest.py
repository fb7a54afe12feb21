"""A bare app with the console's colours, to open one dialog or one screen in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen

from tui.state.text import plain
from tui.theming import complete, load_theme
from tui.widgets.painted import Painted

THEMES = Path(__file__).parents[3] / "themes"

OpenStage = Callable[..., AbstractAsyncContextManager[Pilot[None]]]


class Stage(App[None]):
    """Shows *screen* and hands its result to *done*."""

    def __init__(self, screen: Screen[Any], done: Callable[[Any], None]) -> None:
        super().__init__()
        self.register_theme(load_theme(THEMES, "quarterdeck-dark"))
        self.theme = "quarterdeck-dark"
        self.animation_level = "none"
        self._screen_on_show = screen
        self._done = done

    def get_css_variables(self) -> dict[str, str]:
        self.theme_variables = complete(super().get_css_variables())
        return self.theme_variables

    async def on_mount(self) -> None:
        await self.push_screen(self._screen_on_show, self._done)


@pytest.fixture
def open_stage() -> OpenStage:
    """Open a screen: ``async with open_stage(screen, results.append, size=(80, 24)) as pilot``."""

    @asynccontextmanager
    async def opened(
        screen: Screen[Any],
        done: Callable[[Any], None] = lambda _: None,
        *,
        size: tuple[int, int] = (120, 40),
    ) -> AsyncIterator[Pilot[None]]:
        async with Stage(screen, done).run_test(size=size) as pilot:
            await pilot.pause()
            yield pilot

    return opened


@pytest.fixture
def shown() -> Callable[[Pilot[None], str], str]:
    """Return what the painted widget behind a selector says."""

    def text(pilot: Pilot[None], selector: str) -> str:
        lines = pilot.app.screen.query_one(selector, Painted).lines
        return "\n".join(plain(line) for line in lines)

    return text
