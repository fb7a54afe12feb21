"""Theme files of the operator: listed, shown, read again when they change, never fatal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.testing.fake_console import FakeConsoleEngine
from tests.integration.shell.conftest import THEMES
from tui.app import ConsoleApp
from tui.settings import Settings

pytestmark = pytest.mark.anyio

SEA = 'name: sea\ndark: true\nprimary: "#5ea8f2"\nbackground: "#001018"\nvariables:\n'


def write(path: Path, text: str, stamp: int) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(stamp, stamp))


def console(own: Path, theme: str = "sea") -> ConsoleApp:
    return ConsoleApp(
        FakeConsoleEngine(),
        settings=Settings(fps=0, theme=theme),
        themes_dir=THEMES,
        own_themes_dir=own,
        clock=lambda: 0.0,
    )


async def test_an_own_theme_is_shown_and_follows_its_file(tmp_path: Path) -> None:
    file = tmp_path / "themes" / "sea.yaml"
    write(file, SEA + '  pnl-up: "#00ff00"\n', 1)
    app = console(file.parent)
    async with app.run_test() as pilot:
        assert app.theme == "sea"
        assert "sea" in app.known_themes()
        assert app.theme_variables["pnl-up"] == "#00ff00"
        write(file, SEA + '  pnl-up: "#11ee11"\n', 2)
        app._reload_theme()
        await pilot.pause()
        assert app.theme_variables["pnl-up"] == "#11ee11"
        write(file, SEA + "  pnl-up: greenish\n", 3)
        for _ in range(2):
            app._reload_theme()
            await pilot.pause()
        told = [one.message for one in app._notifications]
        assert told == [
            "sea.yaml:6: variables.pnl-up: 'greenish' is not a colour such as '#5ea8f2'"
        ]
        assert app.theme_variables["pnl-up"] == "#11ee11"


async def test_a_bad_own_theme_falls_back_and_says_the_line(tmp_path: Path) -> None:
    write(tmp_path / "themes" / "sea.yaml", SEA.replace("#5ea8f2", "blau"), 1)
    app = console(tmp_path / "themes")
    async with app.run_test() as pilot:
        await pilot.pause()
        assert app.theme == "quarterdeck-dark"
        assert any("sea.yaml:3: primary: 'blau'" in one.message for one in app._notifications)
        assert not app.use_theme("../sea")


async def test_an_own_theme_may_replace_one_of_ours(tmp_path: Path) -> None:
    write(tmp_path / "themes" / "quarterdeck-dark.yaml", SEA + '  pnl-up: "#00ff00"\n', 1)
    app = console(tmp_path / "themes", "quarterdeck-dark")
    async with app.run_test():
        assert app.theme == "quarterdeck-dark"
        assert app.theme_variables["pnl-up"] == "#00ff00"
        assert app.known_themes().count("quarterdeck-dark") == 1
        assert app.use_theme("nord")
        assert app.use_theme("quarterdeck-light")
