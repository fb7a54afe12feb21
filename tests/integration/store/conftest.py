"""Records to write, and a watch for blocking calls in the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from engine.store.batch import StoreBatch
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
    SessionUpdate,
)

SESSION = "s-1"


@pytest.fixture(autouse=True)
def _blocking_calls_are_errors() -> Iterator[None]:
    with blockbuster_ctx("engine"):
        yield


@pytest.fixture
def make_session() -> Callable[..., SessionRecord]:
    """Return a maker of running sessions; fields may be overridden."""

    def make(session_id: str = SESSION, **changes: Any) -> SessionRecord:
        values: dict[str, Any] = {
            "session_id": session_id,
            "name": "paper",
            "mode": "paper",
            "status": SessionStatus.RUNNING,
            "started_ns": 1_700_000_000_000_000_000,
            "updated_ns": 1_700_000_000_000_000_000,
            "config_hash": "c0ffee",
            "config_text": "seed: 7\n",
            "code_version": "0.1.0",
            "seed": 7,
            "currency": "USDT",
            "initial_equity": Decimal(10_000),
            "equity": Decimal(10_000),
        }
        return SessionRecord(**values | changes)

    return make


@pytest.fixture
def make_update() -> Callable[..., SessionUpdate]:
    """Return a maker of session updates; fields may be overridden."""

    def make(session_id: str = SESSION, **changes: Any) -> SessionUpdate:
        values: dict[str, Any] = {
            "session_id": session_id,
            "status": SessionStatus.RUNNING,
            "updated_ns": 1_700_000_060_000_000_000,
            "equity": Decimal("10001.25"),
            "realized_pnl": Decimal("1.5"),
            "unrealized_pnl": Decimal("-0.25"),
            "fees": Decimal("0.01"),
            "executors": 3,
            "orders": 5,
            "fills": 4,
            "inputs": 60,
        }
        return SessionUpdate(**values | changes)

    return make


@pytest.fixture
def make_order() -> Callable[..., OrderRecord]:
    """Return a maker of open limit orders; fields may be overridden."""

    def make(client_order_id: str, **changes: Any) -> OrderRecord:
        values: dict[str, Any] = {
            "session_id": SESSION,
            "client_order_id": client_order_id,
            "executor_id": "x-1",
            "role": "entry",
            "connector_name": "paper",
            "trading_pair": "BTC-USDT",
            "side": "BUY",
            "order_type": "LIMIT",
            "price": Decimal("30000.1"),
            "amount": Decimal("0.001"),
            "state": "OPEN",
            "created_ns": 1,
            "updated_ns": 1,
        }
        return OrderRecord(**values | changes)

    return make


@pytest.fixture
def make_fill() -> Callable[..., FillRecord]:
    """Return a maker of fills; fields may be overridden."""

    def make(fill_id: str, **changes: Any) -> FillRecord:
        values: dict[str, Any] = {
            "session_id": SESSION,
            "fill_id": fill_id,
            "client_order_id": "o-1",
            "executor_id": None,
            "role": "entry",
            "connector_name": "paper",
            "trading_pair": "BTC-USDT",
            "side": "BUY",
            "price": Decimal("30000.1"),
            "amount": Decimal("0.001"),
            "quote": Decimal("30.0001"),
            "fee_quote": Decimal("-0.003"),
            "is_maker": True,
            "ts_ns": 2,
        }
        return FillRecord(**values | changes)

    return make


@pytest.fixture
def full_batch(
    make_order: Callable[..., OrderRecord], make_fill: Callable[..., FillRecord]
) -> StoreBatch:
    """Return a batch with one record of every kind that needs a session."""
    return StoreBatch(
        journal=(JournalEntry(SESSION, 0, -5, "timer", ""),),
        executors=(
            ExecutorRecord(
                session_id=SESSION,
                executor_id="x-1",
                controller_id="main",
                type="position_executor",
                status="RUNNING",
                created_ns=1,
                updated_ns=2,
                config={"amount": "0.001", "barriers": {"stop_loss": "0.01", "levels": [1, None]}},
                state={"retries": 0},
                state_version=3,
                net_pnl_quote=Decimal("-0.000000001"),
                is_handed_over=True,
            ),
        ),
        orders=(make_order("o-1", price=None),),
        fills=(make_fill("f-1"),),
        positions=(
            PositionRecord(
                session_id=SESSION,
                connector_name="paper",
                trading_pair="BTC-USDT",
                amount=Decimal("-0.5"),
                entry_price=None,
                mark_price=Decimal("30001.5"),
                realized_pnl=Decimal("3.25"),
                unrealized_pnl=Decimal(-1),
                fees=Decimal("0.02"),
                updated_ns=9,
            ),
        ),
        equity=(
            EquityRecord(
                session_id=SESSION,
                ts_ns=10,
                equity=Decimal("9999.9"),
                realized_pnl=Decimal(0),
                unrealized_pnl=Decimal("-0.1"),
                fees=Decimal(0),
            ),
        ),
        performance=(
            PerformanceRecord(
                session_id=SESSION,
                controller_id="main",
                ts_ns=10,
                realized_pnl=Decimal(1),
                unrealized_pnl=Decimal(2),
                volume=Decimal("1e3"),
                fees=Decimal("0.5"),
                wins=1,
                losses=0,
                active=2,
                done=1,
                close_types={"TAKE_PROFIT": 1},
            ),
        ),
        audit=(
            AuditRecord(
                event_id="e-1",
                kind="create_executor",
                actor="operator",
                target="x-1",
                session_id=SESSION,
                requested_ns=1,
                finished_ns=None,
                status="processing",
            ),
        ),
    )
