"""Studies beside other programs: one grid of crossovers, and what the optimiser itself costs.

100 pairs of means over 100,000 bars, all in, 0.1 % of commission, filled at the next open. No two
means are ever equal, so that every program sees the same crossovers. Equity and trades of every
pair are compared before anything is timed against a peer. The peers run where `QUARTERDECK_PEERS`
names their environment (see `benchmarks.backtest_peers`).
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np

from benchmarks.backtest import Loop, crossover, make_prices
from benchmarks.harness import Finding
from engine.model.bar_columns import IntArray
from engine.strategies.indicators import rolling_sum

BARS = 100_000
FAST, SLOW = range(5, 25, 2), range(30, 80, 5)
PAIRS = [[fast, slow] for fast in FAST for slow in SLOW]
FEW_FAST, FEW_SLOW = (7, 11, 15, 19), (30, 35, 45, 55, 60, 70)
FEW = [[fast, slow] for fast in FEW_FAST for slow in FEW_SLOW]
"""For what takes seconds for each pair."""
GRID = [[fast, slow] for fast in range(5, 25) for slow in range(30, 70, 2)]
GRID_BARS = 40_000
"""Of the grid of 400 with statistics: the peer needs gigabytes for more."""
IDLE_TRIALS = 4000
BARE_STEPS = 60_000_000
TICKS = 10_000
"""Of a price of 1."""
Rows = Sequence[Sequence[float]]


def measure() -> list[Finding]:
    """Return what was found."""
    with tempfile.TemporaryDirectory(prefix="quarterdeck-bench-") as scratch:
        folder = Path(scratch)
        bars = _save_bars(folder / "bars.npz", BARS, PAIRS)
        short = _save_bars(folder / "short.npz", GRID_BARS, GRID)
        return [
            *_compiled(folder, bars),
            *_events(folder, bars),
            *_two_processes(folder, bars),
            *_grid(folder, short),
            *_overhead(folder),
        ]


def _save_bars(path: Path, length: int, pairs: Rows) -> Path:
    loop: Loop = numba.njit(nogil=True)(crossover)
    prices = make_prices(length, loop)
    close = _without_ties(np.rint(prices.close * TICKS).astype(np.int64), pairs) / TICKS
    high, low = np.maximum(prices.high, close), np.minimum(prices.low, close)
    volume = np.ones(length)
    np.savez(path, open=prices.opening, high=high, low=low, close=close, volume=volume)
    return path


def _without_ties(close: IntArray, pairs: Rows) -> IntArray:
    """Move closes by a tick until no two means of a pair are equal."""
    for _ in range(100):
        ties = set()
        for fast, slow in pairs:
            of_fast, of_slow = (rolling_sum(close, int(length)) for length in (fast, slow))
            tied = np.flatnonzero(of_fast * int(slow) == of_slow * int(fast))
            ties.update(tied[tied >= int(slow) - 1].tolist())
        if not ties:
            return close
        close = close.copy()
        close[sorted(ties)] += 1
    raise RuntimeError("means stay equal whatever is done")


def _own(folder: Path, what: str, given: dict[str, Any]) -> dict[str, Any]:
    """Run our side in a process of its own and return what it found."""
    path = folder / "given.json"
    path.write_text(json.dumps(given), encoding="utf-8")
    # As with the installed command, the workers do not import what the main module does.
    start = "import sys; from benchmarks.optimize_runs import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", start, what, str(path)]
    found: dict[str, Any] = _last_line(command)
    return found


def _peer(folder: Path, name: str, bars: Path, pairs: Rows) -> dict[str, Any] | None:
    """Run a peer; None without its environment, or when it fails."""
    home = os.environ.get("QUARTERDECK_PEERS")
    if not home:
        return None
    path = folder / "pairs.json"
    path.write_text(json.dumps(pairs), encoding="utf-8")
    script = Path(__file__).with_name("optimize_peers.py")
    try:
        return _last_line([str(Path(home) / "bin" / "python"), str(script), name, bars, path])
    except (OSError, subprocess.CalledProcessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        print(f"{name}: {said[-1] if said else 'failed'}")
        return None


def _last_line(command: Sequence[str | Path]) -> dict[str, Any]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _same(ours: Rows, theirs: Rows) -> str:
    """Return in words that the trades are equal and how far the equity is apart at the most.

    Raises:
        AssertionError: the number of trades of a pair differs, or its equity by more than 0.5 %.
    """
    gaps = [abs(own[0] / other[0] - 1.0) for own, other in zip(ours, theirs, strict=True)]
    trades = [own[1] - other[1] for own, other in zip(ours, theirs, strict=True)]
    if any(trades) or max(gaps) > 0.005:
        raise AssertionError(f"trades differ by {trades}, equity by {gaps}")
    return f"same trades, equity within {max(gaps):.0e}"


def _study(bars: Path, backend: str, pairs: Rows, **more: Any) -> dict[str, Any]:
    fast, slow = (sorted({int(pair[side]) for pair in pairs}) for side in (0, 1))
    return {
        "bars": str(bars),
        "backend": backend,
        "workers": os.cpu_count() or 1,
        "out_of_sample": "0.3",
        "fast": fast,
        "slow": slow,
        "first": {"fast": fast[:1], "slow": slow[:1]},
        **more,
    }


def _compiled(folder: Path, bars: Path) -> list[Finding]:
    """100 pairs, whole studies: metrics, both parts of the data, journal, the best run again."""
    runs = [_own(folder, "study", _study(bars, "kernel", PAIRS, engine="auto")) for _ in range(3)]
    count = len(PAIRS)
    each = [run["cpu"] / count * 1e3 for run in runs]
    memory = [run["memory"] for run in runs]
    speed = [count / run["seconds"] for run in runs]
    peer = _peer(folder, "vectorbt", bars, PAIRS)
    name, cpu, peak, rate = "", [], [], []
    if peer is not None:
        name = f"vectorbt ({_same(runs[0]['rows'], peer['rows'])})"
        cpu, peak = [peer["cpu"] / count * 1e3], [peer["memory"]]
        rate = [count / peer["seconds"]]
    title = f"{count} pairs, {BARS:,} bars, compiled"
    return [
        Finding(f"{title}: CPU a trial", "ms", each, cpu, name, "<= 5", min(each) <= 5),
        Finding(f"{title}: trials", "1/s", speed, rate, name and "vectorbt"),
        Finding(
            f"{title}: peak memory", "MiB", memory, peak, name and "vectorbt", "<= 300",
            max(memory) <= 300,
        ),
    ]  # fmt: skip


def _events(folder: Path, bars: Path) -> list[Finding]:
    """A few pairs on the event path in processes, beside the optimiser of backtesting.py."""
    count = len(FEW)
    given = _study(bars, "process", FEW, engine="events")
    one, two = (_own(folder, "study", given | {"workers": workers}) for workers in (1, 2))
    if one["hash"] != two["hash"]:
        raise AssertionError("one and two processes made different tables")
    compiled = _own(folder, "study", _study(bars, "kernel", FEW, engine="auto"))
    if compiled["hash"] != one["hash"]:
        raise AssertionError("the compiled pass and the event path made different tables")
    peer = _peer(folder, "backtesting", bars, FEW)
    each = [run["cpu"] / count * 1e3 for run in (one, two)]
    name, cpu, is_met = "", [], None
    if peer is not None:
        name = f"backtesting.py ({_same(one['rows'], peer['rows'])})"
        cpu = [peer["cpu"] / count * 1e3]
        is_met = min(each) <= cpu[0] / 2
    title = f"{count} pairs, {BARS:,} bars, event path: CPU a trial"
    return [Finding(title, "ms", each, cpu, name, "<= half", is_met)]


def _two_processes(folder: Path, bars: Path) -> list[Finding]:
    """All pairs on the event path in one process and in two, from the start of the workers on.

    What the machine itself gives to two processes is measured between them: a bare loop, twice.
    """
    given = _study(bars, "process", PAIRS, engine="events")
    one = _own(folder, "study", given | {"workers": 1})
    machine = 2 * _bare_loops(1) / _bare_loops(2)
    two = _own(folder, "study", given | {"workers": 2})
    if one["hash"] != two["hash"]:
        raise AssertionError("one and two processes made different tables")
    gain = one["search"] / two["search"]
    has_two = (os.cpu_count() or 1) > 1
    return [
        Finding(
            f"{len(PAIRS)} pairs in two processes, times one", "x", [gain], [machine],
            "two bare loops, times one", ">= 1.8", gain >= 1.8 if has_two else None,
        )
    ]  # fmt: skip


def _bare_loops(count: int) -> float:
    """Return the seconds that *count* processes take for a bare loop each, at the same time."""
    command = [sys.executable, "-c", f"for _ in range({BARE_STEPS}): pass"]
    started = time.perf_counter()
    running = [subprocess.Popen(command) for _ in range(count)]
    for process in running:
        process.wait()
    return time.perf_counter() - started


def _grid(folder: Path, bars: Path) -> list[Finding]:
    """400 pairs with all statistics and digests in one pass (FAST-9)."""
    first = {"pairs": GRID[:40]}
    given = {"bars": str(bars), "pairs": GRID, "first": first}
    runs = [_own(folder, "grid", given) for _ in range(3)]
    peer = _peer(folder, "vectorbt_stats", bars, GRID)
    seconds, memory = [run["seconds"] for run in runs], [run["memory"] for run in runs]
    name, theirs, peak, is_faster, is_smaller = "", [], [], None, None
    if peer is not None:
        name = f"vectorbt with statistics ({_same(runs[0]['rows'], peer['rows'])})"
        theirs, peak = [peer["seconds"]], [peer["memory"]]
        is_faster = min(seconds) * 30 <= peer["seconds"]
        is_smaller = max(memory) * 4 < peer["memory"]
    title = f"{len(GRID)} pairs with metrics, {GRID_BARS:,} bars, compiled"
    return [
        Finding(f"{title}", "s", seconds, theirs, name, "30x faster", is_faster),
        Finding(
            f"{title}: peak memory", "MiB", memory, peak, name and "vectorbt", "< 1/4", is_smaller
        ),
    ]


def _overhead(folder: Path) -> list[Finding]:
    """Trials that do nothing: all that is left is the optimiser and its journal."""
    findings = []
    for backend in ("serial", "thread", "kernel", "process"):
        given = {"backend": backend, "workers": 2, "trials": IDLE_TRIALS}
        runs = [_own(folder, "overhead", given) for _ in range(3)]
        each = [run["search"] / run["trials"] * 1e3 for run in runs]
        findings.append(
            Finding(
                f"optimiser, {backend}: a trial", "ms", each, (), "", "<= 0.3", min(each) <= 0.3
            )
        )
    with _cluster(folder) as address:
        given = {
            "backend": "distributed", "workers": 2, "trials": IDLE_TRIALS, "cluster": address,
        }  # fmt: skip
        runs = [_own(folder, "overhead", given) for _ in range(2)]
    each = [run["search"] / run["trials"] * 1e3 for run in runs]
    findings.append(
        Finding("optimiser, distributed: a trial", "ms", each, (), "", "< 5", min(each) < 5)
    )
    return findings


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    """A scheduler and two workers of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    commands = [["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port]]
    commands += [
        [
            "distributed.cli.dask_worker",
            address,
            "--nthreads",
            "1",
            "--local-directory",
            str(folder),
        ]
    ] * 2
    with (folder / "cluster.log").open("wb") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", *command, "--no-dashboard"], stdout=log, stderr=log
            )
            for command in commands
        ]
    try:
        _wait_for(address)
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(30)


def _wait_for(address: str) -> None:
    from distributed import Client

    with Client(address, timeout=60, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        client.wait_for_workers(2, timeout=60)
