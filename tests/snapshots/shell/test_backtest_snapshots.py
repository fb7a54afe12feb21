"""Pictures of the backtests screens. Look at them when they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from engine.testing.fake_console import FakeConsoleEngine
from tests.snapshots.shell.test_console_snapshots import SIZES, console

Compare = Callable[..., bool]
SCENES: dict[str, tuple[str, ...]] = {
    "list": ("7", "j"),
    "viewer": ("7", "j", "j", "enter", "left", "left"),
    "containers": ("C", "j"),
}
MORE: dict[str, tuple[tuple[str, ...], tuple[int, int]]] = {
    "compare": (("7", "j", "j", "space", "space", "space", "m"), (120, 40)),
    "price": (("7", "j", "j", "enter", "c", "home", "plus", "plus"), (120, 40)),
    "months": (("7", "j", "j", "enter", "right_square_bracket"), (120, 40)),
    "spread": (("7", "j", "j", "enter", "z", "tab", *("right_square_bracket",) * 2), (80, 24)),
    "metrics": (("7", "j", "j", "enter", *("right_square_bracket",) * 3), (120, 40)),
    "running": (("7", "j", "enter"), (80, 24)),
    "failed": (("7", "G", "enter"), (80, 24)),
    "new": (("7", "n"), (80, 24)),
    "duplicate": (("7", "j", "j", "d"), (120, 40)),
    "cancel": (("7", "j", "x"), (80, 24)),
    "export": (("7", "j", "j", "E"), (80, 24)),
    "actions": (("7", "j", "a"), (80, 24)),
}


def typed(keys: tuple[str, ...]) -> Callable[[Pilot[Any]], Any]:
    """Press *keys*, each after the threads have answered."""

    async def run(pilot: Pilot[Any]) -> None:
        for key in keys:
            await pilot.press(key)
            while any(not w.is_finished and w.group != "keys" for w in pilot.app.workers):
                await pilot.pause(0.005)
            await pilot.pause()
        for field in pilot.app.screen.query(Input):
            field.cursor_blink = False
        await pilot.pause()

    return run


@pytest.mark.parametrize("theme", ["quarterdeck-dark", "quarterdeck-light"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", SCENES)
def test_screen(scene: str, size: tuple[int, int], theme: str, snap_compare: Compare) -> None:
    assert snap_compare(console(theme), terminal_size=size, run_before=typed(SCENES[scene]))


@pytest.mark.parametrize("scene", MORE)
def test_state(scene: str, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")  # the export dialog shows the folder's whole path
    keys, size = MORE[scene]
    assert snap_compare(console(), terminal_size=size, run_before=typed(keys))


@pytest.mark.parametrize("theme", ["quarterdeck-cb", "quarterdeck-mono"])
def test_viewer_in_other_themes(theme: str, snap_compare: Compare) -> None:
    app = console(theme)
    assert snap_compare(app, terminal_size=(120, 40), run_before=typed(SCENES["viewer"]))


def test_empty(snap_compare: Compare) -> None:
    app = console(state="empty")
    assert isinstance(app.console_state.engine, FakeConsoleEngine)
    assert snap_compare(app, terminal_size=(80, 24), run_before=typed(("7",)))
