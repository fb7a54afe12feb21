"""Pictures of the dialogs over lists. Look at them when they change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.testing.fake_console import FakeConsoleEngine
from tui.app import ConsoleApp
from tui.settings import Settings

THEMES = Path(__file__).parents[3] / "themes"
SIZES = [(80, 24), (120, 40)]
CONTROLLERS = {"grid-b": "running", "momentum-btc": "stopped", "basis-eth": "failed"}
Compare = Callable[..., bool]


def console(mode: str = "paper", controllers: dict[str, str] | None = None) -> ConsoleApp:
    """Return a console that stands still."""
    engine = FakeConsoleEngine(mode=mode)
    engine.controllers = dict(CONTROLLERS if controllers is None else controllers)
    return ConsoleApp(
        engine,
        settings=Settings(theme="quarterdeck-dark", fps=0),
        themes_dir=THEMES,
        clock=lambda: 0.0,
    )


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    "keys",
    [["2", "K"], ["2", "K", "a"], ["6", "enter"], ["6", "j", "enter", "right_square_bracket"]],
    ids=["controllers", "stop-controller", "events", "events-of-one-status"],
)
def test_dialogs(keys: list[str], size: tuple[int, int], snap_compare: Compare) -> None:
    assert snap_compare(console(), terminal_size=size, press=keys)


def test_flattening_a_live_controller_wants_a_word(snap_compare: Compare) -> None:
    assert snap_compare(console("live"), terminal_size=(80, 24), press=["2", "K", "a"])


def test_more_controllers_than_lines(snap_compare: Compare) -> None:
    many = {f"controller-{number:02}": "running" for number in range(30)}
    assert snap_compare(console(controllers=many), terminal_size=(80, 24), press=["2", "K"])
