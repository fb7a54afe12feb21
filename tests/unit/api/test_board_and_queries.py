"""The board keeps what was published within bounds; queries answer from it, always."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.api.board import COMMANDS_KEPT, LOG_LINES_KEPT, Board
from engine.api.commands import StopExecutor, StopSession
from engine.api.queries import ConsoleQueries
from engine.api.views import CommandRow, EngineState, EquityView
from engine.testing.small_session import MARKET, SmallSession


def command_row(number: int, status: str = "pending") -> CommandRow:
    return CommandRow(
        id=f"c-{number}",
        ts_ns=number,
        actor="operator",
        kind="StopExecutor",
        target="x",
        status=status,
        reason="",
        duration_ms=None,
    )


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def queries(board: Board) -> ConsoleQueries:
    return ConsoleQueries(board)


def test_before_the_engine_is_up_every_query_is_empty(queries: ConsoleQueries) -> None:
    assert queries.health().state is EngineState.STARTING
    assert queries.sessions() == ()
    assert queries.markets("main") == ()
    assert queries.orders("main") == ()
    assert queries.fills("main") == ()
    assert queries.positions("main") == ()
    assert queries.commands() == ()
    assert queries.command("c-1") is None
    assert queries.flow_states() == ()
    assert queries.log() == ()
    assert queries.performance("main") is None
    assert queries.equity("main") == EquityView((), ())
    assert queries.executor("main", "x") is None
    assert queries.executor_index("main", "x") is None
    assert queries.executor_types("main") == ()
    assert queries.update_fields("main", "x") == ()
    page = queries.executors("main", start=7)
    assert (page.rows, page.start, page.matching, page.total) == ((), 7, 0, 0)
    assert not queries.check_create("main", "position_executor", {}).ok
    assert not queries.check_update("main", "x", {}).ok


def test_commands_are_replaced_in_place_and_bounded(board: Board, queries: ConsoleQueries) -> None:
    for number in range(COMMANDS_KEPT + 20):
        board.publish_command(command_row(number))
    board.publish_command(command_row(100, "completed"))
    assert len(queries.commands(count=10_000)) == COMMANDS_KEPT
    assert queries.command("c-19") is None
    assert queries.command("c-100") == command_row(100, "completed")
    newest = queries.commands(count=2)
    assert [row.id for row in newest] == [f"c-{COMMANDS_KEPT + 19}", f"c-{COMMANDS_KEPT + 18}"]


def test_a_published_command_does_not_change_for_its_reader(board: Board) -> None:
    board.publish_command(command_row(1))
    held = board.commands
    board.publish_command(command_row(1, "completed"))
    assert held["c-1"].status == "pending"


def test_a_refused_command_is_on_the_board(board: Board, queries: ConsoleQueries) -> None:
    reason = "the engine is not running"
    board.refuse("c-1", StopSession(session="main"), reason, target="main", ts_ns=5)
    stop = StopExecutor(session="main", executor_id="x-9", actor="somebody")
    board.refuse("c-2", stop, "the engine has stopped", target="x-9", ts_ns=6)
    row = queries.command("c-1")
    assert row is not None
    assert (row.kind, row.target, row.status) == ("StopSession", "main", "aborted")
    assert row.reason == "the engine is not running"
    newest = queries.commands()[0]
    assert (newest.actor, newest.target, newest.ts_ns) == ("somebody", "x-9", 6)


def log_lines(board: Board, count: int) -> None:
    for number in range(count):
        board.add_log(ts_ns=number, level="info", source="engine", text=f"line {number}")


def test_the_log_is_bounded_and_its_numbers_go_on(board: Board, queries: ConsoleQueries) -> None:
    log_lines(board, LOG_LINES_KEPT + 10)
    lines = queries.log(count=10**6)
    assert len(lines) == LOG_LINES_KEPT
    assert [lines[0].seq, lines[-1].seq] == [10, LOG_LINES_KEPT + 9]


@pytest.mark.parametrize(
    ("after", "count", "expected"),
    [
        (-1, 500, [0, 1, 2, 3, 4]),
        (2, 500, [3, 4]),
        (-1, 2, [3, 4]),
        (3, 2, [4]),
        (4, 500, []),
        (99, 500, []),
        (-1, 0, []),
    ],
)
def test_the_log_after_a_line(
    board: Board, queries: ConsoleQueries, after: int, count: int, expected: list[int]
) -> None:
    log_lines(board, 5)
    assert [line.seq for line in queries.log(after=after, count=count)] == expected


def test_a_session_is_found_by_id_and_by_name(board: Board, queries: ConsoleQueries) -> None:
    session = SmallSession()
    session.begin()
    session.quote(1, "99.99", "100.01")
    board.publish_session(session.published())
    assert queries.markets("s-1") == queries.markets("main")
    assert queries.markets("other") == ()
    (row,) = queries.sessions()
    assert (row.id, row.name) == ("s-1", "main")
    assert queries.executor_types("main")[0].type == "position_executor"


def test_orders_and_fills_are_newest_first_and_windowed(
    board: Board, queries: ConsoleQueries
) -> None:
    session = SmallSession()
    session.begin()
    for second in range(1, 5):
        session.quote(second, "99.99", "100.01")
        session.create(amount=str(second))
    board.publish_session(session.published())
    assert [row.amount for row in queries.fills("main")] == [4, 3, 2, 1]
    assert [row.amount for row in queries.orders("main", start=1, count=2)] == [3, 2]
    assert [row.amount for row in queries.fills("main", start=3, count=9)] == [1]
    assert queries.positions("main")[0].amount == Decimal(10)
    performance = queries.performance("main")
    assert performance is not None
    assert performance.active == 4


def test_an_executor_is_found_until_it_is_forgotten(board: Board, queries: ConsoleQueries) -> None:
    session = SmallSession()
    session.begin()
    session.quote(1, "99.99", "100.01")
    executor_id = session.create()
    board.publish_session(session.published())
    assert queries.executor_index("main", executor_id) == 0
    assert queries.update_fields("main", executor_id)
    assert queries.check_update("main", executor_id, {"stop_loss": "1%"}).ok
    assert queries.check_create("main", "position_executor", {}).errors
    session.act("stop", executor_id=executor_id)
    session.act("store", executor_id=executor_id)
    board.publish_session(session.published())
    detail = queries.executor("main", executor_id)
    assert detail is not None
    assert detail.row.close_type == "EARLY_STOP"
    assert queries.executors("main").total == 0
    check = queries.check_update("main", executor_id, {})
    assert "not in the table any more" in check.errors[""]
    assert queries.executor("main", "nobody") is None


@pytest.mark.parametrize(
    ("samples", "points", "expected"),
    [
        (5, 120, [0, 1, 2, 3, 4]),
        (10, 5, [1, 3, 5, 7, 9]),
        (11, 5, [1, 4, 7, 10]),
        (3, 1, [0, 2]),
    ],
)
def test_the_equity_curve_is_thinned_and_ends_with_the_newest(
    board: Board, queries: ConsoleQueries, samples: int, points: int, expected: list[int]
) -> None:
    curve: Any = tuple((number, float(number)) for number in range(samples))
    board.publish_session(replace(SmallSession().published(), equity=curve))
    view = queries.equity("main", points=points)
    assert list(view.times_ns) == expected
    assert list(view.values) == [float(number) for number in expected]


def test_what_is_published_stays_as_it_was() -> None:
    session = SmallSession()
    session.begin()
    session.quote(1, "99.99", "100.01")
    executor_id = session.create()
    held = session.published()
    before = repr(held)
    for second in range(2, 30):
        session.quote(second, f"{100 - second}.00", f"{100 - second}.02")
        session.create(side="SELL")
    session.act("store", executor_id=executor_id)
    assert repr(held) == before
    assert held.markets[MARKET].quote != session.published().markets[MARKET].quote
    assert list(held.executors) == [executor_id]


def test_a_beat_changes_nothing_else_of_the_health(board: Board, queries: ConsoleQueries) -> None:
    assert queries.health().beat_ns is None
    before = board.health
    board.beat(5)
    assert queries.health() == replace(before, beat_ns=5)
