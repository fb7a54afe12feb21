"""What a session caused, as the rows of one transaction."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest

from engine.containers.effects import Effects
from engine.containers.inputs import StartInput, encode
from engine.live.executor_gallery import ARCHIVED_KEPT
from engine.live.recorder import FILLS_KEPT, ORDERS_KEPT
from engine.store.batch import StoreBatch
from engine.store.journal_hash import JournalHash
from engine.store.records import AuditRecord, SessionStatus
from engine.testing.small_session import MARKET, START_NS, SmallSession, quote_at


@pytest.fixture
def session() -> SmallSession:
    session = SmallSession()
    session.begin()
    session.quote(1, "99.99", "100.01")
    session.built.recorder.take_batch(())
    return session


def take(session: SmallSession) -> StoreBatch:
    return session.built.recorder.take_batch(())


def test_one_transaction_carries_the_journal_and_the_effects(session: SmallSession) -> None:
    executor_id = session.create()
    entries = [encode(StartInput(START_NS)), encode(quote_at(1, "99.99", "100.01"))]
    batch = session.built.recorder.take_batch(entries)
    assert [(entry.seq, entry.kind) for entry in batch.journal] == [(0, "start"), (1, "quote")]
    assert [one.executor_id for one in batch.executors] == [executor_id]
    (order,) = batch.orders
    (fill,) = batch.fills
    assert (order.state, order.filled_amount, order.filled_quote) == (
        "FILLED",
        Decimal(2),
        Decimal("200.02"),
    )
    assert (fill.client_order_id, fill.price, fill.fee_quote) == (
        order.client_order_id,
        Decimal("100.01"),
        Decimal("0.10001"),
    )
    (position,) = batch.positions
    assert (position.amount, position.held) == (Decimal(2), Decimal(0))
    (update,) = batch.sessions
    assert (update.inputs, update.orders, update.fills, update.executors) == (2, 1, 1, 1)
    assert update.journal_hash == session.built.recorder.journal_hash
    assert update.status is SessionStatus.RUNNING


def test_what_was_taken_is_not_taken_again(session: SmallSession) -> None:
    session.create()
    take(session)
    batch = take(session)
    assert (batch.executors, batch.orders, batch.fills, batch.positions, batch.audit) == (
        (),
        (),
        (),
        (),
        (),
    )


def test_an_order_is_written_in_its_last_form(session: SmallSession) -> None:
    executor_id = session.create(
        entry_price="90", triple_barrier_config={"open_order_type": "LIMIT"}
    )
    session.act("stop", executor_id=executor_id)
    (order,) = take(session).orders
    assert order.state == "CANCELLED"


def test_the_journal_hash_is_that_of_the_entries(session: SmallSession) -> None:
    recorder = session.built.recorder
    entries = [encode(quote_at(second, "99.99", "100.01")) for second in range(5)]
    batches = [recorder.take_batch(entries[:2]), recorder.take_batch(entries[2:])]
    expected = JournalHash()
    for batch in batches:
        for entry in batch.journal:
            expected.update(entry)
    assert [entry.seq for batch in batches for entry in batch.journal] == [0, 1, 2, 3, 4]
    assert recorder.journal_hash == expected.hexdigest()


def test_an_archived_executor_is_written_as_archived(session: SmallSession) -> None:
    executor_id = session.create()
    session.act("stop", executor_id=executor_id)
    (row,) = take(session).executors
    assert (row.status, row.close_type, row.is_archived) == ("TERMINATED", "EARLY_STOP", False)
    assert row.final_info is not None
    assert Decimal(str(row.final_info["net_pnl_quote"])) == row.net_pnl_quote
    session.act("store", executor_id=executor_id)
    (row,) = take(session).executors
    assert row.is_archived


def test_every_archived_executor_is_written_however_many_there_are(session: SmallSession) -> None:
    ids = [session.create(amount="0.01") for _ in range(ARCHIVED_KEPT + 5)]
    for executor_id in ids:
        session.act("stop", executor_id=executor_id)
        session.act("store", executor_id=executor_id)
    rows = {row.executor_id: row for row in take(session).executors}
    assert set(rows) == set(ids)
    assert all(row.is_archived for row in rows.values())
    assert len(session.published().archived) == ARCHIVED_KEPT
    assert session.published().executor_counts.close_types == {"EARLY_STOP": len(ids)}


def test_the_newest_orders_and_fills_are_kept_and_the_oldest_forgotten(
    session: SmallSession,
) -> None:
    session.create(entry_price="10", triple_barrier_config={"open_order_type": "LIMIT"})
    session.create()
    resting, done = session.container.order_manager.orders()
    recorder = session.built.recorder
    fill = recorder.fills[0]
    for number in range(max(ORDERS_KEPT, FILLS_KEPT) + 10):
        effects = Effects(fills=[replace(fill, fill_id=f"f-{number}")])
        request = replace(done.request, client_order_id=f"o-{number}")
        effects.orders[request.client_order_id] = replace(done, request=request)
        recorder.record(effects)
    take(session)
    assert len(recorder.orders) == ORDERS_KEPT
    assert len(recorder.fills) == FILLS_KEPT
    assert recorder.fill_count == max(ORDERS_KEPT, FILLS_KEPT) + 11
    assert recorder.orders[resting.request.client_order_id].is_open
    assert done.request.client_order_id not in recorder.orders
    assert session.container.order_manager.orders() == (resting,)
    assert "o-10" not in recorder.orders
    assert "o-12" in recorder.orders


def test_audit_records_go_with_the_next_transaction(session: SmallSession) -> None:
    record = AuditRecord(
        event_id="e",
        kind="StopExecutor",
        actor="me",
        target="x",
        session_id="s-1",
        requested_ns=1,
        finished_ns=2,
        status="completed",
    )
    session.built.recorder.add_audit(record)
    assert take(session).audit == (record,)


def test_equity_and_performance_are_sampled_once_a_minute_of_session_time(
    session: SmallSession,
) -> None:
    session.create()
    for second in range(2, 200):
        session.timer(second)
    batch = take(session)
    stamps = [record.ts_ns for record in batch.equity]
    assert len(stamps) == 3
    assert {after - before for before, after in pairwise(stamps)} == {60 * 10**9}
    assert len(batch.performance) == 4
    assert batch.performance[-1].active == 1


def test_an_end_has_a_time_and_a_reason(session: SmallSession) -> None:
    session.built.recorder.finish(SessionStatus.STOPPED, "stopped by me")
    (update,) = take(session).sessions
    assert (update.status, update.ended_ns, update.reason) == (
        SessionStatus.STOPPED,
        session.clock.now_ns(),
        "stopped by me",
    )


def test_warnings_and_errors_are_counted_as_alerts(session: SmallSession) -> None:
    before = session.built.recorder.alerts
    session.create(amount="5000")
    loud = [one for one in session.notices if one.level in ("warning", "error")]
    assert session.built.recorder.alerts == before + len(loud)
    assert session.published().alerts == session.built.recorder.alerts


def test_adopted_effects_are_rows_but_no_news(session: SmallSession) -> None:
    session.notices.clear()
    item = quote_at(2, "99.99", "100.01")
    effects = session.container.apply(item)
    effects.markets[MARKET] = None
    session.built.recorder.adopt(effects)
    assert session.notices == []
    assert len(take(session).positions) == 1


def test_a_row_that_only_follows_the_market_waits_up_to_a_second(session: SmallSession) -> None:
    executor_id = session.create(
        triple_barrier_config={"open_order_type": "MARKET", "trailing_stop": "0.01,0.005"}
    )
    session.quote(2, "102.00", "102.02")  # armed: that is told, and written at once
    assert [one.executor_id for one in take(session).executors] == [executor_id]
    session.quote(2.1, "102.10", "102.12")
    session.quote(2.2, "102.20", "102.22")
    assert take(session).executors == ()
    session.quote(2.9, "102.20", "102.22")
    assert take(session).executors == ()
    session.quote(3.1, "102.20", "102.22")
    (row,) = take(session).executors
    assert row.state["trailing_trigger"] is not None
    session.quote(3.2, "102.30", "102.32")
    session.act("stop", executor_id=executor_id)  # a change of status does not wait
    (row,) = take(session).executors
    assert row.status == "TERMINATED"


def test_the_end_of_a_session_writes_what_was_held_back(session: SmallSession) -> None:
    executor_id = session.create(
        triple_barrier_config={"open_order_type": "MARKET", "trailing_stop": "0.01,0.005"}
    )
    session.quote(2, "102.00", "102.02")
    take(session)
    session.quote(2.1, "102.10", "102.12")
    assert take(session).executors == ()
    session.built.recorder.finish(SessionStatus.STOPPED, "")
    assert [one.executor_id for one in take(session).executors] == [executor_id]
