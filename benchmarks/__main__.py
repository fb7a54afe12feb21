"""``make bench``: run all benchmarks, or those that are named, and print what they found."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks import (
    backtest,
    engine_ticks,
    executors,
    first_paint,
    flow,
    harness,
    key_to_paint,
    long_files,
    memory,
    optimize,
    queries,
    resource_pool,
    scheduling,
)

BENCHMARKS: Final[dict[str, Callable[[], list[harness.Finding]]]] = {
    "backtest": backtest.measure,
    "first_paint": first_paint.measure,
    "key_to_paint": key_to_paint.measure,
    "engine_ticks": engine_ticks.measure,
    "executors": executors.measure,
    "queries": queries.measure,
    "memory": memory.measure,
    "long_files": long_files.measure,
    "optimize": optimize.measure,
    "scheduling": scheduling.measure,
    "resource_pool": resource_pool.measure,
}
"""Those that give findings; ``flow`` prints its own lines."""


def main(names: Sequence[str]) -> int:
    """Run the benchmarks *names*, all if there are none; return 1 if one crashed, 2 on misuse."""
    known = (*BENCHMARKS, "flow")
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(known)}")
        return 2
    print(f"{platform.python_implementation()} {platform.python_version()}, {_load()}")
    outcomes = [_run(name) for name in names or known]
    return 0 if all(outcomes) else 1


def _run(name: str) -> bool:
    """Run one benchmark and print what it found; return whether it went through."""
    print(f"\n# {name}", flush=True)
    try:
        if name == "flow":
            flow.main()
        else:
            print(harness.table(BENCHMARKS[name]()), flush=True)
    except Exception:  # noqa: BLE001 (boundary: the other benchmarks go on)
        traceback.print_exc()
        return False
    return True


def _load() -> str:
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} processors, load {load:.1f} (figures are for a load near 0)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
