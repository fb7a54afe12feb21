"""The fake console engine keeps the door's contract."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.api.commands import StopExecutor
from engine.api.console import ConsoleEngine
from engine.api.views import EngineState
from engine.testing import fake_forms
from engine.testing.fake_console import FakeConsoleEngine, FakeState
from engine.testing.fake_rows import SPECIMENS


def test_it_is_a_console_engine_and_stands_still() -> None:
    first: ConsoleEngine = FakeConsoleEngine()
    second: ConsoleEngine = FakeConsoleEngine()
    assert first.executors("main") == second.executors("main") == first.executors("main")
    assert first.sessions() == second.sessions()


def test_every_lifecycle_and_close_type_is_there() -> None:
    rows = FakeConsoleEngine().executors("main").rows
    assert {row.lifecycle for row in rows} == {
        "created", "running", "shutting_down", "failed", "terminated",
    }  # fmt: skip
    assert {row.close_type for row in rows} >= {
        None, "TIME_LIMIT", "STOP_LOSS", "TAKE_PROFIT", "EXPIRED", "EARLY_STOP", "TRAILING_STOP",
        "INSUFFICIENT_BALANCE", "FAILED", "COMPLETED", "POSITION_HOLD",
    }  # fmt: skip
    assert {row.side for row in rows} == {"BUY", "SELL"}
    assert {row.net_pnl_quote > 0 for row in rows} == {True, False}


@pytest.mark.parametrize("place", range(len(SPECIMENS)))
def test_every_executor_has_a_detail(place: int) -> None:
    engine = FakeConsoleEngine()
    row = engine.row_at(place)
    detail = engine.executor("main", row.id)
    assert detail is not None
    assert detail.row == row
    assert detail.timeline
    filled = sum((fill.amount for fill in detail.fills if fill.role == "entry"), Decimal(0))
    assert filled == row.filled_amount


def test_windows_sort_filter_and_index_agree() -> None:
    engine = FakeConsoleEngine(executors=500)
    page = engine.executors(
        "main", sort="pnl", descending=False, filter_text="side:buy", start=10, count=5
    )
    assert (page.start, len(page.rows), page.total) == (10, 5, 500)
    assert page.matching < 500
    index = engine.executor_index(
        "main", page.rows[2].id, sort="pnl", descending=False, filter_text="side:buy"
    )
    assert index == 12
    assert engine.executor_index("main", page.rows[2].id, filter_text="side:sell") is None
    assert "no field" in engine.executors("main", filter_text="colour:red").filter_error


def test_time_moves_only_when_told() -> None:
    engine = FakeConsoleEngine(executors=300)
    before = engine.executors("main", count=300)
    engine.advance(0.1)
    after = engine.executors("main", count=300)
    assert after.version > before.version
    changed = sum(old != new for old, new in zip(before.rows, after.rows, strict=True))
    assert 0 < changed <= 200


@pytest.mark.parametrize(
    ("state", "engine_state", "sessions", "executors"),
    [
        ("starting", EngineState.STARTING, 0, 0),
        ("empty", EngineState.RUNNING, 1, 0),
        ("running", EngineState.RUNNING, 1, len(SPECIMENS)),
        ("stale", EngineState.RUNNING, 1, len(SPECIMENS)),
        ("faulted", EngineState.FAULTED, 1, len(SPECIMENS)),
    ],
)
def test_states(state: FakeState, engine_state: EngineState, sessions: int, executors: int) -> None:
    engine = FakeConsoleEngine(state=state)
    assert engine.health().state is engine_state
    assert len(engine.sessions()) == sessions
    assert engine.executors("main").total == executors
    for query in (engine.markets, engine.orders, engine.fills, engine.positions, engine.equity,
                  engine.performance, engine.executor_types):  # fmt: skip
        query("main")
        query("elsewhere")


def test_commands_end_at_once_or_when_told() -> None:
    engine = FakeConsoleEngine()
    command = StopExecutor(session="main", executor_id="x")
    command_id = engine.submit(command)
    assert engine.submitted == [command]
    row = engine.command(command_id)
    assert row is not None
    assert (row.kind, row.target, row.status) == ("StopExecutor", "x", "completed")
    engine.refusal = "there is no executor x"
    assert engine.commands()[0] == row
    failed = engine.command(engine.submit(command))
    assert failed is not None
    assert (failed.status, failed.reason) == ("failed", "there is no executor x")
    engine.hold_commands = True
    held = engine.command(engine.submit(command))
    assert held is not None
    assert held.status == "pending"


def test_flow_states_have_the_exact_text() -> None:
    panel = FakeConsoleEngine().flow_states()[0]
    assert panel.text.splitlines() == [
        "Executor State (commands):",
        "  pending: 0 events",
        "  processing: 1 event",
        "  completed: 418 events",
        "  failed: 2 events",
        "  cancelled: 0 events",
        "  skipped: 0 events",
        "  aborted: 0 events",
    ]


def test_create_forms_are_read_and_refused() -> None:
    engine = FakeConsoleEngine(types=(fake_forms.POSITION, fake_forms.TWAP))
    assert [item.title for item in engine.executor_types("main")] == ["Position", "TWAP"]
    check = engine.check_create(
        "main",
        "position_executor",
        {
            "amount": "0.04",
            "triple_barrier_config.stop_loss": "2%",
            "triple_barrier_config.time_limit": "4h",
        },
    )
    assert check.ok
    assert check.values["triple_barrier_config"] == {
        "stop_loss": "0.02",
        "time_limit": 14_400,
        "open_order_type": "LIMIT",
        "take_profit_order_type": "MARKET",
    }
    assert check.understood["triple_barrier_config.time_limit"] == "14400 s"
    bad = engine.check_create(
        "main",
        "position_executor",
        {
            "amount": "lots",
            "side": "UP",
            "triple_barrier_config.stop_loss": "0",
            "triple_barrier_config.time_limit": "4hh",
            "triple_barrier_config.trailing_stop.activation_price": "1%",
        },
    )
    assert set(bad.errors) == {
        "amount",
        "side",
        "triple_barrier_config.stop_loss",
        "triple_barrier_config.time_limit",
        "triple_barrier_config.trailing_stop.trailing_delta",
    }
    assert not engine.check_create("elsewhere", "position_executor", {}).ok
    missing = engine.check_create("main", "twap_executor", {"amount": "1"})
    assert set(missing.errors) == {"total_duration"}


def test_update_forms_show_the_present_values() -> None:
    engine = FakeConsoleEngine()
    running = engine.row_at(0).id
    fields = engine.update_fields("main", running)
    assert [item.default for item in fields] == ["2%", "3%", "4h", "1.5%", "0.5%"]
    check = engine.check_update("main", running, {fields[0].name: "1%"})
    assert check.ok
    assert check.preview[0] == ("Stop at", "63,478.8  -25.65 USDT")
    assert engine.update_fields("main", engine.row_at(9).id) == ()
    assert engine.update_fields("main", "unknown") == ()
    assert not engine.check_update("main", "unknown", {}).ok
