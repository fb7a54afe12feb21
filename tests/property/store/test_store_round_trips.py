"""Whatever a record holds comes back, to the last digit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.store.batch import StoreBatch
from engine.store.decimal_text import from_text, to_text
from engine.store.records import (
    AuditRecord,
    EquityRecord,
    ExecutorRecord,
    FillRecord,
    JournalEntry,
    OrderRecord,
    PerformanceRecord,
    PositionRecord,
    SessionRecord,
    SessionStatus,
)
from engine.store.store import Store

RecordT = TypeVar("RecordT")

INT64 = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.builds(
    lambda digits, exponent: Decimal(f"{digits}E{exponent}"),
    st.integers(-(10**60), 10**60),
    st.integers(-80, 80),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.dictionaries(
    TEXTS,
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": TEXTS,
    "str | None": st.none() | TEXTS,
    "int": INT64,
    "int | None": st.none() | INT64,
    "bool": st.booleans(),
    "Decimal": NUMBERS,
    "Decimal | None": st.none() | NUMBERS,
    "Mapping[str, object]": JSON,
    "Mapping[str, object] | None": st.none() | JSON,
    "SessionStatus": st.sampled_from([status for status in SessionStatus if status.is_final]),
}
"""Strategies by the annotation of a record's field."""


def some(record: type[RecordT], **chosen: st.SearchStrategy[Any]) -> st.SearchStrategy[RecordT]:
    """Return a strategy for any *record*."""
    drawn = {entry.name: VALUES[str(entry.type)] for entry in fields(record)}  # type: ignore[arg-type]  # records are dataclasses
    return st.builds(record, **drawn | chosen)


BATCHES = st.builds(
    StoreBatch,
    new_sessions=st.tuples(some(SessionRecord, seed=st.integers())),
    journal=st.tuples(some(JournalEntry, seq=st.integers(0, 2**63 - 1))),
    executors=st.tuples(some(ExecutorRecord)),
    orders=st.tuples(some(OrderRecord)),
    fills=st.tuples(some(FillRecord)),
    positions=st.tuples(some(PositionRecord)),
    equity=st.tuples(some(EquityRecord)),
    performance=st.tuples(some(PerformanceRecord)),
    audit=st.tuples(some(AuditRecord)),
)


class OpenStore:
    """A store on a loop of its own, and sessions that nobody has used yet."""

    def __init__(self, portal: BlockingPortal, store: Store) -> None:
        self._portal, self._store = portal, store
        self._ids = (f"session {number}" for number in count())

    def with_new_session(self, batch: StoreBatch) -> StoreBatch:
        """Return *batch* with a new id for its session."""
        session_id = next(self._ids)
        return StoreBatch(
            **{
                entry.name: tuple(
                    replace(record, session_id=session_id) for record in getattr(batch, entry.name)
                )
                for entry in fields(batch)
            }
        )

    def write(self, batch: StoreBatch) -> None:
        """Write *batch*."""
        self._portal.call(self._store.write, batch)

    def read(self, session_id: str) -> StoreBatch:
        """Return all that is stored of a session."""
        return self._portal.call(self._read, session_id)

    async def _read(self, session_id: str) -> StoreBatch:
        store = self._store
        sessions = await store.sessions()
        return StoreBatch(
            new_sessions=tuple(row for row in sessions if row.session_id == session_id),
            journal=await store.journal(session_id),
            executors=await store.executors(session_id),
            orders=await store.orders(session_id),
            fills=await store.fills(session_id),
            positions=await store.positions(session_id),
            equity=await store.equity(session_id),
            performance=await store.performance(session_id),
            audit=await store.audit(session_id),
        )


@pytest.fixture(scope="module")
def open_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenStore]:
    """Return one store for all examples of this module."""
    opening = Store.open(tmp_path_factory.mktemp("store"), now_ns=0)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(opening) as store:
        yield OpenStore(portal, store)


@settings(deadline=None)
@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=12) | NUMBERS)
def test_a_decimal_survives_its_plain_text(value: Decimal) -> None:
    text = to_text(value)
    assert from_text(text) == value
    assert re.fullmatch(r"0|-?[1-9]\d*|-?(0|[1-9]\d*)\.\d*[1-9]", text)


@settings(deadline=None)
@given(value=NUMBERS, zeros=st.integers(0, 20))
def test_equal_decimals_have_equal_texts(value: Decimal, zeros: int) -> None:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    longer = Decimal((sign, (*digits, *([0] * zeros)), exponent - zeros))
    assert longer == value
    assert to_text(longer) == to_text(value)


@settings(max_examples=40, deadline=None)
@given(batch=BATCHES)
def test_every_record_comes_back_equal(open_store: OpenStore, batch: StoreBatch) -> None:
    written = open_store.with_new_session(batch)
    open_store.write(written)
    assert open_store.read(written.journal[0].session_id) == written


@settings(max_examples=30, deadline=None)
@given(
    session=some(SessionRecord),
    order=some(OrderRecord, created_ns=st.just(0)),
    fill=some(FillRecord, ts_ns=st.just(0)),
    steps=st.lists(
        st.lists(st.tuples(st.booleans(), st.integers(0, 4), NUMBERS), max_size=6), max_size=6
    ),
)
def test_the_last_order_and_the_first_fill_of_an_id_stand(
    open_store: OpenStore,
    session: SessionRecord,
    order: OrderRecord,
    fill: FillRecord,
    steps: list[list[tuple[bool, int, Decimal]]],
) -> None:
    """However the rows are spread over batches."""
    start = open_store.with_new_session(
        StoreBatch(new_sessions=(session,), orders=(order,), fills=(fill,))
    )
    session, order, fill = start.new_sessions[0], start.orders[0], start.fills[0]
    open_store.write(StoreBatch(new_sessions=(session,)))
    orders: dict[str, OrderRecord] = {}
    fills: dict[str, FillRecord] = {}
    for step in steps:
        new_orders = tuple(
            replace(order, client_order_id=f"o-{number}", filled_amount=amount)
            for is_order, number, amount in step
            if is_order
        )
        new_fills = tuple(
            replace(fill, fill_id=f"f-{number}", amount=amount)
            for is_order, number, amount in step
            if not is_order
        )
        open_store.write(StoreBatch(orders=new_orders, fills=new_fills))
        orders |= {row.client_order_id: row for row in new_orders}
        for row in new_fills:
            fills.setdefault(row.fill_id, row)
    found = open_store.read(session.session_id)
    assert found.orders == tuple(orders.values())
    assert found.fills == tuple(fills.values())
