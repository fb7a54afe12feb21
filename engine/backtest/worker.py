"""A backtest in a process of its own: spawned, watched, stopped, and killed if need be."""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Self

from engine.backtest.assembly import RunRequest
from engine.backtest.config import BacktestConfig, as_config
from engine.backtest.control import Progress, RunControl
from engine.backtest.market_data import MarketDataStore
from engine.backtest.results import BacktestResult
from engine.backtest.results_io import load_result, save_result
from engine.backtest.run_hash import plain
from engine.backtest.runner import Runner
from engine.flow.errors import EngineError, OperationError
from engine.live.clock import SystemClock

_CANCEL: Final = b"cancel"
_GRACE_S: Final = 2.0
"""How long a worker may take to honour a cancellation before it is killed."""


class BacktestTimeoutError(OperationError):
    """A run did not end in the time that it was given; its worker was killed (CONT-7)."""


class WorkerDiedError(OperationError):
    """A worker ended without a result."""


class RemoteBacktestError(OperationError):
    """A run failed in its worker; the message is the worker's."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is told, as plain values: nothing of the parent is pickled."""

    config: Mapping[str, Any]
    base_dir: str
    folder: str
    """Where the result goes."""
    keeps_prices: bool = False

    def text(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, config: BacktestConfig, base_dir: Path, folder: Path, **more: bool) -> Self:
        """Return the job that runs *config*."""
        values = plain(config.model_dump(by_alias=True))
        return cls(values, str(base_dir), str(folder), **more)


def run_job(text: str, connection: Connection) -> None:
    """Run one job in this process and tell the parent how it goes; the worker's main function."""
    job: dict[str, Any] = json.loads(text)
    # Ctrl-C reaches the whole group of processes: the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def tell(progress: Progress) -> None:
        _send(connection, {"progress": asdict(progress)})

    control = RunControl(listener=tell)
    threading.Thread(target=_listen, args=(connection, control), daemon=True).start()
    try:
        _send(connection, {"result": _run(job, control)})
    except EngineError as error:
        _send(connection, {"error": error.message, "kind": type(error).__name__})
    except Exception as error:  # noqa: BLE001 (boundary: the parent is told whatever went wrong)
        _send(connection, {"error": f"{type(error).__name__}: {error}", "kind": "Exception"})


def _run(job: Mapping[str, Any], control: RunControl) -> str:
    folder, base_dir = Path(job["folder"]), Path(job["base_dir"])
    config = as_config(job["config"])
    data = MarketDataStore().load(config, base_dir)
    runner = Runner(control, clock=SystemClock(), keep_failed=True)
    result = runner.run(RunRequest(config, base_dir, data))
    save_result(result, folder, bars=data.columns if job["keeps_prices"] else ())
    summary = json.dumps(result.to_json(), allow_nan=False)
    (folder / "summary.json").write_text(summary, encoding="utf-8")
    return str(folder)


def _listen(connection: Connection, control: RunControl) -> None:
    """Wait for the parent's word; a parent that has gone cancels too."""
    try:
        while connection.recv_bytes() != _CANCEL:
            pass
    except (EOFError, OSError):
        pass
    control.cancel()


def _send(connection: Connection, message: Mapping[str, Any]) -> None:
    try:
        connection.send_bytes(json.dumps(message).encode())
    except (BrokenPipeError, OSError):
        # The parent has gone: there is nobody to tell, and the listener ends the run.
        return


def start_resource_tracker() -> None:
    """Start the process that ``multiprocessing`` needs before the first one is spawned.

    A full-screen console puts something without a descriptor in the place of ``sys.stderr``; the
    tracker would be told to pass on descriptor -1, and every spawn would fail. It needs no stderr.
    """
    shown, sys.stderr = sys.stderr, None
    try:
        resource_tracker.ensure_running()
    finally:
        sys.stderr = shown


class WorkerProcess:
    """The parent's end of one worker. Use it as a context manager: it never leaves a process."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=run_job, args=(job.text(), theirs), name="backtest-worker", daemon=True
        )
        start_resource_tracker()
        self._process.start()
        theirs.close()
        self.progress = Progress(status="starting")

    @property
    def pid(self) -> int | None:
        """Return the worker's process id."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def poll(self, seconds: float) -> Path | None:
        """Wait up to *seconds* for news; return the folder of the result once it is there.

        Raises:
            RemoteBacktestError: the run failed.
            WorkerDiedError: the worker ended without a word.
        """
        if not self._connection.poll(seconds):
            if not self._process.is_alive() and not self._connection.poll(0):
                raise self._died()
            return None
        try:
            message: dict[str, Any] = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise self._died() from error
        if "progress" in message:
            self.progress = Progress(**message["progress"])
            return None
        if "error" in message:
            raise RemoteBacktestError(str(message["error"]), details={"kind": message["kind"]})
        return Path(message["result"])

    def cancel(self) -> None:
        """Ask the worker to end; it answers with a partial result."""
        try:
            self._connection.send_bytes(_CANCEL)
        except (BrokenPipeError, OSError):
            return

    def kill(self) -> None:
        """End the worker now."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join(_GRACE_S)

    def close(self) -> None:
        """End the worker if it still runs, and release what belongs to it."""
        self.kill()
        self._connection.close()
        self._process.close()

    def _died(self) -> WorkerDiedError:
        self._process.join(_GRACE_S)
        return WorkerDiedError(
            f"the worker ended without a result (exit code {self._process.exitcode}); it may have "
            "run out of memory"
        )


def run_in_worker(
    config: BacktestConfig,
    base_dir: Path,
    *,
    control: RunControl,
    timeout_s: float | None = None,
) -> BacktestResult:
    """Run *config* in a new process and return its result; blocks, with bounded waits.

    Raises:
        BacktestTimeoutError: it did not end within *timeout_s*; the worker was killed.
        RemoteBacktestError: the run failed.
        WorkerDiedError: the worker ended without a result.
    """
    limit = timeout_s if timeout_s is not None else _limit(config)
    with (
        tempfile.TemporaryDirectory(prefix="quarterdeck-run-") as folder,
        WorkerProcess(Job.of(config, base_dir, Path(folder))) as worker,
    ):
        control.restart_clock()
        cancelled_at: float | None = None
        while True:
            found = worker.poll(0.05)
            control.finish(worker.progress)
            if found is not None:
                return load_result(found)
            elapsed = control.elapsed_s()
            if control.is_cancelled and cancelled_at is None:
                cancelled_at = elapsed
                worker.cancel()
            if cancelled_at is not None and elapsed - cancelled_at > _GRACE_S:
                worker.kill()
                raise BacktestTimeoutError(
                    f"the run did not honour its cancellation within {_GRACE_S:g} s; its worker "
                    "was killed"
                )
            if limit is not None and elapsed > limit:
                worker.kill()
                raise BacktestTimeoutError(
                    f"the run did not end within {limit:g} s (timeout_s) and was stopped at bar "
                    f"{worker.progress.bars_done}; does the strategy return from on_bar?"
                )


def _limit(config: BacktestConfig) -> float | None:
    return None if config.timeout_s is None else float(config.timeout_s)
