"""Backtests of the engine: each is a flow event, runs in a worker process, and is stored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Final

import anyio
from anyio import to_thread

from engine import flow
from engine.api.backtest_views import (
    BacktestDetail,
    BacktestRow,
    BacktestStatus,
    ContainerRow,
)
from engine.api.board import Board
from engine.api.command_event import PRIORITY_BACKTEST
from engine.api.commands import BacktestCommand, CancelBacktest, DeleteBacktest, RunBacktest
from engine.live.clock import SystemClock
from engine.model.clock import to_iso
from engine.store.batch import StoreBatch
from engine.store.records import BacktestRecord

FOLDER: Final = "backtests"
"""Where results lie in the data directory."""
BACKTESTS_AT_ONCE: Final = 2
LISTED: Final = 500
GRACE_S: Final = 2.0
COMPONENTS: Final = ("data_handler", "portfolio", "broker", "risk_manager", "strategy")
_LIMITS: Final = {
    "queue_capacity": BACKTESTS_AT_ONCE,
    "capacity_refresh_time": 0.1,
    "concurrency_limit": BACKTESTS_AT_ONCE,
    "max_queue_size": 10_000,
}

Write = Callable[[StoreBatch], Awaitable[None]]
Note = Callable[[str, str], None]


class BacktestEvent(flow.Event):
    """One backtest from its queueing to its stored result."""

    backtest_id: str = ""
    desk: Any = None  # Any: flow.Event declares its fields by annotation
    timeout: float | None = None

    async def _invoke(self) -> str:
        desk: BacktestDesk = self.desk
        return await desk.run(self.backtest_id)


class BacktestProcessor(flow.Processor):
    """Runs backtests."""

    event_type: ClassVar[type[flow.Event]] = BacktestEvent


class BacktestExecutor(flow.Executor):
    """Tracks backtests."""

    processor_type: ClassVar[type[flow.Processor]] = BacktestProcessor


@dataclass(slots=True)
class _Task:
    """A backtest that has not ended."""

    detail: BacktestDetail
    config: Any
    base_dir: Path
    is_cancelled: bool = False
    worker: Any = None
    is_compiling: bool = False
    log: list[str] = field(default_factory=list)
    events: int = 0
    errors: int = 0


class BacktestDesk:
    """Queues, runs, cancels and lists backtests. Belongs to the engine's loop.

    Args:
        board: where rows are published.
        clock: the wall.
        data_dir: results lie below it.
        write: writes to the store.
        note: tells the operator (level, text).
    """

    def __init__(
        self, *, board: Board, clock: SystemClock, data_dir: Path, write: Write, note: Note
    ) -> None:
        self._board = board
        self._clock = clock
        self._folder = data_dir / FOLDER
        self._write = write
        self._note = note
        self._tasks: dict[str, _Task] = {}
        self._finished: dict[str, BacktestDetail] = {}
        self._number = 0
        self.executor = BacktestExecutor(processor_config=_LIMITS, name="backtests")

    async def start(self, records: tuple[BacktestRecord, ...]) -> None:
        """List what is stored, newest first, and begin to take new ones."""
        for record in records[:LISTED]:
            self._finished[record.backtest_id] = _detail_of(record, self._folder)
        await self.executor.start()
        self.publish()

    async def shutdown(self) -> None:
        """Cancel what runs; what is queued never starts."""
        for task in self._tasks.values():
            self._cancel(task)
        await self.executor.shutdown(GRACE_S)
        for task in self._tasks.values():
            if task.worker is not None:
                task.worker.kill()

    async def perform(self, command: BacktestCommand) -> str:
        """Carry out *command* and return what the operator should know.

        Raises:
            EngineError: it could not be done; the message says why.
        """
        match command:
            case RunBacktest():
                return await self._queue(command)
            case CancelBacktest():
                task = self._tasks.get(command.backtest_id)
                if task is None:
                    raise flow.NotFoundError(f"backtest {command.backtest_id} is not running")
                self._cancel(task)
                return f"backtest {command.backtest_id} is being cancelled"
            case DeleteBacktest():
                return await self._delete(command.backtest_id)
            case _:
                raise flow.OperationError(f"{type(command).__name__} is no backtest command")

    def publish(self) -> None:
        """Put rows and containers on the board."""
        details = [task.detail for task in reversed(self._tasks.values())]
        details += list(self._finished.values())
        self._board.backtests = {one.row.id: one for one in details}

    def containers(self) -> tuple[ContainerRow, ...]:
        """Return the containers in worker processes."""
        return tuple(
            _container_row(task)
            for task in self._tasks.values()
            if task.detail.row.status is BacktestStatus.RUNNING
        )

    # --- queueing ------------------------------------------------------------------------------

    async def _queue(self, command: RunBacktest) -> str:
        config, base_dir, source = await to_thread.run_sync(prepare_backtest, command)
        now_ns = self._clock.now_ns()
        self._number += 1
        backtest_id = f"bt-{now_ns // 1_000_000:013d}-{self._number}"
        name = command.name or config.name or Path(source).stem
        row = BacktestRow(backtest_id, name, BacktestStatus.QUEUED, now_ns, source)
        from engine.backtest.run_hash import effective_config

        detail = BacktestDetail(
            row=row,
            config=effective_config(config),
            base_dir=str(base_dir),
            folder=str(self._folder / backtest_id),
        )
        self._tasks[backtest_id] = _Task(detail, config, base_dir)
        self._say(self._tasks[backtest_id], "queued")
        event = BacktestEvent(backtest_id=backtest_id, desk=self)
        try:
            await self.executor.append(event, priority=PRIORITY_BACKTEST)
        except flow.EngineError:
            del self._tasks[backtest_id]
            raise
        self.publish()
        return f"backtest {backtest_id} is queued"

    def _cancel(self, task: _Task) -> None:
        if not task.is_cancelled:
            self._say(task, "asked to end")
        task.is_cancelled = True

    async def _delete(self, backtest_id: str) -> str:
        if backtest_id in self._tasks:
            raise flow.OperationError(f"backtest {backtest_id} has not ended; cancel it first")
        detail = self._finished.pop(backtest_id, None)
        if detail is None:
            raise flow.NotFoundError(f"there is no backtest {backtest_id}")
        await to_thread.run_sync(_remove_folder, Path(detail.folder))
        self.publish()
        return f"backtest {backtest_id} is deleted"

    # --- running -------------------------------------------------------------------------------

    async def run(self, backtest_id: str) -> str:
        """Run one backtest to its end and store it; the event's work.

        Raises:
            OperationError: it failed; the message says why.
        """
        task = self._tasks[backtest_id]
        if task.is_cancelled:
            await self._finish(task, {}, BacktestStatus.CANCELLED, "cancelled before it began")
            return "cancelled before it began"
        self._update(task, status=BacktestStatus.RUNNING)
        try:
            summary = await to_thread.run_sync(self._work, task, abandon_on_cancel=False)
        except flow.EngineError as error:
            await self._finish(task, {}, BacktestStatus.FAILED, error.message)
            raise flow.OperationError(error.message, cause=error) from error
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            await self._finish(task, {}, BacktestStatus.FAILED, text)
            raise
        status = BacktestStatus(str(summary["status"]).lower())
        await self._finish(task, summary, status, str(summary.get("error") or ""))
        if status is BacktestStatus.FAILED:
            raise flow.OperationError(str(summary["error"]))
        return f"backtest {backtest_id}: {status.value}, final equity {summary['final_equity']}"

    def _work(self, task: _Task) -> Mapping[str, Any]:
        """Watch the worker process; runs in a thread, every wait is bounded."""
        from engine.backtest.worker import Job, WorkerProcess, time_limit

        folder = Path(task.detail.folder)
        folder.mkdir(parents=True, exist_ok=True)
        with WorkerProcess(Job.of(task.config, task.base_dir, folder, keeps_prices=True)) as worker:
            task.worker = worker
            self._say(task, f"runs in process {worker.pid}")
            worker.wait(
                limit=time_limit(task.config),
                is_cancelled=lambda: task.is_cancelled,
                on_progress=lambda progress: self._take_progress(task, progress),
                clock=self._clock,
            )
        summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        return summary

    def _take_progress(self, task: _Task, progress: Any) -> None:  # noqa: ANN401 (a Progress)
        row = task.detail.row
        task.events, task.errors = progress.events, progress.errors
        if progress.status == "compiling" and not task.is_compiling:
            self._say(task, "compiles kernels: the first run of this kind takes up to a minute")
        task.is_compiling = progress.status == "compiling"
        phase = progress.status if progress.status in ("compiling", "collecting") else ""
        if progress.bars_done < row.bars_done:
            return
        self._update(
            task,
            phase=phase,
            bars_done=progress.bars_done,
            bars_total=progress.bars_total or row.bars_total,
            bars_per_second=progress.bars_per_second,
            seconds_left=progress.seconds_left,
            simulated_ns=progress.now_ns,
        )

    def _say(self, task: _Task, text: str) -> None:
        """Add a line to the log of *task* and show it."""
        task.log.append(f"{to_iso(self._clock.now_ns())[:19]}Z info {text}")
        task.detail = replace(task.detail, log=tuple(task.log))

    def _update(self, task: _Task, **changes: Any) -> None:  # noqa: ANN401 (fields of the row)
        """Replace a row; the worker's thread may do it, since a reference is replaced."""
        task.detail = replace(task.detail, row=replace(task.detail.row, **changes))

    async def _finish(
        self, task: _Task, summary: Mapping[str, Any], status: BacktestStatus, error: str
    ) -> None:
        now_ns = self._clock.now_ns()
        self._update(
            task,
            status=status,
            finished_ns=now_ns,
            error="" if status is BacktestStatus.COMPLETED else error,
            seconds_left=None,
            simulated_ns=0,
            phase="",
            **_figures(summary),
        )
        self._say(task, f"ended {status.value}")
        *before, end = task.log
        log = (*before, *_noted(summary), end)
        detail = replace(task.detail, summary=summary, log=log)
        row = detail.row
        self._tasks.pop(row.id, None)
        self._finished = {row.id: detail, **self._finished}
        level = "error" if status is BacktestStatus.FAILED else "info"
        self._note(level, f"backtest {row.id} ({row.name}) {status.value} {error}".rstrip())
        self.publish()
        record = BacktestRecord(
            backtest_id=row.id,
            name=row.name,
            status=status.value,
            engine=row.engine,
            created_ns=row.created_ns,
            finished_ns=now_ns,
            run_hash=str(summary.get("run_hash", "")),
            fingerprint=row.fingerprint,
            bars=row.bars_done,
            final_equity=row.final_equity,
            folder=Path(detail.folder).name,
            config={
                "config": detail.config,
                "base_dir": detail.base_dir,
                "source": row.source,
                "log": list(log),
            },
            summary=dict(summary),
            error=row.error,
        )
        with anyio.CancelScope(shield=True):
            try:
                await self._write(StoreBatch(backtests=(record,)))
            except flow.EngineError as problem:
                self._note("error", f"backtest {row.id} could not be stored: {problem}")


def prepare_backtest(command: RunBacktest) -> tuple[Any, Path, str]:
    """Return (configuration, folder, source) of what is to run; reads files.

    Raises:
        EngineError: the file, the configuration or an override cannot be used.
    """
    from engine.config.backtest_file import load_backtest_file, load_backtest_values

    overrides = list(command.overrides)
    if command.backtest_engine != "auto":
        overrides.append(f"backtest.engine={command.backtest_engine}")
    if command.config is not None:
        base_dir = Path(command.base_dir)
        config = load_backtest_values(command.config, base_dir, overrides=overrides)
        return config, base_dir, command.path or command.name or "configuration"
    if not command.path:
        raise flow.ValidationError("path: name a backtest file, or give a configuration")
    file = load_backtest_file(
        Path(command.path).expanduser(), profile=command.profile, overrides=overrides
    )
    return file.config, file.base_dir.absolute(), command.path


def _figures(summary: Mapping[str, Any]) -> dict[str, Any]:
    if not summary:
        return {}
    return {
        "engine": summary["engine"],
        "bars_done": summary["bars"],
        "bars_per_second": summary["bars_per_second"],
        "final_equity": Decimal(summary["final_equity"]),
        "total_return": summary.get("total_return"),
        "sharpe": summary.get("sharpe"),
        "max_drawdown": summary.get("max_drawdown"),
        "n_trades": summary["n_trades"],
        "fingerprint": summary["fingerprint"],
    }


def _detail_of(record: BacktestRecord, folder: Path) -> BacktestDetail:
    row = BacktestRow(
        record.backtest_id,
        record.name,
        BacktestStatus(record.status),
        record.created_ns,
        str(record.config.get("source", "")),
        finished_ns=record.finished_ns,
        error=record.error,
    )
    return BacktestDetail(
        row=replace(row, **_figures(record.summary), bars_total=record.bars),
        summary=record.summary,
        config=record.config.get("config", {}),
        base_dir=str(record.config.get("base_dir", "")),
        folder=str(folder / record.folder),
        log=tuple(map(str, record.config.get("log", ()))) or _noted(record.summary),
    )


def _noted(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the log in *summary* as lines."""
    lines = []
    for one in summary.get("log") or ():
        parts = [str(one.get(name) or "") for name in ("ts", "level", "symbol", "text")]
        lines.append(" ".join(part for part in parts if part))
    return tuple(lines)


def _container_row(task: _Task) -> ContainerRow:
    row = task.detail.row
    pid = None if task.worker is None else task.worker.pid
    return ContainerRow(
        id=f"backtest_{row.id}",
        mode=str(task.detail.config.get("mode", "")),
        state="running",
        components=COMPONENTS,
        events=task.events,
        errors=task.errors,
        bars_done=row.bars_done,
        bars_total=row.bars_total,
        started_ns=row.created_ns,
        owner=row.id,
        pid=pid,
        rss_bytes=_rss(pid),
    )


def _rss(pid: int | None) -> int | None:
    if pid is None:
        return None
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


def _remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
