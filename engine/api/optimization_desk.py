"""Studies of the engine: each is a flow event, its trials are too, and it is kept in a folder."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Final

from anyio import to_thread

from engine import flow
from engine.api.board import Board
from engine.api.command_event import PRIORITY_BACKTEST
from engine.api.commands import (
    CancelOptimization,
    HoldOptimization,
    OptimizationCommand,
    RunOptimization,
    WritePaperSession,
)
from engine.api.optimization_files import (
    STUDIES,
    OptimizationFileError,
    OptimizationJob,
    StudyOptions,
)
from engine.api.optimization_table import FAILED, GrowingTable, best_of
from engine.api.optimization_views import StudyDetail, StudyRow, StudyStatus, TrialRow
from engine.api.paper_file import RUN_HINT
from engine.live.clock import SystemClock

STUDIES_AT_ONCE: Final = 1
"""One study uses all cores already."""
LISTED: Final = 200
GRACE_S: Final = 3.0
KEPT_ROWS: Final = 50_000
"""Rows of studies that have ended that are read at the start, the newest studies first."""
_LIMITS: Final = {
    "queue_capacity": STUDIES_AT_ONCE,
    "capacity_refresh_time": 0.1,
    "concurrency_limit": STUDIES_AT_ONCE,
    "max_queue_size": 1000,
}

Note = Callable[[str, str], None]


class StudyEvent(flow.Event):
    """One study from its queueing to its report."""

    study_id: str = ""
    desk: Any = None  # Any: flow.Event declares its fields by annotation
    timeout: float | None = None

    async def _invoke(self) -> str:
        desk: OptimizationDesk = self.desk
        return await desk.run(self.study_id)


class StudyProcessor(flow.Processor):
    """Runs studies."""

    event_type: ClassVar[type[flow.Event]] = StudyEvent


class StudyExecutor(flow.Executor):
    """Tracks studies."""

    processor_type: ClassVar[type[flow.Processor]] = StudyProcessor


class TrialEvent(flow.Event):
    """One trial, as its backend told of it."""

    study_id: str = ""
    index: int = -1


class TrialProcessor(flow.Processor):
    """Names the event type: trials are run by their study's backend."""

    event_type: ClassVar[type[flow.Event]] = TrialEvent


class TrialExecutor(flow.Executor):
    """Counts trials by status; never started."""

    processor_type: ClassVar[type[flow.Processor]] = TrialProcessor


@dataclass(slots=True)
class _Task:
    """A study that has not ended. ``fresh`` is filled by its thread, emptied by the loop."""

    detail: StudyDetail
    job: OptimizationJob
    table: GrowingTable
    fresh: deque[Any] = field(default_factory=deque)
    progress: Any = None
    is_cancelled: bool = False


class OptimizationDesk:
    """Queues, runs, cancels and lists studies. Belongs to the engine's loop.

    Args:
        board: where rows are published.
        clock: the wall.
        data_dir: studies lie below it.
        note: tells the operator (level, text).
    """

    def __init__(self, *, board: Board, clock: SystemClock, data_dir: Path, note: Note) -> None:
        self._board = board
        self._clock = clock
        self._data_dir = data_dir
        self._note = note
        self._tasks: dict[str, _Task] = {}
        self._finished: dict[str, StudyDetail] = {}
        self.executor = StudyExecutor(processor_config=_LIMITS, name="optimisation")
        self.trials = TrialExecutor(name="trials")

    async def start(self) -> None:
        """List what is kept, newest first, and begin to take new ones."""
        found = await to_thread.run_sync(_kept_studies, self._data_dir / STUDIES)
        self._finished = {detail.row.id: detail for detail in found}
        await self.executor.start()
        await self.refresh()

    async def shutdown(self) -> None:
        """Cancel what runs; it can be resumed. What is queued never starts."""
        for task in self._tasks.values():
            self._cancel(task)
        await self.executor.shutdown(GRACE_S)

    async def perform(self, command: OptimizationCommand) -> str:
        """Carry out *command* and return what the operator should know.

        Raises:
            EngineError: it could not be done; the message says why.
        """
        match command:
            case RunOptimization():
                return await self._queue(command)
            case CancelOptimization():
                task = self._tasks.get(command.study_id)
                if task is None:
                    raise flow.NotFoundError(f"study {command.study_id} is not running")
                self._cancel(task)
                return f"study {command.study_id} is being cancelled"
            case HoldOptimization():
                told = self._hold(command)
                await self.refresh()
                return told
            case WritePaperSession():
                return await self._write_session(command)
            case _:
                raise flow.OperationError(f"{type(command).__name__} is no command of studies")

    async def refresh(self) -> None:
        """Take what the studies' threads have told, count trials, put rows on the board."""
        for task in tuple(self._tasks.values()):  # one may end while another is looked at
            await self._take_fresh(task)
        details = [task.detail for task in reversed(self._tasks.values())]
        details += list(self._finished.values())
        self._board.optimizations = {one.row.id: one for one in details}

    # --- queueing ------------------------------------------------------------------------------

    async def _queue(self, command: RunOptimization) -> str:
        fresh: deque[Any] = deque()

        def listen(progress: Any) -> None:  # noqa: ANN401 (a StudyProgress)
            task.progress = progress

        def make() -> OptimizationJob:
            return OptimizationJob(
                self._data_dir,
                path=Path(command.path).expanduser() if command.path else None,
                resume=command.resume or None,
                options=StudyOptions(
                    backend=command.backend,
                    workers=command.workers,
                    cluster=command.cluster,
                    overrides=command.overrides,
                ),
                listener=listen,
                on_record=fresh.append,
            )

        if command.resume in self._tasks:
            raise flow.ExistsError(f"study {command.resume} is running already")
        job = await to_thread.run_sync(make)
        row = StudyRow(
            job.id,
            command.name or job.name,
            StudyStatus.QUEUED,
            self._clock.now_ns(),
            job.source,
            metric=job.metric,
            total=job.total,
        )
        detail = StudyDetail(
            row,
            parameters=job.parameters,
            direction=job.direction,
            backtest=job.backtest,
            base_dir=job.base_dir,
        )
        task = _Task(detail, job, GrowingTable(job.direction), fresh)
        self._tasks[job.id] = task
        self._finished.pop(job.id, None)
        event = StudyEvent(study_id=job.id, desk=self)
        try:
            await self.executor.append(event, priority=PRIORITY_BACKTEST)
        except flow.EngineError:
            del self._tasks[job.id]
            raise
        await self.refresh()
        return f"study {job.id} is queued"

    async def _write_session(self, command: WritePaperSession) -> str:
        from engine.api.paper_file import write_paper_session

        detail = self._board.optimizations.get(command.study_id)
        if detail is None:
            raise flow.NotFoundError(f"there is no study {command.study_id}")
        path = await to_thread.run_sync(write_paper_session, detail, command.index, self._data_dir)
        return f"written, start it with {RUN_HINT}{path}"

    def _hold(self, command: HoldOptimization) -> str:
        task = self._tasks.get(command.study_id)
        if task is None or task.detail.row.status is StudyStatus.QUEUED:
            raise flow.NotFoundError(f"study {command.study_id} is not running")
        task.job.hold(is_held=command.held)
        status = StudyStatus.HELD if command.held else StudyStatus.RUNNING
        task.detail = replace(task.detail, row=replace(task.detail.row, status=status))
        return f"study {command.study_id} " + (
            "is held: trials that run end, no others begin" if command.held else "goes on"
        )

    def _cancel(self, task: _Task) -> None:
        task.is_cancelled = True
        task.job.cancel()

    # --- running -------------------------------------------------------------------------------

    async def run(self, study_id: str) -> str:
        """Run one study to its end; the event's work.

        Raises:
            OperationError: it failed; the message says why.
        """
        task = self._tasks[study_id]
        if task.is_cancelled:
            await self._finish(task, {}, StudyStatus.CANCELLED, "cancelled before it began")
            return "cancelled before it began"
        task.detail = replace(task.detail, row=replace(task.detail.row, status=StudyStatus.RUNNING))
        try:
            report = await to_thread.run_sync(task.job.run, abandon_on_cancel=False)
        except flow.EngineError as error:
            await self._finish(task, {}, StudyStatus.FAILED, error.message)
            raise flow.OperationError(error.message, cause=error) from error
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            await self._finish(task, {}, StudyStatus.FAILED, text)
            raise
        summary = dict(report.summary)
        status = StudyStatus(str(summary["status"]).lower())
        await self._finish(task, summary, status, "")
        best = summary["best"]
        told = "no trial has a result" if best is None else f"best {best['objective']:.4g}"
        return f"study {study_id}: {status.value}, {told}"

    async def _take_fresh(self, task: _Task) -> None:
        """Bring the row and the table up to date at once, then count the trials' events."""
        records = []
        with suppress(IndexError):  # the thread appends on the right meanwhile
            while True:
                records.append(task.fresh.popleft())
        progress, row = task.progress, task.detail.row
        if progress is not None:
            row = replace(
                row,
                done=progress.done,
                total=progress.total,
                trials_per_s=progress.trials_per_s,
                left_s=progress.left_s,
            )
        trials = task.detail.trials
        if records:
            task.table.add(task.job.trial_row(record) for record in records)
            trials = task.table.rows()
            row = replace(row, failed=task.table.failed, best=task.table.best)
        task.detail = replace(task.detail, row=row, trials=trials)
        for record in records:
            event = TrialEvent(study_id=row.id, index=record.index)
            event.execution.close(
                _EVENT_STATUS[record.status.value],
                None if record.error is None else flow.OperationError(record.error.message),
                retryable=False,
                duration=record.duration_s,
            )
            await self.trials.append(event)

    async def _finish(
        self, task: _Task, summary: Mapping[str, Any], status: StudyStatus, error: str
    ) -> None:
        await self._take_fresh(task)
        row = replace(
            task.detail.row,
            status=status,
            finished_ns=self._clock.now_ns(),
            left_s=None,
            error=error,
        )
        report = {key: value for key, value in summary.items() if key != "rows"}
        html_path = str(task.job.html_path) if summary else ""
        detail = replace(task.detail, row=row, report=report, html_path=html_path)
        self._tasks.pop(row.id, None)
        self._finished = {row.id: detail, **self._finished}
        level = "error" if status is StudyStatus.FAILED else "info"
        self._note(level, f"study {row.id} ({row.name}) {status.value} {error}".rstrip())
        await self.refresh()


_EVENT_STATUS: Final = {
    "DONE": flow.EventStatus.COMPLETED,
    "PRUNED": flow.EventStatus.SKIPPED,
    "FAILED": flow.EventStatus.FAILED,
    "OOM": flow.EventStatus.FAILED,
    "TIMEOUT": flow.EventStatus.FAILED,
    "CANCELLED": flow.EventStatus.CANCELLED,
}


def _kept_studies(root: Path) -> list[StudyDetail]:
    """Return the studies in *root*, newest first; damaged ones are left out."""
    found: list[StudyDetail] = []
    folders = sorted(root.iterdir(), key=_age) if root.is_dir() else []
    left = KEPT_ROWS
    for folder in folders[:LISTED]:
        with suppress(OptimizationFileError, OSError, ValueError, KeyError, TypeError):
            found.append(_kept_study(root, folder, left))
            left -= len(found[-1].trials)
    return found


def _age(folder: Path) -> tuple[int, str]:
    try:
        return -folder.stat().st_mtime_ns, folder.name
    except OSError:
        return 0, folder.name


def _kept_study(root: Path, folder: Path, most: int) -> StudyDetail:
    """Return the study in *folder*, without its table if that has more than *most* rows."""
    job = OptimizationJob(root.parent, resume=folder.name)
    kept = job.kept_report()
    rows = int(kept.get("rows") or 0)
    trials: tuple[TrialRow, ...] = ()
    if rows <= most:
        trials = tuple(job.trial_row(record) for record in job.kept_records())
    report = kept.get("report", {})
    best = best_of(trials, job.direction) or job.best_of(report)
    failed = sum(trial.status in FAILED for trial in trials)
    row = StudyRow(
        job.id,
        str(kept.get("name") or job.name),
        StudyStatus(kept.get("status", StudyStatus.INTERRUPTED.value)),
        job.created_ns,
        job.source,
        metric=job.metric,
        done=int(kept.get("done") or len(trials)),
        total=int(kept.get("total") or job.total),
        failed=int(report.get("failed", failed)),
        best=best,
        finished_ns=kept.get("finished_ns"),
        error=""
        if rows <= most
        else f"{rows:,} trials are not read at the start; they are in {job.html_path}",
    )
    return StudyDetail(
        row,
        parameters=job.parameters,
        direction=job.direction,
        trials=trials,
        report=report,
        backtest=job.backtest,
        base_dir=job.base_dir,
        html_path=str(job.html_path) if kept else "",
    )
