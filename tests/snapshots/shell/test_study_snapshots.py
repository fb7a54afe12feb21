"""Pictures of the studies: table, heat map, pages, dialogs. Look at them when they change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.testing.fake_console import FakeConsoleEngine
from tui.app import ConsoleApp
from tui.settings import Settings

THEMES = Path(__file__).parents[3] / "themes"
SIZES = [(80, 24), (120, 40), (200, 60)]
DONE = ["8", "g", "j", "j"]
MAP = [*DONE, "enter", "right_square_bracket"]
FOLDS = [*DONE, "j", "enter", *["right_square_bracket"] * 3]
Compare = Callable[..., bool]


def console(theme: str = "quarterdeck-dark") -> ConsoleApp:
    """Return a console that stands still."""
    return ConsoleApp(
        FakeConsoleEngine(),
        settings=Settings(theme=theme, fps=0),
        themes_dir=THEMES,
        clock=lambda: 0.0,
    )


@pytest.mark.parametrize("theme", ["quarterdeck-dark", "quarterdeck-light"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("keys", [DONE, MAP], ids=["list", "map"])
def test_studies(keys: list[str], size: tuple[int, int], theme: str, snap_compare: Compare) -> None:
    assert snap_compare(console(theme), terminal_size=size, press=keys)


@pytest.mark.parametrize("theme", ["quarterdeck-cb", "quarterdeck-mono"])
def test_map_in_other_themes(theme: str, snap_compare: Compare) -> None:
    assert snap_compare(console(theme), terminal_size=(120, 40), press=MAP)


@pytest.mark.parametrize("theme", ["quarterdeck-cb", "quarterdeck-mono"])
@pytest.mark.parametrize(
    "keys",
    [[*DONE, "enter"], [*MAP, "right_square_bracket"], [*FOLDS, "greater_than_sign"],
     [*DONE, "enter", *MAP[-1:] * 4]],
    ids=["trials", "in-out", "folds", "importance"],
)  # fmt: skip
def test_pages_in_other_themes(keys: list[str], theme: str, snap_compare: Compare) -> None:
    assert snap_compare(console(theme), terminal_size=(120, 40), press=keys)


@pytest.mark.parametrize(
    "keys",
    [[*DONE, "enter"], [*MAP, "right_square_bracket"], FOLDS,
     [*DONE, "k", "x"], [*DONE, "enter", "b"], [*DONE, "enter", *MAP[-1:] * 4],
     [*DONE, "enter", *MAP[-1:] * 5], [*DONE, "enter", "a"], [*DONE, "k", "enter"],
     [*DONE, "j", "enter", "right_square_bracket", *["greater_than_sign"] * 2]],
    ids=["trials", "in-out", "folds", "cancel", "axes", "importance", "report", "actions",
         "running", "map-of-a-fold"],
)  # fmt: skip
def test_study(keys: list[str], snap_compare: Compare) -> None:
    assert snap_compare(console(), terminal_size=(80, 24), press=keys)


@pytest.mark.parametrize("size", SIZES[1:], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("tab", [0, 2, 3, 5], ids=["trials", "in-out", "folds", "report"])
def test_pages_with_room(tab: int, size: tuple[int, int], snap_compare: Compare) -> None:
    keys = FOLDS if tab == 3 else [*DONE, "enter", *["right_square_bracket"] * tab]
    assert snap_compare(console(), terminal_size=size, press=keys)
