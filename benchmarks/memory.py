"""Memory of a container with 1,000 executors, in a process of its own."""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.crowd import Crowd
from benchmarks.harness import Finding, repeat

EXECUTORS: Final = 1000
RUNS: Final = 3
_STATUS: Final = Path("/proc/self/status")


def measure() -> list[Finding]:
    """Compare the resident memory before and after; nothing where the system does not tell."""
    if not _STATUS.is_file():
        return []
    grown = repeat(_grown_kb, runs=RUNS, warm_up=0)
    return [
        Finding(f"resident memory of {EXECUTORS:,} executors", "MB", [kb / 1024 for kb in grown]),
        Finding("of one of them", "kB", [kb / EXECUTORS for kb in grown]),
    ]


def _grown_kb() -> float:
    """Measure in a fresh process: memory that others gave back would be taken first."""
    command = [sys.executable, "-m", __name__]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return float(done.stdout)


def _measure_here() -> int:
    with tempfile.TemporaryDirectory() as folder:
        Crowd(Path(folder), executors=10)  # loads and caches what any number needs
        before = _resident_kb()
        crowd = Crowd(Path(folder), executors=EXECUTORS)
        grown = _resident_kb() - before
        del crowd
    return grown


def _resident_kb() -> int:
    gc.collect()
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"{_STATUS} has no line VmRSS")


if __name__ == "__main__":
    print(_measure_here())
