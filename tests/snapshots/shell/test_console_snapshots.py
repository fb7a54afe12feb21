"""Pictures of every mode's screen and of the states that matter. Look at them when they change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.testing.fake_console import FakeConsoleEngine
from tui.app import ConsoleApp
from tui.settings import Settings

THEMES = Path(__file__).parents[3] / "themes"
SIZES = [(80, 24), (120, 40), (200, 60)]
MODES = {"dashboard": "1", "executors": "2", "agents": "5", "flow": "6", "logs": "0"}
Compare = Callable[..., bool]


def console(theme: str = "quarterdeck-dark", **engine: Any) -> ConsoleApp:
    """Return a console that stands still."""
    return ConsoleApp(
        FakeConsoleEngine(**engine),
        settings=Settings(theme=theme, fps=0),
        themes_dir=THEMES,
        clock=lambda: 0.0,
    )


@pytest.mark.parametrize("theme", ["quarterdeck-dark", "quarterdeck-light"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("mode", MODES)
def test_mode(mode: str, size: tuple[int, int], theme: str, snap_compare: Compare) -> None:
    assert snap_compare(console(theme), terminal_size=size, press=[MODES[mode]])


@pytest.mark.parametrize(
    "keys",
    [["5", "enter"], ["5", "a"], ["5", "P"], ["5", "x"], ["5", "e"]],
    ids=["detail", "actions", "priority", "stop", "edit"],
)
def test_agent(keys: list[str], snap_compare: Compare) -> None:
    assert snap_compare(console(), terminal_size=(80, 24), press=keys)


@pytest.mark.parametrize("theme", ["quarterdeck-cb", "quarterdeck-mono"])
def test_other_themes(theme: str, snap_compare: Compare) -> None:
    assert snap_compare(console(theme), terminal_size=(120, 40), press=["j", "space"])


@pytest.mark.parametrize("state", ["starting", "empty", "faulted"])
def test_states(state: str, snap_compare: Compare) -> None:
    assert snap_compare(console(state=state), terminal_size=(80, 24), press=["r"])


def test_live(snap_compare: Compare) -> None:
    assert snap_compare(console(mode="live"), terminal_size=(120, 40), press=["2", "r"])


def test_too_small(snap_compare: Compare) -> None:
    assert snap_compare(console(), terminal_size=(40, 10))


@pytest.mark.parametrize("keys", ["question_mark", "o", "q", "comma"])
def test_overlays(keys: str, snap_compare: Compare) -> None:
    assert snap_compare(console(), terminal_size=(80, 24), press=[keys])
