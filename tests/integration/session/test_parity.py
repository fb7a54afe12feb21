"""Architecture rule 4: the journal of a session gives the same state in a fresh container."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from anyio import to_thread

from engine.api import Engine
from engine.api.build import build_container
from engine.config.session_plan import load_session_plan
from engine.containers.inputs import decode
from engine.containers.session_container import SessionContainer
from engine.executors.base import ExecutorBase
from engine.live.published import PublishedSession
from engine.live.store_rows import executor_record, fill_record, order_record
from engine.model.orders import Fill, Order
from engine.store.journal_hash import JournalHash
from engine.store.records import ExecutorRecord, JournalEntry
from engine.store.store import Store

pytestmark = pytest.mark.anyio

ENDINGS = {
    "flattened": {"end_after: 30m": "end_after: 3m"},
    "kept": {"end_after: 30m": "end_after: 2m", "on_end: flatten": "on_end: keep"},
    "end of the data": {
        "end_after: 30m": "end_after: 2m",
        "repeat: true": "repeat: false",
        "speed: 3600  ": "speed: 600000",
    },
}


@dataclass
class Replay:
    """A container that has been fed with a journal, and all that came out."""

    container: SessionContainer
    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    executors: dict[str, ExecutorBase] = field(default_factory=dict)

    def feed(self, entry: JournalEntry) -> None:
        effects = self.container.apply(decode(entry.ts_ns, entry.kind, entry.payload))
        self.orders.update(effects.orders)
        self.fills.extend(effects.fills)
        for archived in effects.archived:
            self.executors[archived.executor.executor_id] = archived.executor

    def all_executors(self) -> dict[str, ExecutorBase]:
        living = {one.executor_id: one for one in self.container.orchestrator.executors()}
        return {**self.executors, **living}


async def run_to_its_end(path: Path, data_dir: Path) -> tuple[PublishedSession, str]:
    """Return what the session of *path* published last, and its hash."""
    async with Engine.open(config=path, data_dir=data_dir) as engine:
        await engine.wait_until_ended()
    assert engine.report().exit_code == 0
    (session,) = engine.board.sessions.values()
    return session, engine.summary()["journal_hash"]


async def journal_of(store: Store, session_id: str) -> AsyncIterator[JournalEntry]:
    after_seq = -1
    while entries := await store.journal(session_id, after_seq=after_seq):
        after_seq = entries[-1].seq
        for entry in entries:
            yield entry


@pytest.mark.parametrize("changes", ENDINGS.values(), ids=ENDINGS.keys())
async def test_a_stored_journal_replays_to_the_same_account_orders_fills_and_executors(
    write_session: Callable[..., Path], tmp_path: Path, changes: dict[str, str]
) -> None:
    path = write_session("deterministic.yaml", changes)
    session, journal_hash = await run_to_its_end(path, tmp_path / "data")
    plan = await to_thread.run_sync(load_session_plan, path)
    replay = Replay(build_container(plan, container_id=f"paper_{plan.config_hash[:8]}", start_ns=0))
    recomputed = JournalHash()
    async with Store.open(tmp_path / "data", now_ns=0) as store:
        async for entry in journal_of(store, session.id):
            recomputed.update(entry)
            replay.feed(entry)
        instruments = plan.instruments
        orders = await store.orders(session.id)
        fills = await store.fills(session.id)
        executors = await store.executors(session.id)
    assert recomputed.hexdigest() == journal_hash
    assert replay.container.is_stopped
    assert replay.container.portfolio.account_snapshot() == session.account
    assert replay.container.events_published == session.events
    assert {record.client_order_id: record for record in orders} == {
        order_id: order_record(session.id, order, instruments[order.request.market])
        for order_id, order in replay.orders.items()
    }
    assert list(fills) == [
        fill_record(session.id, fill, instruments[fill.market]) for fill in replay.fills
    ]
    assert len(fills) > 0
    assert {record.executor_id: _timeless(record) for record in executors} == {
        executor_id: _timeless(
            executor_record(session.id, executor, None, now_ns=0, is_archived=False)
        )
        for executor_id, executor in replay.all_executors().items()
    }


def _timeless(record: ExecutorRecord) -> ExecutorRecord:
    """Return *record* without when, and in which batch, it was written."""
    return replace(record, updated_ns=0, is_archived=False)
