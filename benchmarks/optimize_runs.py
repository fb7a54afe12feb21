"""Our side of the grid of crossovers, each run in a process of its own so that its memory is seen.

``python -m benchmarks.optimize_runs WHAT FILE`` reads what is to be run from a JSON file and prints
one JSON object: seconds, CPU seconds of it and its children, peak memory in MiB, what came out.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.backtest import Prices, columns_of, config_of
from engine.backtest.column_memo import IndicatorMemo
from engine.backtest.grid import GridRunner
from engine.backtest.grid_column import GridColumn, GridRequest
from engine.backtest.market_data import MarketData
from engine.backtest.metrics import MetricSettings, metrics_of
from engine.backtest.planner import PlannedStrategy, plan_column
from engine.live.clock import SystemClock
from engine.model.bar_columns import BarColumns
from engine.optimization.backend import KernelBackend, SerialBackend, ThreadBackend, TrialBackend
from engine.optimization.base_run import BaseRun
from engine.optimization.collector import OptimizationResultsCollector
from engine.optimization.config import OptimizationConfig
from engine.optimization.journal import TrialJournal
from engine.optimization.objective import Objective
from engine.optimization.optimization_executor import OptimizationExecutor
from engine.optimization.search import ListSearch
from engine.optimization.space import parse_space
from engine.optimization.study import Study
from engine.optimization.trial_runner import StudyTask, Trial
from engine.optimization.trials import StudyIdentity, TrialStatus
from engine.strategies.sma_cross import SmaCross, SmaCrossParams

Given = Mapping[str, Any]
IDENTITY = StudyIdentity("benchmark", "none", "1")


def bars_of(given: Given) -> BarColumns:
    """Return the bars that *given* names."""
    data = np.load(given["bars"])
    return columns_of(Prices(*(data[name] for name in ("open", "high", "low", "close"))))


def study(given: Given) -> Callable[[], dict[str, Any]]:
    """Return a whole study, as ``quarterdeck optimize`` runs it, with its journal."""
    base = BaseRun(config_of(given["engine"]), Path(), MarketData((bars_of(given),), {"X": {}}))
    config = OptimizationConfig.model_validate(
        {
            "base": {},
            "parallelism": given["backend"],
            "max_workers": given["workers"],
            "out_of_sample": given["out_of_sample"],
            "space": {"fast": given["fast"], "slow": given["slow"]},
            "constraints": ["fast < slow"],
        }
    )

    def run() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            journal = Path(folder) / "study.jsonl"
            result = Study(
                config, base, monotonic_ns=SystemClock().monotonic_ns, journal_path=journal
            ).run()
        records = result.collector.records
        if any(record.status is not TrialStatus.DONE or record.note for record in records):
            raise RuntimeError(f"trials failed or were run otherwise: {result.notes}")
        rows = [
            [float(str(record.metrics["final_equity"])), record.metrics["n_trades"]]
            for record in records
        ]
        return {
            "rows": rows,
            "hash": result.collector.table_hash(),
            "search": result.progress.seconds,
        }

    return run


def grid(given: Given) -> Callable[[], dict[str, Any]]:
    """Return signals, ledger, metrics and digest of each pair, without a study around them."""
    bars, pairs = bars_of(given), given["pairs"]
    config = config_of("compiled")
    settings = MetricSettings(annualise_short=True)

    def run() -> dict[str, Any]:
        shared = bars.with_columns(memo=IndicatorMemo())

        def request_of(number: int) -> GridRequest:
            fast, slow = pairs[number]
            strategy = SmaCross(SmaCrossParams(fast=fast, slow=slow))
            kernel, refusals = plan_column(
                config,
                columns=(shared,),
                windows=[(0, len(bars))],
                strategies=[PlannedStrategy("cross", strategy, (0,))],
            )
            if kernel is None:
                raise RuntimeError(f"not compiled: {refusals}")
            return GridRequest(kernel, slow)

        def finish(column: GridColumn) -> list[float]:
            metrics = metrics_of(column.curve, column.facts, settings)
            return [column.final_equity_atoms / 1e8, float(metrics["n_trades"] or 0)]

        with GridRunner(workers=os.cpu_count() or 1) as runner:
            return {"rows": runner.run(len(pairs), request_of, finish)}

    return run


def overhead(given: Given) -> Callable[[], dict[str, Any]]:
    """Return a study of trials that do nothing, with its journal, on a warm backend."""
    space = parse_space({"number": {"range": [0, given["trials"]]}})
    task = StudyTask("engine.testing.scripted_trials:ScriptedTrials", IDENTITY, {"together": True})

    def run() -> dict[str, Any]:
        backend = open_backend(given, task)
        try:
            warm = [Trial(0, space.at(0))] * 2
            for future in [backend.submit(warm) for _ in range(8)]:
                future.result()
            started = time.perf_counter()
            table = search(space, backend)
            return {"rows": [], "search": time.perf_counter() - started, "trials": len(table)}
        finally:
            backend.close()

    return run


def search(space: Any, backend: TrialBackend) -> OptimizationResultsCollector:
    """Run the whole *space* on *backend* and return the table."""
    table = OptimizationResultsCollector(space, Objective("score"))
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        journal = TrialJournal(
            Path(folder) / "study.jsonl",
            identity=IDENTITY,
            study={},
            monotonic=lambda: clock.monotonic_ns() / 1e9,
        )
        with journal:
            OptimizationExecutor(
                search=ListSearch(space, range(len(space)), len(space)),
                backend=backend,
                collector=table,
                identity=IDENTITY,
                monotonic_ns=clock.monotonic_ns,
                journal=journal,
                on_progress=lambda _: None,
                on_record=lambda _: None,
            ).run()
    return table


def open_backend(given: Given, task: StudyTask) -> TrialBackend:
    """Return the backend that *given* names."""
    clock = SystemClock().monotonic_ns
    match given["backend"]:
        case "serial":
            return SerialBackend(task, monotonic_ns=clock)
        case "thread":
            return ThreadBackend(task, workers=given["workers"], monotonic_ns=clock)
        case "kernel":
            return KernelBackend(task, threads=given["workers"], monotonic_ns=clock)
        case "distributed":
            from engine.optimization.dask_backend import DaskBackend

            return DaskBackend(task, address=given["cluster"], monotonic_ns=clock)
        case _:
            from engine.optimization.process_backend import ProcessBackend

            return ProcessBackend(task, workers=given["workers"])


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    spent = (resource.getrusage(one) for one in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


RUNS: dict[str, Callable[[Given], Callable[[], dict[str, Any]]]] = {
    "study": study,
    "grid": grid,
    "overhead": overhead,
}


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for: once small where that is given, to load what is loaded once."""
    what, path = arguments
    given = json.loads(Path(path).read_text(encoding="utf-8"))
    if "first" in given:
        RUNS[what](given | given["first"])()
    run = RUNS[what](given)
    started, cpu = time.perf_counter(), cpu_seconds()
    found = run()
    found |= {
        "seconds": time.perf_counter() - started,
        "cpu": cpu_seconds() - cpu,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
