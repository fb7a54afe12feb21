"""The loop of a session: inputs are journaled first, requests answered, the end orderly."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from engine import flow
from engine.api.build import prepare_session
from engine.containers.inputs import START, StartInput, decode
from engine.executors.actions import ActionResult
from engine.live import session_runner
from engine.live.pace import Pace
from engine.live.picture import Picture
from engine.live.published import PublishedSession
from engine.live.session_runner import (
    BATCH_LIMIT,
    ControllerAction,
    PendingRequest,
    SessionRunner,
    SessionState,
)
from engine.live.session_state import entry_digest, read_state, restored
from engine.live.state_taker import StateTaker
from engine.markets.merged_feed import MergedFeed
from engine.model.clock import SECOND_NS
from engine.model.quotes import QuoteTick
from engine.store.records import SessionStatus
from engine.strategies.controller import ControllerContext, ControllerProposal, CreateProposal
from engine.strategies.strategy import Strategy
from engine.testing.manual_clock import ManualClock
from engine.testing.small_session import (
    MARKET,
    START_NS,
    MemoryWriter,
    quote_at,
    small_plan,
)

pytestmark = pytest.mark.anyio

CONFIG: dict[str, object] = {
    "connector_name": "sim",
    "trading_pair": "AAA-USDT",
    "side": "BUY",
    "amount": "2",
    "triple_barrier_config": {"open_order_type": "MARKET"},
}


class Loop:
    """A session's runner with its clock, its writer and what it published."""

    def __init__(
        self,
        *quotes: QuoteTick,
        speed: str | None = None,
        seconds: float | None = None,
        keep: bool = False,
        **plan: Any,
    ) -> None:
        self.clock = ManualClock(START_NS)
        self.writer = MemoryWriter()
        self.pictures: list[PublishedSession] = []
        self.actions: list[ControllerAction] = []
        subject = small_plan(*quotes, **plan)
        prepared = prepare_session(
            subject, session_id="s-1", clock=self.clock, notify=lambda _: None
        )
        self.container = prepared.container
        self.recorder = prepared.recorder
        self.picture = Picture(
            session_id="s-1",
            name="main",
            mode="paper",
            speed="1x",
            started_ns=START_NS,
            container=prepared.container,
            recorder=prepared.recorder,
        )
        options: dict[str, Any] = {}
        if seconds is not None:
            options["end_ns"] = START_NS + int(seconds * SECOND_NS)
        value = None if speed is None else Decimal(speed)
        self.runner = SessionRunner(
            container=prepared.container,
            feed=MergedFeed(subject.sources, start_ns=START_NS),
            pace=Pace(clock=self.clock, start_ns=START_NS, speed=value),
            writer=self.writer,
            recorder=prepared.recorder,
            publish=lambda runner: self.pictures.append(self.picture.take(runner)),
            track=self._track,
            monotonic_ns=self.clock.monotonic_ns,
            start=StartInput(START_NS),
            keep_positions_at_end=keep,
            **options,
        )

    async def _track(self, actions: Any) -> None:
        self.actions.extend(actions)

    @property
    def journal(self) -> list[tuple[int, str]]:
        return [(entry.seq, entry.kind) for batch in self.writer.batches for entry in batch.journal]

    async def let_pass(self, ns: int) -> None:
        """Let wall time pass and the loop notice it, without waiting for it."""
        self.clock.advance(ns)
        self.runner._wake.set()
        await anyio.wait_all_tasks_blocked()


def create_request(number: int = 1) -> PendingRequest:
    return PendingRequest(
        request_id=f"r-{number}",
        actor="me",
        verb="create",
        arguments={"executor_type": "position_executor", "config": CONFIG},
    )


def quotes_each_second(count: int) -> Sequence[QuoteTick]:
    return [quote_at(second, "99.99", "100.01") for second in range(count)]


async def test_a_simulated_session_runs_through_and_ends_by_itself() -> None:
    loop = Loop(*quotes_each_second(5))
    await loop.runner.run()
    assert loop.runner.state is SessionState.STOPPED
    kinds = [kind for _, kind in loop.journal]
    assert kinds[0] == START
    assert kinds[-1] == "stop"
    assert kinds.count("quote") == 5
    assert [seq for seq, _ in loop.journal] == list(range(len(kinds)))
    (update,) = loop.writer.batches[-1].sessions
    assert (update.status, update.reason) == (SessionStatus.STOPPED, "stopped by plan, flattened")
    assert loop.pictures[-1].state == "stopped"


async def test_an_end_of_session_time_is_kept_to_the_nanosecond() -> None:
    loop = Loop(*quotes_each_second(60), seconds=10.5, keep=True)
    await loop.runner.run()
    entries = [entry for batch in loop.writer.batches for entry in batch.journal]
    assert max(entry.ts_ns for entry in entries if entry.kind == "quote") == (
        START_NS + 10 * SECOND_NS
    )
    assert loop.recorder.reason == "stopped by plan, positions kept"


async def test_an_input_is_written_before_the_core_sees_it() -> None:
    loop = Loop(*quotes_each_second(3))
    loop.runner.preload([create_request()])
    seen: list[int] = []

    class Watching(MemoryWriter):
        async def write(self, batch: Any) -> None:
            await super().write(batch)
            seen.append(loop.container.events_published)

    loop.runner._writer = Watching()
    wired = loop.container.events_published  # that of its own life
    await loop.runner.run()
    assert seen[0] == wired
    assert seen[-1] > wired


async def test_a_preloaded_request_comes_with_the_first_quote() -> None:
    loop = Loop(*quotes_each_second(3))
    request = create_request()
    loop.runner.preload([request])
    await loop.runner.run()
    assert [kind for _, kind in loop.journal][:4] == ["start", "quote", "action", "quote"]
    result = await request.wait()
    assert result.ok


async def test_in_real_time_quotes_wait_for_their_time() -> None:
    loop = Loop(*quotes_each_second(4), speed="1")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop.runner.run)
        await anyio.wait_all_tasks_blocked()
        assert [kind for _, kind in loop.journal] == ["start", "quote"]
        await loop.let_pass(SECOND_NS)
        assert [kind for _, kind in loop.journal].count("quote") == 2
        await loop.let_pass(10 * SECOND_NS)
        await anyio.wait_all_tasks_blocked()
    assert loop.runner.state is SessionState.STOPPED
    assert loop.runner.figures.lag_ms is not None


async def test_a_request_is_answered_and_published_at_once() -> None:
    loop = Loop(*quotes_each_second(100), speed="1")
    results: list[ActionResult] = []

    async def ask() -> None:
        results.append(await loop.runner.perform(create_request()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop.runner.run)
        await anyio.wait_all_tasks_blocked()
        published = len(loop.pictures)
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert results[0].ok
        assert len(loop.pictures) == published + 1
        assert len(loop.pictures[-1].executors) == 1
        loop.runner.request_stop(keep_positions=False, actor="me")
        loop.runner.request_stop(keep_positions=True, actor="another")
        await anyio.wait_all_tasks_blocked()
    assert loop.recorder.reason == "stopped by me, flattened"
    assert loop.container.portfolio.net_lots(MARKET) == 0


async def test_pictures_are_taken_ten_times_a_second_at_most() -> None:
    loop = Loop(*[quote_at(n / 100, "99.99", "100.01") for n in range(200)], speed="1")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop.runner.run)
        await anyio.wait_all_tasks_blocked()
        before = len(loop.pictures)
        for _ in range(100):
            await loop.let_pass(SECOND_NS // 100)
        assert 9 <= len(loop.pictures) - before <= 11
        tasks.cancel_scope.cancel()


async def test_a_store_that_fails_halts_trading_until_it_works_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_runner, "WRITE_RETRY_S", 0)
    loop = Loop(*quotes_each_second(3))
    loop.writer.failures = 2
    await loop.runner.run()
    halted = [picture for picture in loop.pictures if picture.state == "halted"]
    assert len(halted) == 2
    assert "trading is halted until it can: the disk is full" in halted[0].problem
    assert halted[0].inputs == 1
    assert loop.runner.state is SessionState.STOPPED
    assert loop.pictures[-1].problem == ""
    assert [kind for _, kind in loop.journal].count("quote") == 3


async def test_a_request_that_was_given_up_is_not_carried_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_runner, "WRITE_RETRY_S", 0)
    loop = Loop(*quotes_each_second(100), speed="1")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop.runner.run)
        await anyio.wait_all_tasks_blocked()
        loop.writer.failures = 10**9
        loop.clock.advance(SECOND_NS)
        loop.runner._wake.set()
        while loop.runner.state is not SessionState.HALTED:
            await anyio.lowlevel.checkpoint()
        with anyio.move_on_after(0):
            await loop.runner.perform(create_request())
        assert loop.runner.queue_length == 0
        loop.writer.failures = 0
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert "action" not in [kind for _, kind in loop.journal]
    assert loop.container.executor_count == 0


async def test_a_session_that_does_not_run_takes_no_requests() -> None:
    loop = Loop(*quotes_each_second(2))
    with pytest.raises(flow.OperationError, match="the session is created"):
        await loop.runner.perform(create_request())
    await loop.runner.run()
    with pytest.raises(flow.OperationError, match="the session is stopped"):
        await loop.runner.perform(create_request())


class Broken(Strategy):
    """Fails at the first quote."""

    def on_quote(self, quote: QuoteTick) -> None:
        raise ZeroDivisionError(quote.market)


async def test_a_fault_in_the_core_fails_the_session_and_refuses_who_waits() -> None:
    loop = Loop(*quotes_each_second(2), strategies=[(MARKET, Broken())])
    request = create_request()
    loop.runner.preload([request])
    with pytest.raises(ZeroDivisionError):
        await loop.runner.run()
    assert loop.runner.state is SessionState.FAILED
    assert loop.pictures[-1].state == "failed"
    with pytest.raises(flow.OperationError, match="the session ended first"):
        await request.wait()


async def test_what_does_not_end_is_forced_after_the_last_input() -> None:
    loop = Loop(*quotes_each_second(3), sections={"broker": {"latency_ms": 400}})
    loop.runner.preload([create_request()])
    await loop.runner.run()
    assert [kind for _, kind in loop.journal][-1] == "force_stop"
    assert loop.runner.state is SessionState.STOPPED
    (snapshot,) = loop.pictures[-1].archived.values()
    assert snapshot.is_done


async def test_many_inputs_are_taken_in_slices() -> None:
    loop = Loop(*[quote_at(n / 1000, "99.99", "100.01") for n in range(500)], speed="1")
    loop.clock.advance(SECOND_NS)
    await loop.runner.run()
    assert max(len(batch.journal) for batch in loop.writer.batches) <= BATCH_LIMIT + 1
    assert [kind for _, kind in loop.journal].count("quote") == 500


class Eager:
    """Creates one executor at every tick."""

    controller_id = "eager"

    def on_tick(self, context: ControllerContext) -> list[ControllerProposal]:
        del context
        return [CreateProposal("position_executor", CONFIG)]


async def test_what_controllers_do_is_tracked() -> None:
    loop = Loop(*quotes_each_second(4), controllers=[Eager()])
    await loop.runner.run()
    assert [(controller, verb, result.ok) for controller, verb, result in loop.actions] == [
        ("eager", "create", True)
    ] * len(loop.actions)
    assert len(loop.actions) == loop.container.executor_count >= 3


async def test_the_journal_decodes_to_what_the_session_saw() -> None:
    loop = Loop(*quotes_each_second(4))
    loop.runner.preload([create_request()])
    await loop.runner.run()
    entries = [entry for batch in loop.writer.batches for entry in batch.journal]
    again = Loop(*quotes_each_second(4))
    for entry in entries:
        again.container.apply(decode(entry.ts_ns, entry.kind, entry.payload))
    assert (
        again.container.portfolio.account_snapshot() == loop.container.portfolio.account_snapshot()
    )
    assert again.container.orchestrator.snapshots() == loop.container.orchestrator.snapshots()


async def test_the_state_is_taken_where_everything_is_written(tmp_path: Path) -> None:
    quotes = [quote_at(number / 4, "99.99", "100.01") for number in range(3000)]
    loop = Loop(*quotes)
    taker = StateTaker(
        session_id="s-1",
        config_hash="hash",
        container=loop.container,
        recorder=loop.recorder,
        runner=loop.runner,
        folder=tmp_path / "snapshots",
        every=1000,
    )
    loop.runner.preload([create_request()])
    written = [await taker.work()]

    async def agent() -> None:
        while loop.runner.state is not SessionState.STOPPED:
            written.append(await taker.work())
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop.runner.run)
        tasks.start_soon(agent)
    written.append(await taker.work())  # what was taken when the session ended
    assert any(written)
    found = read_state(tmp_path / "snapshots", "s-1", config_hash="hash")
    assert found is not None
    header, text = found
    entries = [entry for batch in loop.writer.batches for entry in batch.journal]
    assert 1000 <= header.entries < len(entries)
    last = entries[header.entries - 1]
    assert header.last_entry == entry_digest(last.ts_ns, last.kind, last.payload)
    container, kept = restored(text)
    assert container.inputs == header.entries
    for entry in entries[header.entries :]:
        container.apply(decode(entry.ts_ns, entry.kind, entry.payload))
    assert container.portfolio.account_snapshot() == loop.container.portfolio.account_snapshot()
    assert container.orchestrator.snapshots() == loop.container.orchestrator.snapshots()
    assert kept["fill_count"] == 1


async def test_a_state_that_is_too_large_is_told_and_not_taken(
    tmp_path: Path,
) -> None:
    loop = Loop(*quotes_each_second(400))
    taker = StateTaker(
        session_id="s-1",
        config_hash="hash",
        container=loop.container,
        recorder=loop.recorder,
        runner=loop.runner,
        folder=tmp_path / "snapshots",
        every=1,
        most_executors=-1,
    )
    loop.runner.preload([create_request()])
    assert not await taker.work()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop.runner.run)
        while loop.runner.state is not SessionState.STOPPED:
            assert not await taker.work()
            await anyio.lowlevel.checkpoint()
    assert taker.problem.endswith("executors are more than -1")
    assert not (tmp_path / "snapshots").exists()
