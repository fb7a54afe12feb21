"""From a key press to the painted cursor line, with 1,000 live executors updating at 10 Hz."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from benchmarks.crowd import write_session
from benchmarks.first_paint import COMMAND
from benchmarks.harness import Finding, percentile
from benchmarks.terminal import Terminal

PRESSES: Final = 300
MOST_MS: Final = 50.0
CURSOR: Final = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"


def measure() -> list[Finding]:
    """Press j and k in turn in the list of executors, with a busy engine, then an idle one."""
    busy = _presses(executors=1000, quotes_per_s=25.0)
    idle = _presses(executors=30, quotes_per_s=0.01)
    return [
        Finding(
            "key to paint, 1,000 live executors at 10 Hz, 120x40",
            "ms",
            busy,
            idle,
            "the same, engine idle",
            f"p99 <= {MOST_MS:g} ms",
            percentile(busy, 0.99) <= MOST_MS,
        )
    ]


def _presses(*, executors: int, quotes_per_s: float) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        session = write_session(
            home / "crowd.yaml", executors=executors, is_fast=False, quotes_per_s=quotes_per_s
        )
        command = [COMMAND, "run", str(session), "--data-dir", str(home / "data")]
        with Terminal(command, home=home, columns=120, rows=40) as terminal:
            terminal.until_shown(" Session ")
            _wait_for_executors(terminal, executors)
            return _move_up_and_down(terminal)


def _wait_for_executors(terminal: Terminal, count: int) -> None:
    terminal.press("2")
    terminal.until_shown(f"Executors ─ {count:,}", timeout=120)
    terminal.watch(3)


def _move_up_and_down(terminal: Terminal) -> list[float]:
    # The cursor stays with its executor, wherever that has gone: begin at the top.
    terminal.press("g")
    terminal.watch(1)
    terminal.press("j")
    terminal.watch(0.5)
    row = terminal.rows_of(CURSOR)[-1]
    taken: list[float] = []
    for number in range(PRESSES):
        key, row = ("j", row + 1) if number % 2 == 0 else ("k", row - 1)
        pressed = terminal.press(key)
        taken.append((terminal.until_on_row(CURSOR, row) - pressed) * 1000)
        # Uneven pauses: the presses must not fall into step with the paint clock.
        terminal.watch(0.031 + 0.013 * (number % 11))
    return taken
