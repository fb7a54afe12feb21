"""Memory of a container with 1,000 executors."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.crowd import Crowd
from benchmarks.harness import Finding

EXECUTORS: Final = 1000
_STATUS: Final = Path("/proc/self/status")


def measure() -> list[Finding]:
    """Compare the resident memory before and after; nothing where the system does not tell."""
    if not _STATUS.is_file():
        return []
    with tempfile.TemporaryDirectory() as folder:
        Crowd(Path(folder), executors=10)  # loads and caches what any number needs
        before = _resident_kb()
        crowd = Crowd(Path(folder), executors=EXECUTORS)
        grown = _resident_kb() - before
        del crowd
    return [
        Finding(f"resident memory of {EXECUTORS:,} executors", "MB", [grown / 1024]),
        Finding("of one of them", "kB", [grown / EXECUTORS]),
    ]


def _resident_kb() -> int:
    gc.collect()
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"{_STATUS} has no line VmRSS")
