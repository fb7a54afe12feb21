"""The compiled backend: many combinations in one pass, the same table as one after another."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from engine.live.clock import SystemClock
from engine.optimization.backend import KernelBackend
from engine.optimization.backtest_trials import BacktestTrials
from engine.optimization.study import Study
from engine.optimization.study_result import StudyResult
from engine.optimization.trial_runner import Alone, Trial, TrialOutcome
from engine.optimization.trials import TrialStatus
from tests.integration.optimization.conftest import BASE, SAMPLES, Write, run

HOURLY = {"symbol": "EURUSD", "path": str(SAMPLES / "data/eurusd-1h.csv"), "bar": "1h"}

OTHER = BASE["data"][0] | {"symbol": "OTHER"}


def based(strategy: str, params: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    components = BASE["components"] | {"strategy": {"class": strategy, "params": params or {}}}
    return BASE | {"components": components} | more


def notes(result: StudyResult) -> list[str]:
    return [note for note in result.notes if "compiled" in note]


STUDIES: dict[str, dict[str, Any]] = {
    "means": {"space": {"fast": [5, 10, 15], "slow": [40, 60]}},
    "shorts": {
        "base": based("sma_cross", {"direction": "both"}),
        "space": {"fast": [5, 10], "slow": [40, 60]},
    },
    "channels": {"base": based("donchian"), "space": {"entry": [20, 55], "exit": [5, 10]}},
    "rsi": {"base": based("rsi_reversion"), "space": {"length": [7, 14], "oversold": [25, 35]}},
    "brackets": {
        "base": based("bracket", {"fast": 10, "slow": 30}),
        "space": {"stop_loss": ["0.01", "0.03"], "take_profit": ["0.02", "0.05"]},
    },
    "hours": {
        "base": based("sma_cross", data=[HOURLY]),
        "space": {"fast": [8, 12], "slow": [50, 90]},
    },
    "two markets": {
        "base": based("sma_cross", data=[*BASE["data"], OTHER]),
        "space": {"fast": [10], "slow": [40, 60]},
        "out_of_sample": None,
    },
    "halving": {
        "method": {"kind": "halving", "n": 6, "eta": 2},
        "space": {"fast": [5, 10, 15], "slow": [40, 60]},
        "out_of_sample": None,
    },
    "seeds": {"seed_per_trial": True},
    "early stop": {"early_stop": {"max_drawdown": "0.3"}},
}


@pytest.mark.parametrize("name", STUDIES)
def test_the_table_is_that_of_single_trials(write: Write, name: str) -> None:
    study = STUDIES[name]
    serial = run(write(**study))
    together = run(write(**study, parallelism="kernel", max_workers=2))
    for one, other in zip(serial.collector.records, together.collector.records, strict=True):
        assert dict(one.metrics) == dict(other.metrics)
        assert (one.status, one.fingerprint, one.blocks) == (
            other.status,
            other.fingerprint,
            other.blocks,
        )
    assert together.collector.table_hash() == serial.collector.table_hash()
    assert notes(together) == []
    assert together.best_reproduced is (None if serial.collector.best is None else True)


def test_folds_are_those_of_single_trials(write: Write) -> None:
    section = {"method": "walk_forward", "walk_forward": {"train": 2000, "test": 500}}
    serial = run(write(**section))
    together = run(write(**section, parallelism="kernel"))
    assert len(serial.folds) == len(together.folds) > 3
    for one, other in zip(serial.folds, together.folds, strict=True):
        assert one.test is not None
        assert other.test is not None
        assert one.test.fingerprint == other.test.fingerprint
        assert dict(one.test.metrics) == dict(other.test.metrics)


def test_what_cannot_be_compiled_is_run_alone_and_says_why(write: Write) -> None:
    base = based("sma_cross", engine="events")
    serial = run(write(base=base, out_of_sample=None))
    together = run(write(base=base, out_of_sample=None, parallelism="kernel"))
    assert together.collector.table_hash() == serial.collector.table_hash()
    assert {record.note for record in together.collector.records} == {
        "engine: events was asked for"
    }
    assert notes(together) == [
        "4 trials were not run in a compiled pass: engine: events was asked for"
    ]


def test_a_combination_that_the_strategy_refuses_fails_alone(write: Write) -> None:
    space = {"fast": [5, 50], "slow": [40, 60]}
    serial = run(write(space=space, out_of_sample=None))
    together = run(write(space=space, out_of_sample=None, parallelism="kernel"))
    assert together.collector.table_hash() == serial.collector.table_hash()
    failed = together.collector.records[2]
    assert failed.status is TrialStatus.FAILED
    assert failed.error is not None
    assert "fast 50 must be below slow 40" in failed.error.message
    assert "fast 50 must be below slow 40" in failed.note


def test_windows_that_cannot_be_cut_fail_in_their_rows(write: Write) -> None:
    study = {
        "base": based("sma_cross", data=[*BASE["data"], OTHER]),
        "method": {"kind": "halving", "n": 4, "eta": 2},
        "out_of_sample": None,
    }
    serial = run(write(**study))
    together = run(write(**study, parallelism="kernel"))
    assert together.collector.table_hash() == serial.collector.table_hash()
    assert together.collector.counts() == serial.collector.counts()
    assert together.collector.counts()[TrialStatus.FAILED] > 0
    assert "windows need one symbol" in notes(together)[0]


def test_a_journal_is_gone_on_from_and_keeps_the_reasons(
    write: Write, tmp_path: pathlib.Path
) -> None:
    journal = tmp_path / "runs/study.jsonl"
    space = {"fast": [5, 10, 50], "slow": [40, 60]}
    first = run(write(space=space, parallelism="kernel"), journal_path=journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    rows = [json.loads(line) for line in lines[1:]]
    assert sum("note" in row for row in rows) == 1
    journal.write_bytes(b"".join(lines[:4]))
    second = run(write(space=space, parallelism="kernel"), journal_path=journal)
    assert second.progress.resumed == 3
    assert second.collector.table_hash() == first.collector.table_hash()
    assert notes(second) == notes(first)


def test_a_cancelled_pass_leaves_the_rest_cancelled(write: Write, tmp_path: pathlib.Path) -> None:
    file = write(out_of_sample=None)
    task = file.load_base().task(tmp_path, seed_per_trial=False)
    runner = BacktestTrials(task)
    trials = [Trial(index, file.config.parameter_space().at(index)) for index in range(4)]
    asked: list[int] = []

    def is_cancelled() -> bool:
        asked.append(1)
        return len(asked) > 2

    found = runner.run_together(trials, workers=1, is_cancelled=is_cancelled)
    runner.close()
    assert [isinstance(one, TrialOutcome) for one in found] == [True, True, False, False]
    assert found[3] == Alone("cancelled")
    backend = KernelBackend(task, threads=2, monotonic_ns=SystemClock().monotonic_ns)
    backend.cancel()
    records = backend.submit(trials).result(30)
    backend.close()
    assert {record.status for record in records} == {TrialStatus.CANCELLED}


def test_a_study_that_is_cancelled_keeps_what_was_done(write: Write) -> None:
    file = write(
        space={"fast": {"range": [5, 35]}, "slow": {"range": [40, 60]}}, parallelism="kernel"
    )
    monotonic_ns = SystemClock().monotonic_ns
    study = Study(file.config, file.load_base(), monotonic_ns=monotonic_ns)
    study.on_record = lambda _: study.cancel()
    result = study.run()
    counts = result.collector.counts()
    assert result.is_cancelled
    assert counts[TrialStatus.DONE] > 0
    assert counts[TrialStatus.CANCELLED] > 0
    assert sum(counts.values()) == 600


# --- limits of a compiled pass -----------------------------------------------------------------

OWN = """
import time
import numpy as np
from engine.strategies.signal_codes import KindCode
from engine.strategies.signal_table import signal_table
from engine.strategies.strategy import Strategy


class Greedy(Strategy):
    \"\"\"Takes memory or time when it makes its signals, and gives the memory back.\"\"\"

    def __init__(self, megabytes=0, sleeps=0):
        self._megabytes, self._sleeps = int(megabytes), float(sleeps)

    def on_bar(self, bar):
        raise RuntimeError("only signals() is for this test")

    def signals(self, bars, *, start=0):
        taken = np.ones(self._megabytes * 125_000)
        del taken
        end = time.monotonic() + self._sleeps
        while time.monotonic() < end:
            pass
        return signal_table({"bar": [start + 1], "kind": [KindCode.DIRECTION], "value": [1]})
"""


@pytest.mark.parametrize("backend", ["kernel", "process"])
def test_limits_hold_for_compiled_trials_and_are_not_paid_for_by_what_all_share(
    write: Write, backend: str
) -> None:
    # The kernels' compiler alone takes ten times this memory: it is loaded before the first trial.
    base = based("sma_cross", engine="compiled")
    free = run(write(base=base, parallelism="kernel"))
    bound = run(
        write(
            base=base,
            parallelism=backend,
            max_workers=1,
            timeout_s="5",
            memory_limit_per_container="10MB",
        )
    )
    assert bound.collector.table_hash() == free.collector.table_hash()
    assert bound.collector.counts()[TrialStatus.DONE] == 4


def test_a_trial_of_a_pass_that_takes_too_much_ends_and_the_others_go_on(
    write: Write, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "greedy.py").write_text(OWN)
    base = based("greedy.Greedy", engine="compiled") | {"allow_imports": ["greedy"]}
    study = {
        "base": base,
        "space": {"megabytes": [0, 200, 1]},
        "parallelism": "kernel",
        "max_workers": 1,
        "out_of_sample": None,
    }
    memory = run(write(**study, memory_limit_per_container="100MB"))
    assert [record.status for record in memory.collector.records] == [
        TrialStatus.DONE,
        TrialStatus.OOM,
        TrialStatus.DONE,
    ]
    study["space"] = {"sleeps": [0, "60", "0.001"]}
    time = run(write(**study, timeout_s="1"))
    assert [record.status for record in time.collector.records] == [
        TrialStatus.DONE,
        TrialStatus.TIMEOUT,
        TrialStatus.DONE,
    ]
    error = time.collector.records[1].error
    assert error is not None
    assert error.message == "longer than timeout_s: 1 s"
