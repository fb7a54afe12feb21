"""Faults of a session's parts: the store, a controller, an executor, the core."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NoReturn

import anyio.lowlevel
import pytest
from anyio import to_thread

from engine.api import Engine
from engine.api.build import BuiltSession, build_container, build_session, prepare_session
from engine.api.commands import StopExecutor
from engine.config.session_plan import SessionPlan, load_session_plan
from engine.containers.inputs import StartInput, decode
from engine.executors.base import ExecutorBase
from engine.executors.step import Notice
from engine.flow.errors import OperationError
from engine.live.clock import SystemClock
from engine.live.published import PublishedSession
from engine.markets.source import MarketSource
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import QuoteTick
from engine.store.batch import StoreBatch
from engine.store.errors import StoreWriteError
from engine.store.store import Store
from engine.strategies.controller import ControllerContext, ControllerProposal, CreateProposal

pytestmark = pytest.mark.anyio

SHORT = {"end_after: 30m": "end_after: 20s"}
BTC = ConnectorPair("paper_perpetual", "BTC-USDT")


@dataclass
class FlakyWriter:
    """Takes batches; every write of those numbers in ``refused`` fails."""

    refused: Sequence[int] = ()
    calls: int = 0
    written: list[StoreBatch] = field(default_factory=list)

    async def write(self, batch: StoreBatch) -> None:
        call, self.calls = self.calls, self.calls + 1
        if call in self.refused:
            raise StoreWriteError("the disk is full")
        self.written.append(batch)


@dataclass
class Wiring:
    """A session without an engine, and what it says."""

    session: BuiltSession
    published: list[PublishedSession]
    notices: list[Notice]

    def texts(self) -> list[str]:
        return [notice.text for notice in self.notices]


def wire(plan: SessionPlan, writer: FlakyWriter) -> Wiring:
    published: list[PublishedSession] = []
    notices: list[Notice] = []

    async def track(_actions: object) -> None:
        await anyio.lowlevel.checkpoint()

    clock = SystemClock()
    prepared = prepare_session(plan, session_id="s-1", clock=clock, notify=notices.append)
    session = build_session(
        prepared, clock=clock, writer=writer, publish=published.append, track=track
    )
    return Wiring(session, published, notices)


async def load(path: Path) -> SessionPlan:
    return await to_thread.run_sync(load_session_plan, path)


# --- the store -----------------------------------------------------------------------------------


async def test_a_store_that_fails_for_a_while_halts_trading_says_so_and_goes_on(
    write_session: Callable[..., Path],
) -> None:
    writer = FlakyWriter(refused=(1,))
    plan = await load(write_session("deterministic.yaml", SHORT))
    begun = wire(plan, FlakyWriter()).session.container
    begun.apply(StartInput(0))
    wiring = wire(plan, writer)
    await wiring.session.runner.run()
    halted = [one for one in wiring.published if one.state == "halted"]
    assert [one.problem for one in halted] == [
        "the store cannot be written, trading is halted until it can: the disk is full"
    ]
    assert halted[0].inputs > 1
    assert halted[0].events == begun.events_published, (
        "the core has seen nothing that is not in the journal"
    )
    last = wiring.published[-1]
    assert (last.state, last.problem) == ("stopped", "")
    assert last.fill_count > 0


async def test_what_is_written_late_is_written_once_and_in_order(
    write_session: Callable[..., Path],
) -> None:
    plan_path = write_session("deterministic.yaml", SHORT)
    steady, flaky = FlakyWriter(), FlakyWriter(refused=(1,))
    for writer in (steady, flaky):
        await wire(await load(plan_path), writer).session.runner.run()
    assert [one.journal for one in flaky.written] == [one.journal for one in steady.written]
    assert [one.fills for one in flaky.written] == [one.fills for one in steady.written]
    sequence = [entry.seq for batch in flaky.written for entry in batch.journal]
    assert sequence == list(range(len(sequence)))


# --- controllers and executors -------------------------------------------------------------------


class Wreck:
    """A controller that raises on every tick."""

    controller_id = "wreck"

    def on_tick(self, context: ControllerContext) -> list[ControllerProposal]:
        raise ZeroDivisionError("wrecked")


class Saboteur:
    """A controller that creates one executor, and breaks its state machine."""

    controller_id = "saboteur"

    def __init__(self) -> None:
        self.victims: list[ExecutorBase] = []
        self.find_executors: Callable[[], Iterable[ExecutorBase]] = tuple
        self.has_created = False

    def on_tick(self, context: ControllerContext) -> list[ControllerProposal]:
        if self.has_created:
            for executor in self.find_executors():
                broken = type("Broken", (type(executor),), {"__slots__": (), "on_time": _raise})
                executor.__class__ = broken
                self.victims.append(executor)
            return []
        self.has_created = True
        config: dict[str, object] = {
            "connector_name": BTC.connector_name,
            "trading_pair": BTC.trading_pair,
            "side": "BUY",
            "amount": "0.01",
            "triple_barrier_config": {"time_limit": 3},
        }
        return [CreateProposal("position_executor", config)]


def _raise(*_: object, **__: object) -> NoReturn:
    raise ZeroDivisionError("sabotaged")


async def test_a_controller_that_raises_is_paused_and_the_others_go_on(
    write_session: Callable[..., Path],
) -> None:
    plan = await load(write_session("deterministic.yaml", SHORT))
    wiring = wire(replace(plan, controllers=(Wreck(), *plan.controllers)), FlakyWriter())
    await wiring.session.runner.run()
    failures = [text for text in wiring.texts() if text.startswith("controller wreck failed")]
    assert len(failures) == 3
    assert failures[-1].endswith("paused after 3 failures in a row, its executors go on")
    last = wiring.published[-1]
    assert last.state == "stopped"
    assert {one.controller_id for one in last.executors.values()} == {
        "momentum-btc",
        "momentum-eur",
    }


async def test_an_executor_that_raises_ends_and_the_session_goes_on(
    write_session: Callable[..., Path],
) -> None:
    plan = await load(write_session("deterministic.yaml", SHORT))
    saboteur = Saboteur()
    wiring = wire(replace(plan, controllers=(saboteur, *plan.controllers)), FlakyWriter())
    orchestrator = wiring.session.container.orchestrator
    saboteur.find_executors = lambda: orchestrator.executors("saboteur")
    await wiring.session.runner.run()
    victim = saboteur.victims[0]
    assert victim.is_done
    assert "sabotaged" in victim.executor_info.to_json()
    last = wiring.published[-1]
    assert last.state == "stopped"
    assert last.executor_counts.lifecycles["failed"] == 1
    assert last.executor_counts.lifecycles.keys() == {"failed", "terminated"}
    others = [one for one in last.executors.values() if one.controller_id != "saboteur"]
    assert len(others) > 3


# --- the core ------------------------------------------------------------------------------------


async def test_a_core_that_raises_fails_the_session_and_the_engine_stays(
    write_session: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_session("paper.yaml", {"  speed: 1 ": "  speed: 10 "})
    async with Engine.open(config=path, data_dir=tmp_path / "data") as engine:
        session = engine._session
        assert session is not None
        vars(session.container)["apply"] = _raise
        await engine.wait_until_ended()
        health = engine.board.health
        assert (health.state.value, health.exit_code) == ("faulted", 1)
        assert health.message == f"session {session.id} failed: ZeroDivisionError: sabotaged"
        assert any(row.text == health.message for row in engine.board.log)
        with pytest.raises(OperationError, match="the session is failed"):
            await engine.perform(StopExecutor(session=session.id, executor_id="x"), "r-1")
        assert engine.board.flow_states
    report = engine.report()
    assert (report.clean, report.exit_code, report.message) == (False, 1, health.message)
    async with Store.open(tmp_path / "data", now_ns=0) as store:
        (record,) = await store.sessions()
    assert (record.status, record.reason) == ("failed", health.message)
    assert record.ended_ns is not None


async def test_a_session_that_does_not_stop_in_time_is_left_to_recovery(
    write_session: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_session("paper.yaml", {"  speed: 1 ": "  speed: 10 "})
    data_dir = tmp_path / "data"
    async with Engine.open(config=path, data_dir=data_dir, stop_deadline_s=0.1) as engine:
        assert engine._session is not None
        engine._session.runner._writer = FlakyWriter(refused=range(1000))
    report = engine.report()
    assert (report.clean, report.exit_code) == (False, 1)
    assert report.message == (
        "the session did not stop within 0.1 s; it is recovered at the next start"
    )
    async with Store.open(data_dir, now_ns=0) as store:
        (record,) = await store.sessions()
        assert (record.status, store.interrupted) == ("interrupted", (record.session_id,))


# --- the end of the market -----------------------------------------------------------------------


@dataclass(frozen=True)
class EndingSource:
    """A market that ends after so many quotes."""

    source: MarketSource
    quotes: int

    @property
    def market(self) -> ConnectorPair:
        return self.source.market

    @property
    def instrument(self) -> Instrument:
        return self.source.instrument

    def ticks(self, start_ns: int) -> Iterator[QuoteTick]:
        return islice(self.source.ticks(start_ns), self.quotes)


@pytest.mark.parametrize("quotes", [60, 100])
async def test_a_market_that_ends_forces_the_stop_and_the_journal_says_so(
    write_session: Callable[..., Path], quotes: int
) -> None:
    # On their way for half a second, the closing orders of the stop never arrive.
    slow = {"\nrisk:\n": "\nbroker:\n  latency_ms: 500\n\nrisk:\n"}
    path = write_session("deterministic.yaml", slow)

    async def ending_plan() -> SessionPlan:
        plan = await load(path)
        return replace(plan, sources=tuple(EndingSource(one, quotes) for one in plan.sources))

    writer = FlakyWriter()
    plan = await ending_plan()
    wiring = wire(plan, writer)
    await wiring.session.runner.run()
    journal = [entry for batch in writer.written for entry in batch.journal]
    assert [entry.kind for entry in journal[-2:]] == ["stop", "force_stop"]
    again = build_container(
        await ending_plan(), container_id=wiring.session.container.id, start_ns=0
    )
    for entry in journal:
        again.apply(decode(entry.ts_ns, entry.kind, entry.payload))
    last = wiring.published[-1]
    assert last.state == "stopped"
    assert again.is_stopped
    assert again.portfolio.account_snapshot() == last.account
    assert {one.id: one for one in again.orchestrator.snapshots()} == dict(last.executors)
