"""A resume from a snapshot and the rest of the journal is the resume from the whole journal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from engine.api.build import PreparedSession, keeps_state, prepare_from_state, prepare_session
from engine.api.recovery import recover
from engine.config.session_plan import SessionPlan, load_session_plan
from engine.containers.inputs import (
    ActionInput,
    SessionInput,
    StartInput,
    TimerInput,
    encode,
)
from engine.containers.session_container import SessionContainer
from engine.live.resume import Recovered
from engine.live.session_state import (
    FILES_KEPT,
    StateError,
    StateHeader,
    code_digest,
    copied,
    entry_digest,
    plain_text,
    read_state,
    restored,
    state_path,
    write_state,
)
from engine.markets.merged_feed import MergedFeed, TimerTick
from engine.store.records import SessionRecord, SessionStatus
from engine.store.store import Store
from engine.testing.manual_clock import ManualClock
from engine.testing.small_session import small_plan
from tui.paths import session_file

pytestmark = pytest.mark.anyio
START_NS = 1_767_600_000_000_000_000
SECOND_NS = 1_000_000_000
INPUTS, SNAPSHOT_AT, BATCH = 1_600, 1_000, 100


def plan() -> SessionPlan:
    return load_session_plan(session_file("executors/all.yaml"))


def prepared_session(session_id: str) -> PreparedSession:
    clock = ManualClock(START_NS)
    return prepare_session(plan(), session_id=session_id, clock=clock, notify=lambda _: None)


def inputs_of(of: SessionPlan) -> Iterator[SessionInput]:
    """Give the start, some quotes, the executors of the file, and everything after that."""
    feed = MergedFeed(of.sources, start_ns=START_NS, funding=of.funding)
    yield StartInput(START_NS)
    now_ns = START_NS
    for number, item in enumerate(feed):
        now_ns = item.ts_ns
        yield TimerInput(now_ns) if isinstance(item, TimerTick) else item
        if number == 20:
            for index, config in enumerate(of.executors):
                values = config.model_dump(mode="json", exclude={"id", "timestamp"})
                arguments = {"executor_type": config.type, "config": values}
                yield ActionInput(now_ns, f"plan-{index}", "plan", "create", arguments)


def record(prepared: PreparedSession) -> SessionRecord:
    equity = prepared.container.portfolio.account_snapshot().equity
    return SessionRecord(
        session_id=prepared.id,
        name=prepared.plan.config.session.name,
        mode="paper",
        status=SessionStatus.RUNNING,
        started_ns=START_NS,
        updated_ns=START_NS,
        config_hash=prepared.plan.config_hash,
        config_text="{}",
        code_version="1",
        seed=1,
        currency="USDT",
        initial_equity=equity,
        equity=equity,
    )


async def first_life(store: Store, states: Path) -> PreparedSession:
    """Let a session live, and die after `INPUTS` inputs; take a snapshot in between."""
    prepared = prepared_session("one")
    await store.create_session(record(prepared))
    container, recorder = prepared.container, prepared.recorder
    items = islice(inputs_of(prepared.plan), INPUTS)
    newest: SessionInput | None = None
    applied = 0
    while batch := tuple(islice(items, BATCH)):
        await store.write(recorder.take_batch(map(encode, batch)))
        if applied == SNAPSHOT_AT and newest is not None:
            digest = entry_digest(*encode(newest))
            config_hash = prepared.plan.config_hash
            header = StateHeader("one", applied, digest, config_hash, code_digest())
            write_state(states, header, plain_text(copied(container, recorder)))
        for item in batch:
            recorder.record(container.apply(item))
        newest = batch[-1]
        applied += len(batch)
    return prepared


async def second_life(
    store: Store, states: Path, notes: list[str], *, continues: str = "one"
) -> tuple[PreparedSession, Recovered]:
    new = plan()

    def from_state(container: SessionContainer, kept: Mapping[str, Any]) -> PreparedSession:
        clock = ManualClock(START_NS)
        return prepare_from_state(
            new,
            container,
            kept,
            session_id="two",
            clock=clock,
            notify=lambda _: None,
        )

    found = await recover(
        store,
        continues,
        prepared_session("two"),
        lambda _, text: notes.append(text),
        states=states,
        from_state=from_state,
    )
    assert found is not None, notes
    return found


async def rows_of(store: Store, session_id: str) -> list[object]:
    """Return the rows of a session, without what tells when they were written."""
    executors = [
        (row.executor_id, row.type, row.status, row.close_type, row.created_ns, row.closed_ns)
        for row in await store.executors(session_id)
    ]
    positions = [
        (row.trading_pair, row.side, row.amount, row.entry_price, row.realized_pnl, row.fees)
        for row in await store.positions(session_id)
    ]
    others = (
        await store.orders(session_id),
        await store.fills(session_id),
        await store.equity(session_id),
        await store.performance(session_id),
    )
    same = [[replace(row, session_id="") for row in rows] for rows in others]
    assert all(same)
    # What was created at one instant stands in the order in which it was first written.
    return [sorted(executors), positions, *same]


async def test_a_snapshot_and_the_rest_is_the_whole(tmp_path: Path) -> None:
    states, nothing, notes = tmp_path / "states", tmp_path / "none", list[str]()
    async with Store.open(tmp_path / "data", now_ns=START_NS) as store:
        died = await first_life(store, states)
        by_state, short = await second_life(store, states, notes)
        replayed, long = await second_life(store, nothing, notes)
        assert (short.replayed, long.replayed) == (INPUTS - SNAPSHOT_AT, INPUTS)
        assert (
            f"{INPUTS - SNAPSHOT_AT} inputs replayed after a snapshot of {SNAPSHOT_AT}" in notes[0]
        )
        assert replace(short, replayed=0, adopts="") == replace(long, replayed=0, adopts="")
        assert short.adopts == "one"
        for one in (by_state, died):
            left, right = one.container, replayed.container
            assert left.portfolio.account_snapshot() == right.portfolio.account_snapshot()
            assert left.order_manager.orders() == right.order_manager.orders()
            orchestrator = left.orchestrator
            assert orchestrator.snapshots(include_archived=True) == (
                right.orchestrator.snapshots(include_archived=True)
            )
            assert orchestrator.get_all_performance() == right.orchestrator.get_all_performance()
            assert left.clock.now_ns() == right.clock.now_ns()
            assert left.differences() == ()
            assert (left.inputs, left.events_published) == (right.inputs, right.events_published)
        kept, whole = by_state.recorder, replayed.recorder
        assert kept.orders == whole.orders
        assert list(kept.fills) == list(whole.fills)
        assert (kept.fill_count, kept.gallery.counts()) == (
            whole.fill_count,
            whole.gallery.counts(),
        )

        # The rows that the next life has are all of them, too.
        await store.create_session(record(by_state), adopts=short.adopts)
        await store.write(by_state.recorder.take_batch(()))
        three = prepared_session("three")
        await store.create_session(record(three))
        recovered = await recover(
            store, "one", three, lambda *_: None, states=nothing, from_state=lambda *_: three
        )
        assert recovered is not None
        await store.write(three.recorder.take_batch(()))
        assert await rows_of(store, "two") == await rows_of(store, "three")

        # And both go on alike.
        more = islice(inputs_of(plan()), INPUTS, INPUTS + 300)
        for item in more:
            by_state.container.apply(item)
            replayed.container.apply(item)
        assert by_state.container.orchestrator.snapshots() == (
            replayed.container.orchestrator.snapshots()
        )
        first = by_state.container.orchestrator.snapshots()[0].id
        known = by_state.container.orchestrator.config_type_of(first)
        assert known is type(by_state.container.orchestrator.snapshots()[0].config)


async def test_a_life_without_a_snapshot_goes_back_to_that_of_the_one_before(
    tmp_path: Path,
) -> None:
    states, nothing, notes = tmp_path / "states", tmp_path / "none", list[str]()
    async with Store.open(tmp_path / "data", now_ns=START_NS) as store:
        await first_life(store, states)
        by_state, short = await second_life(store, states, notes)
        await store.create_session(record(by_state), adopts=short.adopts)
        restart_ns = short.last_ns + 3600 * SECOND_NS
        after = [TimerInput(restart_ns + number * SECOND_NS) for number in range(50)]
        items: list[SessionInput] = [StartInput(restart_ns, "one"), *after]
        await store.write(by_state.recorder.take_batch(map(encode, items)))
        for item in items:
            by_state.recorder.record(by_state.container.apply(item))

        third, recovered = await second_life(store, states, notes, continues="two")
        whole, long = await second_life(store, nothing, notes, continues="two")
        assert (recovered.replayed, long.replayed) == (
            INPUTS - SNAPSHOT_AT + len(items),
            INPUTS + len(items),
        )
        assert recovered.adopts == "one"
        for one in (by_state, third):
            assert one.container.orchestrator.snapshots(include_archived=True) == (
                whole.container.orchestrator.snapshots(include_archived=True)
            )
            account = one.container.portfolio.account_snapshot()
            assert account == whole.container.portfolio.account_snapshot()


async def test_what_is_not_its_own_is_told_and_the_journal_replayed(tmp_path: Path) -> None:
    states, notes = tmp_path / "states", list[str]()
    async with Store.open(tmp_path / "data", now_ns=START_NS) as store:
        await first_life(store, states)
        path = state_path(states, "one")
        whole = path.read_bytes()
        line, _, text = whole.partition(b"\n")
        header = json.loads(line)
        for damaged, said in (
            (whole[:-10], "its content is another one"),
            (b"no header\n" + text, "its header cannot be read"),
            (_with(header, text, code="older"), "its code is another one"),
            (_with(header, text, config_hash="other"), "its configuration is another one"),
            (_with(header, text, format=0), "its format is another one"),
            (_with(header, text, session_id="zero"), "its session is another one"),
            (_with(header, text, last_entry="x"), "its journal is another one"),
        ):
            path.write_bytes(damaged)
            notes.clear()
            _, recovered = await second_life(store, states, notes)
            assert recovered.replayed == INPUTS
            assert notes[0] == f"the snapshot of one is not used: {said}; its journal is replayed"


def _with(header: dict[str, object], text: bytes, **changes: object) -> bytes:
    return json.dumps(header | changes).encode() + b"\n" + text


async def test_files_are_private_and_the_oldest_go(tmp_path: Path) -> None:
    for number in range(FILES_KEPT + 2):
        path = write_state(tmp_path / "s", StateHeader(f"s-{number}", 1, "x", "h", "c"), b"[]")
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(list((tmp_path / "s").iterdir())) == FILES_KEPT
    assert read_state(tmp_path / "s", "nobody", config_hash="h") is None


async def test_a_state_that_is_none_is_refused() -> None:
    with pytest.raises(StateError, match="it holds something else"):
        restored(b'[["list",[]]]')
    with pytest.raises(StateError, match="it cannot be read"):
        restored(b"{")


async def test_only_sessions_that_are_resumed_keep_their_state() -> None:
    assert keeps_state(plan())
    assert not keeps_state(load_session_plan(session_file("deterministic.yaml")))
    wall: dict[str, Any] = {"session": {"speed": "1"}}
    section = {
        "id": "cross",
        "kind": "sma_cross",
        "connector_name": "sim",
        "trading_pair": "AAA-USDT",
    }
    assert keeps_state(small_plan(sections=wall))
    assert not keeps_state(small_plan(sections=wall | {"strategies": [section]}))
