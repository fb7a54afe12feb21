"""Pictures of the dialogs and of the detail screen. Look at every change of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from engine.testing import fake_forms
from engine.testing.fake_console import FakeConsoleEngine
from tui.modals.create_executor import CreateExecutorModal
from tui.modals.quit import QuitDialog
from tui.modals.stop_executor import StopExecutorModal
from tui.modals.store_executor import StoreExecutorModal
from tui.modals.update_executor import UpdateExecutorModal
from tui.screens.executor_detail import ExecutorDetailScreen
from tui.theming import complete, load_theme

THEMES = Path(__file__).parents[3] / "themes"
Make = Callable[[], Screen[Any]]


class Stage(App[None]):
    """Shows one screen in one theme."""

    def __init__(self, make: Make, theme: str) -> None:
        super().__init__()
        self.register_theme(load_theme(THEMES, f"quarterdeck-{theme}"))
        self.theme = f"quarterdeck-{theme}"
        self.animation_level = "none"
        self._make = make

    def get_css_variables(self) -> dict[str, str]:
        self.theme_variables = complete(super().get_css_variables())
        return self.theme_variables

    async def on_mount(self) -> None:
        await self.push_screen(self._make())


async def settle(pilot: Pilot[None]) -> None:
    """Let every message be handled, with cursors that do not blink."""
    for field in pilot.app.screen.query(Input):
        field.cursor_blink = False
    await pilot.pause()
    await pilot.pause()


def create() -> Screen[Any]:
    return CreateExecutorModal(
        FakeConsoleEngine(types=(fake_forms.POSITION, fake_forms.TWAP)),
        "main",
        prefill={
            "amount": "0.04",
            "triple_barrier_config.stop_loss": "2%",
            "triple_barrier_config.take_profit": "0.03",
            "triple_barrier_config.time_limit": "4hh",
        },
    )


def stop(mode: str = "paper", places: tuple[int, ...] = (0, 1, 3, 5, 10)) -> Screen[Any]:
    engine = FakeConsoleEngine(mode=mode)
    return StopExecutorModal(engine, "main", [engine.row_at(place) for place in places])


def update(place: int = 0) -> Screen[Any]:
    engine = FakeConsoleEngine()
    return UpdateExecutorModal(engine, "main", engine.row_at(place).id)


def store() -> Screen[Any]:
    engine = FakeConsoleEngine()
    return StoreExecutorModal(engine, "main", [engine.row_at(place) for place in (8, 10, 11)])


def quitting() -> Screen[Any]:
    return QuitDialog(FakeConsoleEngine(), "main")


def detail(place: int, mode: str = "paper") -> Screen[Any]:
    engine = FakeConsoleEngine(mode=mode)
    return ExecutorDetailScreen(engine, "main", engine.row_at(place).id, fps=0, clock=lambda: 0.0)


CASES: list[tuple[str, Make, tuple[int, int], str, tuple[str, ...]]] = [
    ("create-80", create, (80, 24), "dark", ()),
    ("create-120", create, (120, 40), "dark", ()),
    ("create-200", create, (200, 60), "dark", ()),
    ("create-120-light", create, (120, 40), "light", ()),
    ("stop-80", stop, (80, 24), "dark", ()),
    ("stop-120", stop, (120, 40), "dark", ()),
    ("stop-live-200", lambda: stop("live"), (200, 60), "dark", ()),
    ("stop-120-light", stop, (120, 40), "light", ()),
    ("update-80", update, (80, 24), "dark", ()),
    ("update-120-light", update, (120, 40), "light", ()),
    ("update-refused-80", lambda: update(9), (80, 24), "dark", ()),
    ("store-80", store, (80, 24), "dark", ()),
    ("quit-80", quitting, (80, 24), "dark", ()),
    ("detail-80", lambda: detail(0), (80, 24), "dark", ()),
    ("detail-failed-80", lambda: detail(8), (80, 24), "dark", ("right_square_bracket",)),
    ("detail-120", lambda: detail(0), (120, 40), "dark", ()),
    ("detail-config-120-light", lambda: detail(3), (120, 40), "light",
     ("left_square_bracket", "left_square_bracket")),
    ("detail-live-200", lambda: detail(10, "live"), (200, 60), "dark", ("right_square_bracket",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "size", "theme", "keys"),
    [pytest.param(*case[1:], id=case[0]) for case in CASES],
)
def test_dialogs_look_as_they_should(
    snap_compare: Callable[..., bool],
    make: Make,
    size: tuple[int, int],
    theme: str,
    keys: tuple[str, ...],
) -> None:
    assert snap_compare(Stage(make, theme), press=keys, terminal_size=size, run_before=settle)
