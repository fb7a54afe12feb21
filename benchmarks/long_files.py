"""Memory of ``quarterdeck backtest`` over long CSV files: the command itself, watched from outside.

The system tells how much of a process is anonymous memory, which must be kept, and how much is
pages of files: programs, and columns in temporary files, which it may take away at any time.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from benchmarks.harness import Finding

LENGTHS: Final = (1_000_000, 4_000_000)
EVENT_LENGTHS: Final = (750_000, 1_500_000)
MOST_MIB: Final = 300
_AT_ONCE: Final = 500_000
_MINUTE_NS: Final = 60_000_000_000
_POLL_S: Final = 0.005
_KIB: Final = 1024
_CONFIG: Final = """
version: 1
backtest:
  data:
    - {{symbol: X, path: {file}, bar: 1m}}
  components:
    strategy: {{class: sma_cross, params: {{fast: 10, slow: 30}}}}
    portfolio: {{params: {{initial_cash: 10000000}}}}
    risk_manager: {{params: {{sizer: {{kind: fixed, qty: 10}}}}}}
    broker: {{params: {{commission_model: {{kind: percent, rate: 0.001}}}}}}
"""


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory that a process had, in bytes."""

    resident: int
    anonymous: int


def write_file(path: Path, length: int) -> None:
    """Write *length* minutes of a seeded random walk to *path*."""
    rng = np.random.default_rng(1)
    last = 100_000
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, length, _AT_ONCE):
            size = min(_AT_ONCE, length - start)
            close = np.maximum(20_000, last + np.cumsum(rng.integers(-20, 21, size)))
            opening = np.concatenate(([last], close[:-1]))
            last = int(close[-1])
            columns = {
                "open": opening,
                "high": np.maximum(opening, close) + rng.integers(0, 15, size),
                "low": np.minimum(opening, close) - rng.integers(0, 15, size),
                "close": close,
            }
            stamps = pl.Series(np.arange(start, start + size) * _MINUTE_NS)
            frame = pl.DataFrame(
                [
                    stamps.cast(pl.Datetime("ns")).dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("time"),
                    *(pl.Series(name, ticks / 100) for name, ticks in columns.items()),
                    pl.Series("volume", rng.integers(1, 5000, size)),
                ]
            )
            file.write(frame.write_csv(include_header=not start))


def peak_of(folder: Path, length: int, *options: str) -> Peak:
    """Run the command on *length* bars in *folder* and return the most memory that it had."""
    file = folder / f"{length}.csv"
    if not file.is_file():
        write_file(file, length)
    config = folder / f"{length}.yaml"
    config.write_text(_CONFIG.format(file=file.name), encoding="utf-8")
    command = [sys.executable, "-m", "tui", "backtest", str(config), "--json", *options]
    most: dict[str, int] = {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            for name, size in _sizes(status):
                most[name] = max(most.get(name, 0), size)
            time.sleep(_POLL_S)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Peak(most["VmHWM"], most["RssAnon"])


def _sizes(status: Path) -> list[tuple[str, int]]:
    try:
        lines = status.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    fields = (line.split() for line in lines if line.startswith(("VmHWM:", "RssAnon:")))
    return [(name.rstrip(":"), int(size) * _KIB) for name, size, _ in fields]


def measure() -> list[Finding]:
    """Return what was found; nothing where the system does not tell."""
    if not Path("/proc/self/status").is_file():
        return []
    short, long = LENGTHS
    with tempfile.TemporaryDirectory(prefix="quarterdeck-bench-") as name:
        folder = Path(name)
        peak_of(folder, 50_000)  # compiles the kernels if nobody has
        first, last = peak_of(folder, short), peak_of(folder, long)
        written = peak_of(folder, long, "--out", str(folder / "out"))
        events = [peak_of(folder, one, "--engine", "events") for one in EVENT_LENGTHS]
    resident = first.resident / 2**20
    return [
        Finding(
            f"quarterdeck backtest, {short:,} bars in a CSV file, peak memory",
            "MiB",
            [resident],
            target=f"<= {MOST_MIB}",
            is_met=resident <= MOST_MIB,
        ),
        Finding("of it anonymous", "MiB", [first.anonymous / 2**20]),
        Finding(f"anonymous, {long:,} bars", "MiB", [last.anonymous / 2**20]),
        Finding(f"anonymous, {long:,} bars, with --out", "MiB", [written.anonymous / 2**20]),
        _per_bar("compiled", (first, last), LENGTHS),
        _per_bar("events", (events[0], events[1]), EVENT_LENGTHS),
    ]


def _per_bar(engine: str, peaks: tuple[Peak, Peak], lengths: tuple[int, int]) -> Finding:
    """Return the memory of each further bar, that of its orders, fills and trades with it."""
    grown = (peaks[1].anonymous - peaks[0].anonymous) / (lengths[1] - lengths[0])
    subject = f"anonymous memory of each further bar, engine {engine}"
    return Finding(subject, "B", [grown], target="<= 40", is_met=grown <= 40)
