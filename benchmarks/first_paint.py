"""From the start of the process to the first frame, beside an empty Textual app."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.harness import Finding, interleave
from benchmarks.terminal import Terminal

RUNS: Final = 11
MOST: Final = 1.5
COMMAND: Final = str(Path(sys.executable).with_name("quarterdeck"))
EMPTY_APP: Final = str(Path(__file__).with_name("empty_app.py"))


def measure() -> list[Finding]:
    """Measure both in turns, each in a fresh process, after one run that fills the caches."""
    ours, reference = interleave(_quarterdeck, _empty_app, runs=RUNS)
    return [
        Finding(
            "process start to first paint, 120x40",
            "ms",
            ours,
            reference,
            "Textual: Header, DataTable",
            f"<= {MOST}x",
            median(ours) <= MOST * median(reference),
        )
    ]


def _quarterdeck() -> float:
    with tempfile.TemporaryDirectory() as folder:
        return _first_paint(
            [COMMAND, "--data-dir", folder], Path(folder), " Session ", " Event flow "
        )


def _empty_app() -> float:
    with tempfile.TemporaryDirectory() as folder:
        return _first_paint([sys.executable, EMPTY_APP], Path(folder), "Reference", "Nothing")


def _first_paint(command: Sequence[str], home: Path, *texts: str) -> float:
    with Terminal(command, home=home, columns=120, rows=40) as terminal:
        return (terminal.until_shown(*texts) - terminal.started) * 1000
