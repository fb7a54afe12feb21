"""What readers on other threads get of the executors: whole, in order, never changed again."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from engine.api.build import build_container
from engine.api.executor_table import ORDER_INTERVAL_NS, ExecutorTable
from engine.api.executor_views import executor_row
from engine.api.filtering import parse_filter
from engine.api.sorting import SORT_KEYS, sort_rows
from engine.config.session_plan import load_session_plan
from engine.containers.inputs import TimerInput
from engine.live.picture import Picture
from engine.live.published import PublishedSession
from engine.live.recorder import Recorder
from engine.live.session_runner import RunnerFigures, SessionState
from engine.markets.merged_feed import MergedFeed, TimerTick
from engine.model.clock import from_iso

SAMPLE = Path(__file__).parents[3] / "sample_configs" / "deterministic.yaml"
START_NS = from_iso("2026-01-05T08:00:00Z")


class Session:
    """A session that moves when it is told, with its recorder and its picture."""

    def __init__(self) -> None:
        plan = load_session_plan(SAMPLE)
        self.state = SessionState.RUNNING
        self.figures = RunnerFigures()
        self.queue_length = 0
        self.container = build_container(plan, container_id="test", start_ns=START_NS)
        self.recorder = Recorder(
            session_id="s", container=self.container, notify=lambda _: None, wall_ns=lambda: 0
        )
        self._feed = MergedFeed(plan.sources, start_ns=START_NS)
        self._picture = Picture(
            session_id="s",
            name="test",
            mode="paper",
            speed="max",
            started_ns=START_NS,
            container=self.container,
            recorder=self.recorder,
        )

    @property
    def now_ns(self) -> int:
        return self.container.clock.now_ns()

    def go_on(self, inputs: int) -> PublishedSession:
        for item in islice(self._feed, inputs):
            fed = TimerInput(item.ts_ns) if isinstance(item, TimerTick) else item
            self.recorder.record(self.container.apply(fed))
        return self._picture.take(self)


@pytest.fixture(scope="module")
def session() -> PublishedSession:
    return Session().go_on(3000)


def test_a_mapping_that_was_given_out_never_changes_again() -> None:
    session = Session()
    early = session.go_on(600)
    before, archived = dict(early.executors), dict(early.archived)
    late = session.go_on(2000)
    assert dict(early.executors) == before
    assert dict(early.archived) == archived
    assert late.executors != before
    assert late.membership != early.membership


def test_without_a_change_the_same_mapping_is_given_out() -> None:
    session = Session()
    assert session.go_on(600).executors is session.go_on(0).executors


def test_pictures_show_what_the_orchestrator_has() -> None:
    session = Session()
    for _ in range(20):
        shown = session.go_on(100)
        expected = session.container.orchestrator.snapshots()
        assert tuple(shown.executors.values()) == expected


def test_counts_are_those_of_all_executors(session: PublishedSession) -> None:
    everyone = (*session.archived.values(), *session.executors.values())
    counts = session.executor_counts
    assert session.archived
    assert +Counter(counts.lifecycles) == Counter(one.lifecycle.value for one in everyone)
    assert +Counter(counts.types) == Counter(one.type for one in everyone)
    assert +Counter(counts.close_types) == Counter(
        one.close_type.name for one in everyone if one.close_type is not None
    )


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("text", ["", "btc", "side:buy pnl>0", "!state:terminated", "retries<"])
@pytest.mark.parametrize("sort", [*SORT_KEYS, "unknown"])
def test_the_table_orders_as_if_all_rows_were_built(
    session: PublishedSession, sort: str, text: str, *, descending: bool
) -> None:
    everyone = (*session.archived.values(), *session.executors.values())
    rows = [executor_row(snapshot, session) for snapshot in everyone]
    if text != "retries<":
        rows = list(filter(parse_filter(text), rows))
    expected = sort_rows(rows, sort, descending=descending)
    instants = iter(range(0, 1 << 60, ORDER_INTERVAL_NS))
    table = ExecutorTable(monotonic_ns=lambda: next(instants))
    page = table.page(
        session,
        sort=sort,
        descending=descending,
        filter_text=text,
        start=0,
        count=10_000,
        include_archived=True,
    )
    assert page.rows == tuple(expected)
    assert page.total == len(everyone)
    assert bool(page.filter_error) == (text == "retries<")


def test_an_order_is_kept_for_a_second_and_then_renewed(session: PublishedSession) -> None:
    now = [0]
    table = ExecutorTable(monotonic_ns=lambda: now[0])

    def index(executor_id: str) -> int | None:
        return table.index(
            session,
            executor_id,
            sort="pnl",
            descending=True,
            filter_text="",
            include_archived=False,
        )

    first = next(iter(session.executors))
    place = index(first)
    assert place is not None
    assert index("nobody") is None
    now[0] = ORDER_INTERVAL_NS
    assert index(first) == place
