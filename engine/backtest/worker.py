"""A backtest in a process of its own: spawned, watched, stopped, and killed if need be."""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Self

from engine.backtest.assembly import RunRequest
from engine.backtest.config import BacktestConfig, as_config
from engine.backtest.control import COLLECTING, Progress, RunControl
from engine.backtest.market_data import MarketDataStore
from engine.backtest.results import BacktestResult, ResultStatus
from engine.backtest.results_io import load_result, save_result
from engine.backtest.run_hash import plain
from engine.backtest.runner import Runner
from engine.flow.errors import EngineError, OperationError
from engine.live.clock import SystemClock
from engine.model.clock import SECOND_NS

_CANCEL: Final = b"cancel"
_TIMEOUT: Final = b"timeout"
_STARTING: Final = "starting"
_POLL_S: Final = 0.05
_STUCK_S: Final = 1.0
"""How long a strategy may take to come to its next bar before it is broken off."""
_GRACE_S: Final = 2.0
"""How long a worker may take to leave its bars before it is killed."""
_START_S: Final = 30.0
"""How long a worker may take to load the engine and the data (CONT-7)."""
_COLLECT_S: Final = 60.0
"""How long the result of a run that was stopped may take."""


class BacktestTimeoutError(OperationError):
    """A run did not end when it was told to; its worker was killed (CONT-7)."""


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
    word = _ParentsWord(connection, control)
    signal.signal(signal.SIGUSR1, word.break_off)
    threading.Thread(target=word.listen, daemon=True).start()
    try:
        _send(connection, {"result": _run(job, control, word)})
    except KeyboardInterrupt:
        _send(connection, {"error": "a component did not return and was broken off", "kind": ""})
    except EngineError as error:
        _send(connection, {"error": error.message, "kind": type(error).__name__})
    except Exception as error:  # noqa: BLE001 (boundary: the parent is told whatever went wrong)
        _send(connection, {"error": f"{type(error).__name__}: {error}", "kind": "Exception"})


class _ParentsWord:
    """What the parent has said: end the run at its next bar, and why."""

    def __init__(self, connection: Connection, control: RunControl) -> None:
        self._connection = connection
        self._control = control
        self._over = threading.Event()
        self.is_timeout = False

    def listen(self) -> None:
        """Wait for the parent's word; a parent that has gone cancels too."""
        with suppress(EOFError, OSError):
            self.is_timeout = self._connection.recv_bytes() == _TIMEOUT
        self._control.cancel()
        main = threading.main_thread().ident
        if not self._over.wait(_STUCK_S) and main is not None:
            signal.pthread_kill(main, signal.SIGUSR1)

    def end(self) -> None:
        """Note that nobody's code runs any more."""
        self._over.set()

    def break_off(self, number: int, frame: object) -> None:
        """Interrupt a strategy that does not come to its next bar; a signal handler."""
        del number, frame
        is_stuck = self._control.is_cancelled and not self._over.is_set()
        if is_stuck and not self._control.is_collecting:
            raise KeyboardInterrupt


def _run(job: Mapping[str, Any], control: RunControl, word: _ParentsWord) -> str:
    folder, base_dir = Path(job["folder"]), Path(job["base_dir"])
    config = as_config(job["config"])
    data = MarketDataStore().load(config, base_dir)
    control.finish(replace(control.progress, status="running"))  # its time begins
    runner = Runner(control, clock=SystemClock(), keep_failed=True)
    try:
        result = runner.run(RunRequest(config, base_dir, data))
    finally:
        word.end()
    if word.is_timeout and result.status is ResultStatus.CANCELLED:
        text = (
            f"the run did not end within {config.timeout_s:f} s (timeout_s) and was stopped at bar "
            f"{result.bars}: the result is partial"
        )
        result = replace(result, status=ResultStatus.FAILED, error=text)
    save_result(result, folder, bars=data.columns if job["keeps_prices"] else ())
    summary = json.dumps(result.to_json(), allow_nan=False)
    (folder / "summary.json").write_text(summary, encoding="utf-8")
    return str(folder)


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
        self.progress = Progress(status=_STARTING)

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

    def wait(
        self,
        *,
        limit: float | None,
        is_cancelled: Callable[[], bool],
        on_progress: Callable[[Progress], None],
        clock: SystemClock,
    ) -> Path:
        """Return the folder of the result, a partial one if the run had to be stopped.

        Blocks, with bounded waits.

        Args:
            limit: seconds that the run may take once the data are loaded; None: any time.
            is_cancelled: whether somebody wants it to end now.
            on_progress: called with the newest progress, many times a second.
            clock: measures the time.

        Raises:
            BacktestTimeoutError: it could not even be stopped, and was killed.
            RemoteBacktestError: the run failed.
            WorkerDiedError: the worker ended without a word.
        """
        started_ns = begun_ns = clock.monotonic_ns()
        asked: bytes | None = None
        asked_ns = 0
        while True:
            is_loading = self.progress.status == _STARTING
            found = self.poll(_POLL_S)
            on_progress(self.progress)
            if found is not None:
                return found
            now_ns = clock.monotonic_ns()
            if is_loading:
                begun_ns = now_ns
            if asked is not None:
                patience = _COLLECT_S if self.progress.status == COLLECTING else _GRACE_S
                if now_ns - asked_ns > patience * SECOND_NS:
                    self.kill()
                    raise BacktestTimeoutError(self._kill_text(asked, limit))
            elif is_cancelled():
                asked, asked_ns = _CANCEL, now_ns
                self._say(asked)
            elif limit is not None and (
                now_ns - begun_ns > limit * SECOND_NS
                or begun_ns - started_ns > max(limit, _START_S) * SECOND_NS
            ):
                asked, asked_ns = _TIMEOUT, now_ns
                self._say(asked)

    def _kill_text(self, asked: bytes, limit: float | None) -> str:
        bar = self.progress.bars_done
        if asked == _TIMEOUT:
            return (
                f"the run did not end within {limit:g} s (timeout_s), nor when it was stopped at "
                f"bar {bar}: its worker was killed; does the strategy return from on_bar?"
            )
        return (
            f"the run did not honour its cancellation within {_GRACE_S:g} s at bar {bar}: its "
            "worker was killed; does the strategy return from on_bar?"
        )

    def _say(self, word: bytes) -> None:
        """Ask the worker to end; it answers with a partial result."""
        try:
            self._connection.send_bytes(word)
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
) -> BacktestResult:
    """Run *config* in a new process and return its result; blocks, with bounded waits.

    A run that was cancelled or took too long gives a partial result.

    Raises:
        BacktestTimeoutError: it could not be stopped; the worker was killed.
        RemoteBacktestError: the run failed.
        WorkerDiedError: the worker ended without a result.
    """
    with (
        tempfile.TemporaryDirectory(prefix="quarterdeck-run-") as folder,
        WorkerProcess(Job.of(config, base_dir, Path(folder))) as worker,
    ):
        control.restart_clock()
        return load_result(
            worker.wait(
                limit=time_limit(config),
                is_cancelled=lambda: control.is_cancelled,
                on_progress=control.finish,
                clock=SystemClock(),
            )
        )


def time_limit(config: BacktestConfig) -> float | None:
    """Return the seconds that a run of *config* may take, None without a limit."""
    return None if config.timeout_s is None else float(config.timeout_s)
