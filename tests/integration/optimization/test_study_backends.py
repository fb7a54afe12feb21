"""One study on every backend of this machine; workers that die, hang, eat memory (OPT-6 to 13)."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any

import psutil
import pytest

from engine.live.clock import SystemClock
from engine.optimization.backend import KernelBackend, SerialBackend, ThreadBackend, TrialBackend
from engine.optimization.collector import OptimizationResultsCollector
from engine.optimization.journal import TrialJournal
from engine.optimization.objective import Objective
from engine.optimization.optimization_executor import OptimizationExecutor, StudyProgress
from engine.optimization.process_backend import ProcessBackend
from engine.optimization.search import HalvingSearch, ListSearch
from engine.optimization.space import ParameterSpace, parse_space
from engine.optimization.trial_runner import StudyTask
from engine.optimization.trials import StudyIdentity, TrialStatus
from engine.optimization.windows import Span

IDENTITY = StudyIdentity("c0ffee", "da7a", "1.0")
MONOTONIC_NS = SystemClock().monotonic_ns
OBJECTIVE = Objective("score")


def task_of(**settings: Any) -> StudyTask:
    return StudyTask("engine.testing.scripted_trials:ScriptedTrials", IDENTITY, settings)


def opened(name: str, task: StudyTask) -> TrialBackend:
    match name:
        case "serial":
            return SerialBackend(task, monotonic_ns=MONOTONIC_NS)
        case "thread":
            return ThreadBackend(task, workers=2, monotonic_ns=MONOTONIC_NS)
        case "kernel":
            return KernelBackend(task, monotonic_ns=MONOTONIC_NS)
        case _:
            return ProcessBackend(task, workers=2)


def study(
    space: ParameterSpace,
    backend: TrialBackend,
    **more: Any,
) -> tuple[OptimizationResultsCollector, StudyProgress]:
    collector = OptimizationResultsCollector(space, OBJECTIVE)
    search = ListSearch(space, range(len(space)), len(space))
    executor = OptimizationExecutor(
        search=search,
        backend=backend,
        collector=collector,
        identity=IDENTITY,
        **{"monotonic_ns": MONOTONIC_NS, **more},
    )
    return collector, executor.run()


def statuses(collector: OptimizationResultsCollector) -> dict[str, TrialStatus]:
    return {str(item.parameters["act"]): item.status for item in collector.records}


SPACE: Mapping[str, object] = {"fast": {"range": [0, 12]}, "act": ["", "raise", "memory"]}


@pytest.fixture(scope="module")
def expected() -> str:
    space = parse_space(SPACE)
    backend = opened("serial", task_of())
    collector, progress = study(space, backend)
    backend.close()
    assert progress.done == progress.total == 36
    assert collector.counts()[TrialStatus.DONE] == 12
    assert collector.counts()[TrialStatus.FAILED] == 12
    assert collector.counts()[TrialStatus.OOM] == 12
    return collector.table_hash()


@pytest.mark.parametrize("name", ["thread", "process", "kernel"])
def test_every_backend_makes_the_same_table(name: str, expected: str) -> None:
    backend = opened(name, task_of())
    collector, _ = study(parse_space(SPACE), backend)
    backend.close()
    assert collector.table_hash() == expected
    failed = collector.records[1]
    assert failed.error is not None
    assert failed.error.message == "the strategy is wrong at bar 17"
    assert failed.error.stage == "run"
    assert "ValueError" in failed.error.traceback


def test_a_compiled_pass_makes_the_same_table_as_single_trials() -> None:
    space = parse_space({"fast": {"range": [0, 600]}})
    serial = opened("serial", task_of())
    together = opened("kernel", task_of(together=True))
    one, other = study(space, serial)[0], study(space, together)[0]
    serial.close()
    together.close()
    assert one.table_hash() == other.table_hash()


def test_workers_that_die_take_only_the_trial_that_killed_them(tmp_path: pathlib.Path) -> None:
    space = parse_space({"fast": [1, 2, 3, 4], "act": ["", "exit", "kill"]})
    once = tmp_path / "killed"
    backend = ProcessBackend(task_of(once=str(once)), workers=2)
    collector, progress = study(space, backend)
    backend.close()
    assert progress.done == 12
    assert statuses(collector) == {
        "": TrialStatus.DONE,
        "exit": TrialStatus.FAILED,
        "kill": TrialStatus.DONE,  # somebody killed the worker: the trial was run again
    }
    error = collector.records[1].error
    assert error is not None
    assert (error.type, error.stage) == ("WorkerDied", "worker")
    assert "exit code 3" in error.message


def test_a_trial_that_hangs_or_eats_memory_is_ended_and_the_others_go_on() -> None:
    space = parse_space({"fast": [1], "act": ["", "hang", "eat", "raise"]})
    backend = ProcessBackend(task_of(), workers=2, memory_limit=60_000_000, timeout_s=3.0)
    collector, _ = study(space, backend)
    backend.close()
    assert statuses(collector) == {
        "": TrialStatus.DONE,
        "hang": TrialStatus.TIMEOUT,
        "eat": TrialStatus.OOM,
        "raise": TrialStatus.FAILED,
    }


@pytest.mark.parametrize("name", ["process", "thread", "kernel"])
def test_a_trial_that_would_end_the_program_is_a_failed_row(name: str) -> None:
    space = parse_space({"fast": [1, 2], "act": ["interrupt", "leave", ""]})
    backend = opened(name, task_of())
    collector, _ = study(space, backend)
    backend.close()
    assert statuses(collector) == {
        "interrupt": TrialStatus.FAILED,
        "leave": TrialStatus.FAILED,
        "": TrialStatus.DONE,
    }
    error = collector.records[0].error
    assert error is not None
    assert error.type == "KeyboardInterrupt"


@pytest.mark.parametrize("name", ["serial", "thread", "kernel"])
def test_a_trial_that_is_too_long_is_ended_where_no_process_can_be(name: str) -> None:
    space = parse_space({"fast": [1, 2], "act": ["", "hang"]})
    backend = opened(name, replace(task_of(), timeout_s=0.05))
    collector, _ = study(space, backend)
    backend.close()
    assert statuses(collector) == {"": TrialStatus.DONE, "hang": TrialStatus.TIMEOUT}
    error = collector.records[1].error
    assert error is not None
    assert error.message == "longer than timeout_s: 0.05 s"


def test_workers_that_keep_memory_are_replaced_and_no_trial_pays_for_another() -> None:
    space = parse_space({"fast": {"range": [0, 14]}, "act": ["leak"]})
    backend = ProcessBackend(task_of(), workers=1, memory_limit=60_000_000)
    collector, _ = study(space, backend)
    backend.close()
    assert collector.counts()[TrialStatus.DONE] == 14
    assert len({record.worker for record in collector.records}) > 1


_ORPHANS = """
import os, signal, sys, threading
from engine.optimization.process_backend import ProcessBackend
from engine.optimization.trial_runner import StudyTask, Trial
from engine.optimization.trials import StudyIdentity
import psutil

task = StudyTask("engine.testing.scripted_trials:ScriptedTrials", StudyIdentity("c", "d", "1"))
backend = ProcessBackend(task, workers=1)
backend.submit([Trial(0, {"fast": 1})]).result()
backend.submit([Trial(1, {"act": "deaf"})])
children = psutil.Process().children()
print(*(one.pid for one in children), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_do_not_outlive_a_study_that_was_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ORPHANS], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    workers = []
    for pid in map(int, done.stdout.split()):
        with suppress(psutil.NoSuchProcess):  # it was faster
            workers.append(psutil.Process(pid))
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive


def test_a_runner_that_cannot_be_made_is_told_in_every_row() -> None:
    backend = ProcessBackend(task_of(broken=True), workers=1)
    collector, _ = study(parse_space({"fast": [1, 2]}), backend)
    backend.close()
    for record in collector.records:
        assert record.status is TrialStatus.FAILED
        assert record.error is not None
        assert (record.error.message, record.error.stage) == ("the data is gone", "build")


@pytest.mark.parametrize("name", ["thread", "process"])
def test_a_cancelled_study_keeps_what_is_done_and_marks_the_rest(name: str) -> None:
    space = parse_space({"fast": {"range": [0, 40]}, "act": ["", "hang"]})
    backend = opened(name, task_of())
    collector = OptimizationResultsCollector(space, OBJECTIVE)

    def cancel_early(progress: StudyProgress) -> None:
        if progress.done:
            executor.cancel()

    executor = OptimizationExecutor(
        search=ListSearch(space, range(len(space)), len(space)),
        backend=backend,
        collector=collector,
        identity=IDENTITY,
        monotonic_ns=MONOTONIC_NS,
        on_progress=cancel_early,
    )
    executor.run()
    backend.close()
    counts = collector.counts()
    assert len(collector) == 80
    assert counts[TrialStatus.DONE] >= 1
    assert counts[TrialStatus.DONE] + counts[TrialStatus.CANCELLED] == 80


class CrashError(Exception):
    """The process ends here."""


def crash_after(done: int) -> Callable[[StudyProgress], None]:
    def look(progress: StudyProgress) -> None:
        if progress.done >= done:
            raise CrashError

    return look


@pytest.fixture
def journal_path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "study.jsonl"


def test_a_study_that_was_cut_off_goes_on_and_runs_nothing_twice(
    journal_path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    space = parse_space({"fast": {"range": [0, 200]}})
    task = task_of(log=str(tmp_path / "ran"))

    def open_journal() -> TrialJournal:
        return TrialJournal(
            journal_path,
            identity=IDENTITY,
            study={},
            monotonic=lambda: MONOTONIC_NS() / 1e9,
        )

    backend = opened("serial", task)
    journal = open_journal()
    with pytest.raises(CrashError):
        study(
            space,
            backend,
            journal=journal,
            on_progress=crash_after(20),
            monotonic_ns=count(step=20_000_000).__next__,
        )
    journal.close()
    with open_journal() as journal:
        finished = journal.finished()
        assert 20 <= len(finished) < 200
        collector, progress = study(space, backend, journal=journal, finished=finished)
    backend.close()
    assert progress.resumed == len(finished)
    ran = (tmp_path / "ran").read_text().split()
    assert sorted(map(int, ran)) == list(range(200))
    whole, _ = study(space, opened("serial", task_of()))
    assert collector.table_hash() == whole.table_hash()


def test_halving_runs_all_on_little_data_and_the_best_on_all() -> None:
    space = parse_space({"fast": {"range": [0, 27]}})
    collector = OptimizationResultsCollector(space, OBJECTIVE)
    backend = opened("serial", task_of())
    search = HalvingSearch(space, range(27), OBJECTIVE, window=Span(0, 9000))
    progress = OptimizationExecutor(
        search=search,
        backend=backend,
        collector=collector,
        identity=IDENTITY,
        monotonic_ns=MONOTONIC_NS,
    ).run()
    backend.close()
    assert progress.total == progress.done == 27 + 9 + 3
    assert search.is_finished
    done = [item.index for item in collector.records if item.status is TrialStatus.DONE]
    assert done == [24, 25, 26]
    assert collector.counts()[TrialStatus.PRUNED] == 24
    best = collector.best
    assert best is not None
    assert (best.index, best.metrics["score"]) == (26, 26.0)
