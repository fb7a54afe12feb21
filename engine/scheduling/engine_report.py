"""The engine's figures (9); cheap, and from any thread."""

from __future__ import annotations

import heapq
import itertools
from typing import Any, Final

from engine.model.clock import to_iso
from engine.scheduling.agent_book import AgentBook
from engine.scheduling.agent_cycles import CYCLE
from engine.scheduling.agent_record import RecordOf
from engine.scheduling.clock import Clock
from engine.scheduling.dispatcher import Dispatcher
from engine.scheduling.task_handle import AgentRecord
from engine.scheduling.task_priority import LEVELS
from engine.scheduling.task_snapshot import TaskSnapshot

EMPTY_RECORD: Final[AgentRecord] = RecordOf("")
"""What is known of an unknown agent."""


def queue_stats(dispatcher: Dispatcher, *, now: float) -> dict[str, Any]:
    """Return what waits, runs and has ended."""
    queued = dispatcher.ready_count + dispatcher.delayed_count + dispatcher.parked_count
    oldest = dispatcher.ready.oldest()
    return {
        "queued_tasks": queued,
        "running_tasks": len(dispatcher.running),
        "queued_by_priority": {level.name: dispatcher.queued_by_level[level] for level in LEVELS},
        "delayed_tasks": dispatcher.delayed_count,
        "ready_tasks": dispatcher.ready_count,
        "parked_tasks": dispatcher.parked_count,
        **dispatcher.counters.totals(),
        "abandoned": len(dispatcher.abandoned),
        "oldest_ready_age_s": 0.0 if oldest is None else max(0.0, now - oldest),
        "dispatch_latency_ms": dispatcher.dispatch_latency.stats(),
        "run_time_ms": dispatcher.run_time.stats(),
        "loop_lag_ms": dispatcher.lag.seconds * 1e3,
    }


def agent_report(
    book: AgentBook,
    agent_id: str,
    scheduler: Any,  # noqa: ANN401 (AdaptiveScheduler, or a stand-in)
    clock: Clock,
) -> dict[str, Any]:
    """Return the figures of one agent; those of an unknown one are zeros and None."""
    record = book.find(agent_id) or EMPTY_RECORD
    now, wall = clock.monotonic(), clock.wall()

    def stamp(at: float | None) -> str | None:
        return None if at is None else to_iso(int((wall - (now - at)) * 1e9))

    queued, running = record.cycles.queued, record.cycles.running
    return {
        "agent_id": agent_id,
        "last_start": stamp(running.started if running is not None else record.last_started),
        "last_end": stamp(record.last_ended),
        "next_due_s": None if queued is None else max(0.0, queued.due - now),
        "running_s": None if running is None else max(0.0, now - running.started),
        "limit_s": None if running is None else running.deadline - running.started,
        "runs": record.runs,
        "failures_in_a_row": record.failures,
        "errors": record.errors,
        "timeouts": record.timeouts,
        "coalesced": record.coalesced,
        "abandoned": record.abandoned,
        "queued_tasks": len(record.queued),
        "running_tasks": record.busy,
        "mean_run_time_s": record.run_seconds / record.runs if record.runs else None,
        "last_run_time_s": _last_run(record),
        "last_error": record.last_error,
        "reliability": scheduler.reliability(agent_id, CYCLE)
        if hasattr(scheduler, "reliability")
        else None,
        "interval_s": record.interval,
    }


def first_in_line(dispatcher: Dispatcher, book: AgentBook, limit: int) -> tuple[TaskSnapshot, ...]:
    """Return up to *limit* waiting tasks: ready ones by level, parked, then the soonest delayed."""
    ready = (
        handle
        for level in dispatcher.ready.levels
        for handle in itertools.chain((entry[2] for entry in sorted(level.late)), level.fifo)
        if handle.state == "ready" and handle.priority is level.level
    )
    parked = (
        lane.queued
        for record in book
        for lane in (record.cycles, *record.lanes.values())
        if lane.queued is not None and lane.queued.state == "parked"
    )
    shown = list(itertools.islice(itertools.chain(ready, parked), limit))
    if len(shown) < limit:
        heap = dispatcher.delayed.heap
        soonest = heapq.nsmallest(limit - len(shown), heap)
        shown += [entry[2] for entry in soonest if entry[2].state == "delayed"]
    return tuple(dict.fromkeys(handle.snapshot() for handle in shown))


def _last_run(record: AgentRecord) -> float | None:
    if record.last_started is None or record.last_ended is None:
        return None
    return record.last_ended - record.last_started
