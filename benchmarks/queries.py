"""What the console's questions cost with 5,000 executors, beside rows built for all of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.crowd import START_NS, Crowd
from benchmarks.harness import Finding, Sample, repeat
from engine.api.executor_table import ORDER_INTERVAL_NS, ExecutorTable
from engine.api.executor_views import executor_row
from engine.api.filtering import parse_filter
from engine.api.sorting import sort_rows
from engine.live.picture import Picture
from engine.live.published import PublishedSession
from engine.live.recorder import Recorder
from engine.live.session_runner import RunnerFigures, SessionState

EXECUTORS: Final = 5000
RUNS: Final = 15
ROWS: Final = 40
QUESTIONS: Final = (("pnl", ""), ("pnl_pct", ""), ("age", ""), ("pnl", "btc"), ("pnl", "pnl>0"))


@dataclass(slots=True)
class Standing:
    """A session that runs but does not move."""

    now_ns: int
    state: SessionState = SessionState.RUNNING
    figures: RunnerFigures = field(default_factory=RunnerFigures)
    queue_length: int = 0


def measure() -> list[Finding]:
    """Measure the picture for other threads, then ordering and one page under several sorts."""
    with tempfile.TemporaryDirectory() as folder:
        crowd = Crowd(Path(folder), executors=EXECUTORS)
    take = _picture(crowd)
    pictures = repeat(_milliseconds(take), runs=RUNS)
    session = take()
    findings = [
        Finding(
            f"picture of {EXECUTORS:,} executors for the console",
            "ms",
            pictures,
            target="<= 2 ms",
            is_met=median(pictures) <= 2,
        )
    ]
    for sort, text in QUESTIONS:
        ours = repeat(_milliseconds(_page(session, sort, text)), runs=RUNS)
        reference = repeat(_milliseconds(_all_rows(session, sort, text)), runs=3)
        findings.append(
            Finding(
                f"order of {EXECUTORS:,} executors by {sort}, filter {text or 'none'}",
                "ms",
                ours,
                reference,
                "all rows built",
                "<= 15 ms",
                median(ours) <= 15,
            )
        )
    return findings


def _milliseconds(work: Callable[[], object]) -> Sample:
    def sample() -> float:
        started = time.perf_counter()
        work()
        return (time.perf_counter() - started) * 1000

    return sample


def _picture(crowd: Crowd) -> Callable[[], PublishedSession]:
    recorder = Recorder(
        session_id="bench", container=crowd.container, notify=lambda _: None, wall_ns=lambda: 0
    )
    for effects in crowd.effects:
        recorder.record(effects)
    picture = Picture(
        session_id="bench",
        name="bench",
        mode="paper",
        speed="1x",
        started_ns=START_NS,
        container=crowd.container,
        recorder=recorder,
    )
    runner = Standing(START_NS)
    return lambda: picture.take(runner)


def _page(session: PublishedSession, sort: str, text: str) -> Callable[[], object]:
    instants = iter(range(0, 1 << 60, 2 * ORDER_INTERVAL_NS))
    table = ExecutorTable(monotonic_ns=lambda: next(instants))
    return lambda: table.page(
        session,
        sort=sort,
        descending=True,
        filter_text=text,
        start=0,
        count=ROWS,
        include_archived=False,
    )


def _all_rows(session: PublishedSession, sort: str, text: str) -> Callable[[], object]:
    accepts = parse_filter(text)

    def work() -> object:
        rows = [executor_row(snapshot, session) for snapshot in session.executors.values()]
        return sort_rows(filter(accepts, rows), sort, descending=True)[:ROWS]

    return work
