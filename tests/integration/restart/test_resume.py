"""Rule 3 and 4 of the architecture: after a crash the journal gives the session's state back."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice

import pytest

from engine.api.build import build_container
from engine.config.session_plan import SessionPlan, load_session_plan
from engine.containers.effects import Effects
from engine.containers.inputs import (
    ActionInput,
    SessionInput,
    StartInput,
    StopInput,
    TimerInput,
    encode,
)
from engine.containers.session_container import SessionContainer
from engine.live.resume import CannotResumeError, ResumedSource, replay_session
from engine.markets.funding import FundingSchedule
from engine.markets.merged_feed import MergedFeed, TimerTick
from engine.store.records import JournalEntry
from tui.paths import session_file

START_NS = 1_767_600_000_000_000_000
SECOND_NS = 1_000_000_000


class Journals:
    """Journals in memory, read in pages like the store's."""

    def __init__(self) -> None:
        self.entries: dict[str, list[JournalEntry]] = {}

    def write(self, session_id: str, item: SessionInput) -> None:
        entries = self.entries.setdefault(session_id, [])
        entries.append(JournalEntry(session_id, len(entries), *encode(item)))

    async def journal(
        self, session_id: str, *, after_seq: int = -1, limit: int = 1000
    ) -> tuple[JournalEntry, ...]:
        return tuple(self.entries.get(session_id, [])[after_seq + 1 :][:limit])


@pytest.fixture
def journals() -> Journals:
    return Journals()


def plan() -> SessionPlan:
    return load_session_plan(session_file("paper.yaml"))


def container(of: SessionPlan) -> SessionContainer:
    return build_container(of, container_id="paper_x", start_ns=0)


def live(
    journals: Journals,
    session_id: str,
    subject: SessionContainer,
    feed: MergedFeed,
    *,
    start: StartInput,
    inputs: int,
) -> None:
    heard = islice(feed, inputs)
    quotes_and_timers: list[SessionInput] = [
        TimerInput(item.ts_ns) if isinstance(item, TimerTick) else item for item in heard
    ]
    for one in (start, *quotes_and_timers):
        journals.write(session_id, one)
        subject.apply(one)


def assert_same_state(left: SessionContainer, right: SessionContainer) -> None:
    assert left.portfolio.account_snapshot() == right.portfolio.account_snapshot()
    assert left.order_manager.orders() == right.order_manager.orders()
    assert left.orchestrator.snapshots(include_archived=True) == right.orchestrator.snapshots(
        include_archived=True
    )
    assert left.clock.now_ns() == right.clock.now_ns()


@pytest.mark.anyio
async def test_a_replayed_journal_gives_the_same_state_over_two_lives(journals: Journals) -> None:
    first_plan = plan()
    first = container(first_plan)
    feed = MergedFeed(first_plan.sources, start_ns=START_NS)
    live(journals, "one", first, feed, start=StartInput(START_NS), inputs=900)

    second_plan = plan()
    second = container(second_plan)
    seen: list[Effects] = []
    recovered = await replay_session(journals, "one", second, seen.append)
    assert_same_state(first, second)
    assert recovered.inputs == 901
    assert first.orchestrator.snapshots()

    restart_ns = recovered.last_ns + 3600 * SECOND_NS
    sources = [ResumedSource(one, seen=recovered.quotes[one.market]) for one in second_plan.sources]
    feed = MergedFeed(sources, start_ns=restart_ns)
    live(journals, "two", second, feed, start=StartInput(restart_ns, "one"), inputs=400)

    third = container(plan())
    recovered = await replay_session(journals, "two", third, seen.append)
    assert_same_state(second, third)
    assert recovered.inputs == 1302


def test_a_resumed_market_goes_on_with_the_next_quote() -> None:
    source = plan().sources[0]
    quotes = list(islice(source.ticks(START_NS), 12))
    resumed = ResumedSource(source, seen=5)
    later_ns = START_NS + 10**15
    again = list(islice(resumed.ticks(later_ns), 7))
    assert [quote.bid_ticks for quote in again] == [quote.bid_ticks for quote in quotes[5:]]
    assert again[0].ts_ns == later_ns
    assert again[-1].ts_ns - again[0].ts_ns == quotes[-1].ts_ns - quotes[5].ts_ns
    assert (resumed.market, resumed.instrument) == (source.market, source.instrument)


@pytest.mark.anyio
async def test_a_session_that_was_stopping_is_not_resumed(journals: Journals) -> None:
    journals.write("one", StartInput(START_NS))
    journals.write("one", StopInput(START_NS, keep_positions=True, actor="operator"))
    with pytest.raises(CannotResumeError, match="was stopping"):
        await replay_session(journals, "one", container(plan()), lambda _: None)


@pytest.mark.anyio
async def test_a_journal_without_a_beginning_is_not_resumed(journals: Journals) -> None:
    with pytest.raises(CannotResumeError, match="has no beginning"):
        await replay_session(journals, "none", container(plan()), lambda _: None)


HOUR_NS = 3600 * SECOND_NS


@pytest.mark.anyio
async def test_funding_that_fell_due_while_nothing_ran_is_charged_once(journals: Journals) -> None:
    first_plan = plan()
    source = first_plan.sources[0]
    schedule = FundingSchedule(source.market, 100_000, interval_ns=HOUR_NS)
    assert START_NS % HOUR_NS == 0

    def position(request_id: str) -> ActionInput:
        config = {
            "connector_name": source.market.connector_name,
            "trading_pair": source.market.trading_pair,
            "side": "BUY",
            "amount": "0.5",
            "triple_barrier_config": {"open_order_type": "MARKET"},
        }
        arguments = {"executor_type": "position_executor", "config": config}
        return ActionInput(subject.clock.now_ns(), request_id, "me", "create", arguments)

    subject = container(first_plan)
    feed = MergedFeed([source], start_ns=START_NS, funding=[schedule])
    live(journals, "one", subject, feed, start=StartInput(START_NS), inputs=20)
    one = position("r-1")
    journals.write("one", one)
    subject.apply(one)
    assert subject.portfolio.net_lots(source.market) > 0
    assert subject.portfolio.account_snapshot().funding == 0

    async def next_life(name: str, before: str, restart_ns: int, inputs: int) -> SessionContainer:
        again = container(plan())
        recovered = await replay_session(journals, before, again, lambda _: None)
        resumed = ResumedSource(source, seen=recovered.quotes[source.market])
        funded = {source.market: recovered.funded_until(source.market)}
        feed = MergedFeed([resumed], start_ns=restart_ns, funding=[schedule], funded_ns=funded)
        live(journals, name, again, feed, start=StartInput(restart_ns, before), inputs=inputs)
        return again

    lots = subject.portfolio.net_lots(source.market)
    quote = subject.data_handler.quote(source.market)
    assert quote is not None
    worth = source.instrument.qty(lots) * source.instrument.tick
    worth *= Decimal(quote.bid_ticks + quote.ask_ticks) / 2
    # Down for three hours and a half: three payments, at the last price that was known.
    restart_ns = START_NS + 3 * HOUR_NS + HOUR_NS // 2
    # It dies again when it has charged one of them.
    second = await next_life("two", "one", restart_ns, inputs=1)
    one_payment = second.portfolio.account_snapshot().funding
    assert abs(one_payment + worth / 10_000) < Decimal("1e-7")
    third = await next_life("three", "two", restart_ns + SECOND_NS, inputs=30)
    assert third.portfolio.account_snapshot().funding == 3 * one_payment
    fourth = await next_life("four", "three", restart_ns + 60 * SECOND_NS, inputs=30)
    assert fourth.portfolio.account_snapshot().funding == 3 * one_payment
    kept = [entry for name in ("two", "three", "four") for entry in journals.entries[name]]
    late = [entry for entry in kept if entry.kind == "funding"]
    due = [START_NS + number * HOUR_NS for number in (1, 2, 3)]
    assert [entry.payload.split(" ")[-1] for entry in late] == [str(one) for one in due]
    reports = fourth.orchestrator.get_all_performance().values()
    assert sum(report.funding_quote for report in reports) == 3 * one_payment
    assert fourth.differences() == ()
