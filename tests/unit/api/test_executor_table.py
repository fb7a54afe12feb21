"""The executor table: windows, every order, filters, and how often the order is worked out."""

from __future__ import annotations

from typing import Any

import pytest

from engine.api.executor_table import ExecutorTable
from engine.api.sorting import SORT_KEYS, sort_rows
from engine.api.views import ExecutorPage
from engine.live.published import PublishedSession
from engine.model.clock import SECOND_NS
from engine.testing.manual_clock import ManualClock
from engine.testing.small_session import START_NS, SmallSession


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_NS)


@pytest.fixture
def table(clock: ManualClock) -> ExecutorTable:
    return ExecutorTable(monotonic_ns=clock.monotonic_ns)


@pytest.fixture
def session() -> SmallSession:
    """Return a session with eight executors: sides, sizes, states and results differ."""
    session = SmallSession()
    session.begin()
    for number in range(8):
        session.quote(number + 1, f"{100 + number}.00", f"{100 + number}.01")
        barriers: dict[str, object] = {"open_order_type": "LIMIT" if number == 5 else "MARKET"}
        session.create(
            side="SELL" if number % 3 else "BUY",
            amount=str(1 + number % 4),
            entry_price="200" if number == 5 else None,
            triple_barrier_config=barriers,
        )
    done = list(session.published().executors)[2]
    session.act("stop", executor_id=done)
    session.quote(20, "103.50", "103.52")
    return session


def page(table: ExecutorTable, session: PublishedSession, **changes: Any) -> ExecutorPage:
    options: dict[str, Any] = {
        "sort": "created",
        "descending": False,
        "filter_text": "",
        "start": 0,
        "count": 100,
        "include_archived": False,
    }
    return table.page(session, **{**options, **changes})


@pytest.mark.parametrize("descending", [False, True], ids=["rising", "falling"])
@pytest.mark.parametrize("sort", SORT_KEYS)
def test_every_order_is_that_of_the_rows(
    table: ExecutorTable, session: SmallSession, sort: str, descending: bool
) -> None:
    shown = page(table, session.published(), sort=sort, descending=descending).rows
    assert len(shown) == 8
    assert list(shown) == sort_rows(shown, sort, descending=descending)
    if sort not in ("created", "age"):
        assert len({SORT_KEYS[sort](row) for row in shown}) > 1 or sort in ("type", "pair")


def test_an_unknown_order_is_by_creation(table: ExecutorTable, session: SmallSession) -> None:
    published = session.published()
    shown = page(table, published, sort="colour")
    assert [row.id for row in shown.rows] == list(published.executors)


def test_a_window_and_its_numbers(table: ExecutorTable, session: SmallSession) -> None:
    published = session.published()
    every = [row.id for row in page(table, published, sort="pnl").rows]
    window = page(table, published, sort="pnl", start=3, count=2)
    assert [row.id for row in window.rows] == every[3:5]
    assert (window.start, window.matching, window.total) == (3, 8, 8)
    assert window.version == published.version
    beyond = page(table, published, sort="pnl", start=50, count=2)
    assert (beyond.rows, beyond.matching) == ((), 8)


def test_a_filter_narrows_and_a_mistake_shows_everything(
    table: ExecutorTable, session: SmallSession
) -> None:
    published = session.published()
    buys = page(table, published, filter_text="side:buy", sort="id")
    assert {row.side for row in buys.rows} == {"BUY"}
    assert (buys.matching, buys.total, buys.filter_error) == (3, 8, "")
    wrong = page(table, published, filter_text="colour:red")
    assert wrong.matching == 8
    assert "no field 'colour'" in wrong.filter_error
    assert page(table, published, filter_text="age<1").matching == 0


def test_the_index_of_an_executor_is_its_row(table: ExecutorTable, session: SmallSession) -> None:
    published = session.published()
    rows = page(table, published, sort="amount", filter_text="side:sell").rows
    options: dict[str, Any] = {
        "sort": "amount",
        "descending": False,
        "filter_text": "side:sell",
        "include_archived": False,
    }
    for number, row in enumerate(rows):
        assert table.index(published, row.id, **options) == number
    assert table.index(published, "nobody", **options) is None


def test_the_order_is_worked_out_once_a_second(
    table: ExecutorTable, session: SmallSession, clock: ManualClock
) -> None:
    def order() -> list[str]:
        return [row.id for row in page(table, session.published(), sort="pnl").rows]

    before = order()
    session.quote(21, "60.00", "60.02")
    clock.advance(SECOND_NS - 1)
    assert order() == before
    clock.advance(1)
    after = order()
    assert after != before
    assert sorted(after) == sorted(before)


def test_the_rows_themselves_are_always_fresh(table: ExecutorTable, session: SmallSession) -> None:
    before = page(table, session.published(), sort="pnl").rows
    session.quote(21, "60.00", "60.02")
    after = page(table, session.published(), sort="pnl").rows
    assert [row.id for row in before] == [row.id for row in after]
    assert [row.net_pnl_quote for row in before] != [row.net_pnl_quote for row in after]


@pytest.mark.parametrize(
    "change", [{"sort": "fees"}, {"descending": True}, {"filter_text": "sell"}]
)
def test_another_question_is_answered_at_once(
    table: ExecutorTable, session: SmallSession, change: dict[str, Any]
) -> None:
    published = session.published()
    first = page(table, published, sort="pnl")
    second = page(table, published, **{"sort": "pnl", **change})
    assert [row.id for row in first.rows] != [row.id for row in second.rows]


def test_who_comes_and_goes_is_shown_at_once(table: ExecutorTable, session: SmallSession) -> None:
    published = session.published()
    done = next(one.id for one in published.executors.values() if one.is_done)
    assert page(table, published, sort="pnl").matching == 8
    session.create()
    assert page(table, session.published(), sort="pnl").matching == 9
    session.act("store", executor_id=done)
    assert page(table, session.published(), sort="pnl").matching == 8
    with_archived = page(table, session.published(), sort="pnl", include_archived=True)
    assert (with_archived.matching, with_archived.total) == (9, 9)


def test_archived_executors_take_their_place_by_creation(
    table: ExecutorTable, session: SmallSession
) -> None:
    ids = list(session.published().executors)
    for executor_id in (ids[2], ids[1]):
        session.act("stop", executor_id=executor_id)
        session.act("store", executor_id=executor_id)
    published = session.published()
    rising = page(table, published, include_archived=True)
    assert [row.id for row in rising.rows] == ids
    falling = page(table, published, include_archived=True, descending=True)
    assert [row.id for row in falling.rows] == ids[::-1]
    assert [row.id for row in page(table, published).rows] == [ids[0], *ids[3:]]
