"""A study on a real cluster: a scheduler and two workers in processes of their own (OPT-8)."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from engine.flow.errors import ConfigurationError
from engine.live.clock import SystemClock
from engine.optimization.backend import SerialBackend
from engine.optimization.collector import OptimizationResultsCollector
from engine.optimization.dask_backend import DaskBackend
from engine.optimization.dask_worker import refuse_other_versions, versions
from engine.optimization.journal import TrialJournal
from engine.optimization.objective import Objective
from engine.optimization.optimization_executor import OptimizationExecutor, StudyProgress
from engine.optimization.search import ListSearch
from engine.optimization.space import ParameterSpace, parse_space
from engine.optimization.trial_runner import StudyTask
from engine.optimization.trials import StudyIdentity, TrialStatus
from tests.integration.optimization.conftest import Write, run

IDENTITY = StudyIdentity("c0ffee", "da7a", "1.0")
MONOTONIC_NS = SystemClock().monotonic_ns


class Cluster:
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler = self.start_scheduler()
        self.workers = [self.start_worker(number) for number in range(2)]

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        return self._start(
            "scheduler", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
            "--port", str(self.port), "--no-dashboard", "--no-show",
        )  # fmt: skip

    def start_worker(self, number: int, *, path: str = "") -> subprocess.Popen[bytes]:
        return self._start(
            f"worker{number}", "distributed.cli.dask_worker", self.address, "--nthreads", "1",
            "--no-dashboard", "--local-directory", str(self.folder / f"w{number}"),
            "--death-timeout", "60", path=path,
        )  # fmt: skip

    def _start(
        self, name: str, module: str, *arguments: str, path: str = ""
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | ({"PYTHONPATH": path} if path else {}),
            )

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    running = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        wait_for_workers(running)
        yield running
    finally:
        running.stop()


def wait_for_workers(cluster: Cluster, count: int = 2) -> None:
    from distributed import Client

    with Client(  # type: ignore[no-untyped-call]
        cluster.address, timeout=60, set_as_default=False
    ) as client:
        client.wait_for_workers(count, timeout=60)


def task_of(**settings: Any) -> StudyTask:
    return StudyTask("engine.testing.scripted_trials:ScriptedTrials", IDENTITY, settings)


def study(
    space: ParameterSpace, backend: DaskBackend | SerialBackend, **more: Any
) -> OptimizationResultsCollector:
    collector = OptimizationResultsCollector(space, Objective("score"))
    OptimizationExecutor(
        search=ListSearch(space, range(len(space)), len(space)),
        backend=backend,
        collector=collector,
        identity=IDENTITY,
        monotonic_ns=MONOTONIC_NS,
        **more,
    ).run()
    return collector


def serial_table(space: ParameterSpace) -> str:
    backend = SerialBackend(task_of(), monotonic_ns=MONOTONIC_NS)
    return study(space, backend).table_hash()


def test_the_cluster_makes_the_same_table(cluster: Cluster) -> None:
    space = parse_space({"fast": {"range": [0, 100]}, "act": ["", "raise"]})
    backend = DaskBackend(task_of(), address=cluster.address, monotonic_ns=MONOTONIC_NS)
    assert backend.workers == 2
    table = study(space, backend)
    backend.close()
    assert table.table_hash() == serial_table(space)
    assert {item.worker.partition(":")[0] for item in table.records} == {"tcp"}


def test_backtests_on_the_cluster_make_the_table_of_one_process(
    cluster: Cluster, write: Write
) -> None:
    remote = run(write(parallelism="distributed", cluster=cluster.address))
    assert remote.collector.table_hash() == run(write()).collector.table_hash()
    assert remote.best_reproduced is True


def test_a_worker_with_other_versions_that_joins_later_gets_no_trial(
    tmp_path: pathlib.Path,
) -> None:
    facts = tmp_path / "numpy-0.1.dist-info" / "METADATA"
    facts.parent.mkdir()
    facts.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.1\n")
    own = Cluster(tmp_path)
    try:
        wait_for_workers(own)
        backend = DaskBackend(task_of(), address=own.address, monotonic_ns=MONOTONIC_NS)
        own.workers.append(own.start_worker(9, path=str(tmp_path)))
        wait_for_workers(own, 3)
        space = parse_space({"fast": {"range": [0, 60]}})
        table = study(space, backend)
        backend.close()
    finally:
        own.stop()
    assert backend.refused
    assert table.table_hash() == serial_table(space)
    assert not {record.worker for record in table.records} & backend.refused


def test_a_worker_with_another_strategy_is_refused_before_its_first_trial(
    cluster: Cluster, write: Write, tmp_path: pathlib.Path
) -> None:
    file = write()
    base = file.load_base()
    task = base.task(tmp_path, seed_per_trial=False, is_remote=True)
    other = {**task.settings, "source_hash": "0" * 64}
    with pytest.raises(
        ConfigurationError, match=r"has another strategy source: [0-9a-f]{12} there, 000000000000"
    ):
        DaskBackend(
            replace(task, settings=other), address=cluster.address, monotonic_ns=MONOTONIC_NS
        )
    with pytest.raises(ConfigurationError, match=r"has another data: .* there, dada here"):
        DaskBackend(
            replace(task, identity=replace(task.identity, data_hash="dada")),
            address=cluster.address,
            monotonic_ns=MONOTONIC_NS,
        )


def test_a_trial_that_is_too_long_is_ended_on_the_cluster_too(tmp_path: pathlib.Path) -> None:
    space = parse_space({"fast": [1, 2], "act": ["", "hang", "deaf"]})
    alone = Cluster(tmp_path)  # its workers are still being replaced when the study has ended
    try:
        wait_for_workers(alone)
        backend = DaskBackend(
            replace(task_of(), timeout_s=0.2), address=alone.address, monotonic_ns=MONOTONIC_NS
        )
        table = study(space, backend)
        backend.close()
    finally:
        alone.stop()
    found = {str(item.parameters["act"]): item.status for item in table.records}
    assert found == {
        "": TrialStatus.DONE,
        "hang": TrialStatus.TIMEOUT,
        "deaf": TrialStatus.TIMEOUT,  # its worker was ended, the nanny brings another one
    }


def test_a_cancelled_study_on_the_cluster_ends(cluster: Cluster) -> None:
    space = parse_space({"fast": {"range": [0, 20]}, "act": ["", "hang"]})
    backend = DaskBackend(task_of(), address=cluster.address, monotonic_ns=MONOTONIC_NS)
    collector = OptimizationResultsCollector(space, Objective("score"))

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
    assert counts[TrialStatus.DONE] >= 1
    assert counts[TrialStatus.DONE] + counts[TrialStatus.CANCELLED] == len(space)


def test_a_worker_that_is_killed_and_a_scheduler_that_comes_back(
    cluster: Cluster, tmp_path: pathlib.Path
) -> None:
    space = parse_space({"fast": {"range": [0, 60]}, "act": ["", "kill"]})
    task = task_of(once=str(tmp_path / "killed"))
    backend = DaskBackend(task, address=cluster.address, monotonic_ns=MONOTONIC_NS)
    killed = False

    def kill_scheduler(progress: StudyProgress) -> None:
        nonlocal killed
        if progress.done >= 2 and not killed:
            killed = True
            end(cluster.scheduler)
            cluster.scheduler = cluster.start_scheduler()

    table = study(space, backend, on_progress=kill_scheduler)
    backend.close()
    assert killed
    assert table.table_hash() == serial_table_of_done(space)


def serial_table_of_done(space: ParameterSpace) -> str:
    plain = parse_space({"fast": {"range": [0, 60]}, "act": ["", "kill"]})
    once = pathlib.Path(os.devnull)  # exists: nobody kills himself
    backend = SerialBackend(task_of(once=str(once)), monotonic_ns=MONOTONIC_NS)
    assert len(plain) == len(space)
    return study(space, backend).table_hash()


def test_a_cluster_that_loses_all_its_workers_is_given_up_and_resumed(
    tmp_path: pathlib.Path,
) -> None:
    # Many batches: only the first ones may wait.
    space = parse_space({"fast": {"range": [0, 60]}, "act": ["", "kill"]})
    alone = Cluster(tmp_path)
    try:
        wait_for_workers(alone)
        backend = DaskBackend(
            task_of(), address=alone.address, monotonic_ns=MONOTONIC_NS, reconnect_s=0.2
        )
        for worker in alone.workers:
            end(worker)
        table = study(space, backend)
        backend.close()
    finally:
        alone.stop()
    assert {record.status for record in table.records} == {TrialStatus.FAILED}
    error = table.records[0].error
    assert error is not None
    assert error.stage == "cluster"
    assert "had no worker" in error.message
    with TrialJournal(
        tmp_path / "journal", identity=IDENTITY, study={}, monotonic=lambda: 0.0
    ) as journal:
        for record in table.records:
            journal.append(record)
    with TrialJournal(
        tmp_path / "journal", identity=IDENTITY, study={}, monotonic=lambda: 0.0
    ) as journal:
        assert journal.finished() == {}


def test_what_goes_wrong_in_the_watch_over_the_cluster_ends_the_study(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Cluster(tmp_path)
    try:
        wait_for_workers(alone)
        backend = DaskBackend(task_of(), address=alone.address, monotonic_ns=MONOTONIC_NS)

        def broken(*_: object) -> None:
            raise RuntimeError("nobody expected this")

        monkeypatch.setattr("engine.optimization.dask_backend.connect", broken)
        end(alone.scheduler)
        table = study(parse_space({"fast": {"range": [0, 60]}, "act": ["hang"]}), backend)
        backend.close()
    finally:
        alone.stop()
    error = table.records[0].error
    assert error is not None
    assert error.message.startswith("the cluster cannot be used: RuntimeError: nobody expected")


def test_an_address_with_nobody_there_is_told_in_seconds() -> None:
    with pytest.raises(ConfigurationError, match=r"no scheduler answers at tcp://127.0.0.1"):
        DaskBackend(task_of(), address=f"tcp://127.0.0.1:{free_port()}", monotonic_ns=MONOTONIC_NS)
    with pytest.raises(ConfigurationError, match="'nowhere' is no address of a scheduler"):
        DaskBackend(task_of(), address="nowhere", monotonic_ns=MONOTONIC_NS)


def test_a_worker_with_other_versions_is_refused() -> None:
    other = json.loads(json.dumps(versions())) | {"numpy": "1.0"}
    with pytest.raises(ConfigurationError, match=r"numpy 1.0 there, .* here"):
        refuse_other_versions("tcp://elsewhere:1", other, versions())
