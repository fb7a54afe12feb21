"""Batches: every kind of record, all or nothing, once."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
import pytest

from engine.store.batch import StoreBatch
from engine.store.errors import StoreError, StoreWriteError
from engine.store.records import (
    EquityRecord,
    FillRecord,
    JournalEntry,
    OrderRecord,
    SessionRecord,
    SessionUpdate,
)
from engine.store.store import Store

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path, make_session: Callable[..., SessionRecord]) -> AsyncIterator[Store]:
    """Return an open store with one session."""
    async with Store.open(tmp_path, now_ns=0) as opened:
        await opened.create_session(make_session())
        yield opened


async def stored(store: Store) -> StoreBatch:
    """Return everything that the store holds of the session."""
    return StoreBatch(
        journal=await store.journal("s-1"),
        executors=await store.executors("s-1"),
        orders=await store.orders("s-1"),
        fills=await store.fills("s-1"),
        positions=await store.positions("s-1"),
        equity=await store.equity("s-1"),
        performance=await store.performance("s-1"),
        audit=await store.audit("s-1"),
    )


async def test_every_record_comes_back_as_it_was_written(
    store: Store, full_batch: StoreBatch
) -> None:
    await store.write(full_batch)
    assert await stored(store) == full_batch


async def test_reads_of_another_session_are_empty(store: Store, full_batch: StoreBatch) -> None:
    await store.write(full_batch)
    assert await store.executors("s-2") == ()
    assert await store.journal("s-2") == ()
    assert await store.audit("s-2") == ()
    assert await store.audit() == full_batch.audit


async def test_a_record_with_a_known_key_replaces_the_row(
    store: Store, full_batch: StoreBatch
) -> None:
    later = StoreBatch(
        executors=(
            replace(
                full_batch.executors[0],
                status="TERMINATED",
                close_type="TAKE_PROFIT",
                closed_ns=9,
                final_info={"net_pnl_quote": Decimal("1.50")},
                is_archived=True,
                is_handed_over=False,
            ),
        ),
        orders=(replace(full_batch.orders[0], price=Decimal(1), state="FILLED"),),
        positions=(replace(full_batch.positions[0], entry_price=Decimal(3), mark_price=None),),
        equity=(replace(full_batch.equity[0], equity=Decimal(-1)),),
        performance=(replace(full_batch.performance[0], wins=2, close_types={}),),
    )
    await store.write(full_batch)
    await store.write(later)
    now = await stored(store)
    assert now.executors == (replace(later.executors[0], final_info={"net_pnl_quote": "1.5"}),)
    assert now.orders == later.orders
    assert now.positions == later.positions
    assert now.equity == later.equity
    assert now.performance == later.performance


async def test_a_fill_counts_once_and_the_first_one_stands(
    store: Store, make_fill: Callable[..., FillRecord]
) -> None:
    first, other = make_fill("f-1"), make_fill("f-2")
    await store.write(StoreBatch(fills=(first,)))
    await store.write(StoreBatch(fills=(make_fill("f-1", amount=Decimal(9)), other, other)))
    assert await store.fills("s-1") == (first, other)


async def test_the_same_fill_id_in_two_sessions_is_two_fills(
    store: Store,
    make_session: Callable[..., SessionRecord],
    make_fill: Callable[..., FillRecord],
) -> None:
    await store.create_session(make_session("s-2"))
    elsewhere = make_fill("f-1", session_id="s-2")
    await store.write(StoreBatch(fills=(make_fill("f-1"), elsewhere)))
    assert await store.fills("s-2") == (elsewhere,)


async def test_a_session_and_its_first_rows_can_share_a_transaction(
    store: Store,
    make_session: Callable[..., SessionRecord],
    make_update: Callable[..., SessionUpdate],
) -> None:
    entry = JournalEntry("s-2", 0, 1, "timer", "")
    batch = StoreBatch(
        new_sessions=(make_session("s-2"),),
        journal=(entry,),
        sessions=(make_update("s-2", inputs=1),),
    )
    await store.write(batch)
    assert await store.journal("s-2") == (entry,)
    assert (await store.sessions())[0].inputs == 1


REFUSED: dict[str, tuple[str, Callable[[StoreBatch], dict[str, Any]], str]] = {
    "journal entry twice": (
        "journal",
        lambda batch: {"journal": batch.journal * 2},
        "UNIQUE constraint failed: journal.session_id, journal.seq",
    ),
    "order without a session": (
        "orders",
        lambda batch: {"orders": (*batch.orders, replace(batch.orders[0], session_id="nowhere"))},
        "FOREIGN KEY constraint failed",
    ),
    "fill without a price": (
        "fills",
        lambda batch: {"fills": (replace(batch.fills[0], fill_id="f-9", price=None),)},  # type: ignore[arg-type]  # the point
        "NOT NULL constraint failed: fill.price",
    ),
    "fill that is not a number": (
        "fills",
        lambda batch: {"fills": (replace(batch.fills[0], fill_id="f-9", price=Decimal("NaN")),)},
        "NaN is not a finite number",
    ),
    "time beyond 64 bits": (
        "equity",
        lambda batch: {"equity": (replace(batch.equity[0], ts_ns=2**63),)},
        "too large to convert to SQLite INTEGER",
    ),
    "text for a time": (
        "audit",
        lambda batch: {"audit": (replace(batch.audit[0], requested_ns="noon"),)},  # type: ignore[arg-type]  # the point
        "cannot store TEXT value in INTEGER column audit.requested_ns",
    ),
    "state that is not JSON": (
        "executors",
        lambda batch: {"executors": (replace(batch.executors[0], state={"x": {1}}),)},
        "set {1} has no JSON form",
    ),
    "state with a number that JSON lacks": (
        "executors",
        lambda batch: {"executors": (replace(batch.executors[0], state={"x": float("inf")}),)},
        "Out of range float values are not JSON compliant",
    ),
    "update of an unknown session": (
        "sessions",
        lambda _: {
            "sessions": (
                SessionUpdate(
                    session_id="nowhere",
                    status="running",  # type: ignore[arg-type]  # its word does as well
                    updated_ns=0,
                    equity=Decimal(0),
                    realized_pnl=Decimal(0),
                    unrealized_pnl=Decimal(0),
                    fees=Decimal(0),
                    executors=0,
                    orders=0,
                    fills=0,
                    inputs=0,
                ),
            )
        },
        "session nowhere is not in the store",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refused_row_leaves_nothing_of_its_batch(
    store: Store, full_batch: StoreBatch, case: str
) -> None:
    _, break_batch, reason = REFUSED[case]
    broken = replace(full_batch, **break_batch(full_batch))
    with pytest.raises(StoreWriteError) as caught:
        await store.write(broken)
    assert f"{broken.row_count} rows were not written to " in caught.value.message
    assert reason in caught.value.message
    assert "INSERT" not in caught.value.message
    assert (await stored(store)).row_count == 0
    await store.write(full_batch)
    assert await stored(store) == full_batch


async def test_writers_at_once_are_all_written_and_a_failing_one_takes_no_other_with_it(
    store: Store, make_order: Callable[..., OrderRecord]
) -> None:
    failed: list[int] = []

    async def write(number: int) -> None:
        session_id = "nowhere" if number % 7 == 3 else "s-1"
        order = make_order(f"o-{number:02d}", session_id=session_id, created_ns=number)
        try:
            await store.write(StoreBatch(orders=(order,)))
        except StoreWriteError:
            failed.append(number)

    async with anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(write, number)
    assert sorted(failed) == [3, 10, 17, 24]
    written = [int(order.client_order_id[2:]) for order in await store.orders("s-1")]
    assert written == [number for number in range(30) if number not in failed]


async def test_writers_at_once_share_a_commit(
    store: Store, make_order: Callable[..., OrderRecord], tmp_path: Path
) -> None:
    before = await anyio.to_thread.run_sync(commits, tmp_path)
    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(store.write, StoreBatch(orders=(make_order(f"o-{number}"),)))
    assert len(await store.orders("s-1")) == 10
    assert await anyio.to_thread.run_sync(commits, tmp_path) - before == 1


def commits(data_dir: Path) -> int:
    """Count the commits in the write-ahead log: frames that carry a database size."""
    log = (data_dir / "quarterdeck.db-wal").read_bytes()
    page_size = int.from_bytes(log[8:12], "big")
    sizes = (log[start + 4 : start + 8] for start in range(32, len(log), 24 + page_size))
    return sum(int.from_bytes(size, "big") != 0 for size in sizes)


async def test_a_batch_larger_than_one_statement_is_still_one_transaction(
    store: Store, full_batch: StoreBatch
) -> None:
    entries = tuple(JournalEntry("s-1", seq, seq, "timer", "") for seq in range(4_500))
    samples = tuple(replace(full_batch.equity[0], ts_ns=number) for number in range(250))
    last: EquityRecord = replace(samples[0], session_id="nowhere")
    with pytest.raises(StoreWriteError):
        await store.write(StoreBatch(journal=entries, equity=(*samples, last)))
    assert (await stored(store)).row_count == 0
    await store.write(StoreBatch(journal=entries, equity=samples))
    assert await store.equity("s-1") == samples


async def test_the_journal_is_read_in_pages(store: Store) -> None:
    entries = tuple(JournalEntry("s-1", seq, -seq, "quote", f"p{seq}") for seq in range(25))
    await store.write(StoreBatch(journal=entries))
    assert await store.journal("s-1", limit=10) == entries[:10]
    assert await store.journal("s-1", after_seq=9, limit=10) == entries[10:20]
    assert await store.journal("s-1", after_seq=19) == entries[20:]
    assert await store.journal("s-1", after_seq=24) == ()


async def test_fills_of_one_instant_keep_the_order_of_their_arrival(
    store: Store, make_fill: Callable[..., FillRecord]
) -> None:
    fills = (make_fill("z"), make_fill("a"), make_fill("m", ts_ns=1))
    await store.write(StoreBatch(fills=fills))
    assert [fill.fill_id for fill in await store.fills("s-1")] == ["m", "z", "a"]


async def test_nested_read_only_mappings_and_decimals_have_a_json_form(
    store: Store, full_batch: StoreBatch
) -> None:
    state = MappingProxyType({"levels": MappingProxyType({"stop": Decimal("0.010")})})
    await store.write(StoreBatch(executors=(replace(full_batch.executors[0], state=state),)))
    (executor,) = await store.executors("s-1")
    assert executor.state == {"levels": {"stop": "0.01"}}


async def test_what_cannot_be_read_is_told(store: Store, tmp_path: Path) -> None:
    await anyio.to_thread.run_sync(fetch, tmp_path / "quarterdeck.db", "DROP TABLE equity")
    with pytest.raises(StoreError, match=r"cannot be read: no such table: equity; move"):
        await store.equity("s-1")


async def test_money_is_kept_as_plain_text(
    store: Store, make_order: Callable[..., OrderRecord], tmp_path: Path
) -> None:
    order = make_order("o-1", price=Decimal("1E+3"), amount=Decimal("0.1000"))
    await store.write(StoreBatch(orders=(order,)))
    query = 'SELECT price, amount, typeof(price), typeof(created_ns) FROM "order"'
    rows = await anyio.to_thread.run_sync(fetch, tmp_path / "quarterdeck.db", query)
    assert rows == [("1000", "0.1", "text", "integer")]


def fetch(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()
