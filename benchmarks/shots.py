"""``make shots``: pictures of every screen and dialog into ``shots/``, and the README's own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import anyio
from textual.widgets import Input

from engine.testing.fake_console import FakeConsoleEngine
from tui.app import ConsoleApp
from tui.settings import Settings

ROOT: Final = Path(__file__).parents[1]
SIZES: Final = ((80, 24), (120, 40), (200, 60))
TOO_SMALL: Final = (40, 10)
THEMES: Final = ("dark", "light")
_TO_RUNNING: Final = ("j",) * 5
_TO_ENDED: Final = ("j",) * 10
SCENES: Final[dict[str, tuple[str, ...]]] = {
    "dashboard": ("1",),
    "executors": ("2",),
    "agents": ("5",),
    "agent": ("5", "enter"),
    "flow": ("6",),
    "studies": ("8", "j", "j"),
    "study": ("8", "j", "j", "enter"),
    "heat-map": ("8", "j", "j", "enter", "right_square_bracket"),
    "logs": ("0",),
    "backtests": ("7", "j"),
    "backtest": ("7", "j", "j", "enter", "left"),
    "compare": ("7", "j", "j", "space", "space", "space", "m"),
    "run-backtest": ("7", "n"),
    "containers": ("C", "j"),
    "detail": ("2", *_TO_RUNNING, "enter"),
    "create": ("2", "n"),
    "stop": ("2", *_TO_RUNNING, "x"),
    "update": ("2", *_TO_RUNNING, "e"),
    "store": ("2", *_TO_ENDED, "S"),
    "settings": ("comma",),
    "help": ("question_mark",),
    "palette": ("ctrl+p",),
    "quit": ("q",),
}
"""The keys that lead to each scene."""
README_SHOT: Final = ROOT / "docs" / "console.svg"


async def shoot(theme: str, size: tuple[int, int], keys: tuple[str, ...]) -> str:
    """Return the picture of a console that stands still, after *keys*, as SVG."""
    app = ConsoleApp(
        FakeConsoleEngine(),
        settings=Settings(theme=f"quarterdeck-{theme}", fps=0),
        themes_dir=ROOT / "themes",
        clock=lambda: 0.0,
    )
    async with app.run_test(size=size) as pilot:
        for key in keys:
            await pilot.press(key)
            await _threads_answer(app)
            await pilot.pause()
            await pilot.pause()
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await pilot.pause()
        return app.export_screenshot(title="quarterdeck")


async def _threads_answer(app: ConsoleApp) -> None:
    """Wait for every worker but the one that lets keys pass, which never ends."""
    waited = [worker for worker in app.workers if worker.group != "keys"]
    if waited:
        await app.workers.wait_for_complete(waited)


async def main() -> None:
    """Take all pictures."""
    folder = ROOT / "shots"
    folder.mkdir(exist_ok=True)
    for theme in THEMES:
        for columns, rows in SIZES:
            for scene, keys in SCENES.items():
                name = f"{scene}-{columns}x{rows}-{theme}.svg"
                await _write(folder / name, await shoot(theme, (columns, rows), keys))
        columns, rows = TOO_SMALL
        name = f"too-small-{columns}x{rows}-{theme}.svg"
        await _write(folder / name, await shoot(theme, TOO_SMALL, ()))
    README_SHOT.parent.mkdir(exist_ok=True)
    await _write(README_SHOT, await shoot("dark", (120, 40), SCENES["dashboard"]))


async def _write(path: Path, picture: str) -> None:
    await anyio.Path(path).write_text(picture, encoding="utf-8")
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    anyio.run(main)
