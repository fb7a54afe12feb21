"""The tables, one for each kind of record; columns are named and ordered like the record's fields.

Every table is STRICT. Tables whose key is their natural order are kept in that order (WITHOUT
ROWID); in the others `rowid` is the order of arrival.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, Table, Text

from engine.store.column_types import DecimalText, Flag, JsonText, StatusText, WideInteger
from engine.store.records import (
    AuditRecord,
    BacktestRecord,
    EquityRecord,
    ExecutorRecord,
    FillRecord,
    JournalEntry,
    OrderRecord,
    PerformanceRecord,
    PositionRecord,
    SessionRecord,
)

metadata: Final = MetaData()


def _key(name: str) -> Column[Any]:
    return Column(name, Text, primary_key=True)


def _key_number(name: str) -> Column[Any]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


def _session_key() -> Column[Any]:
    return Column("session_id", Text, ForeignKey("session.session_id"), primary_key=True)


def _text(name: str, *, optional: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=optional)


def _number(name: str, *, optional: bool = False) -> Column[Any]:
    return Column(name, Integer, nullable=optional)


def _decimal(name: str, *, optional: bool = False) -> Column[Any]:
    return Column(name, DecimalText, nullable=optional)


def _later_decimal(name: str) -> Column[Any]:
    """Return a column that rows from before it was added have as 0."""
    return Column(name, DecimalText, nullable=False, server_default="0")


def _json(name: str, *, optional: bool = False) -> Column[Any]:
    return Column(name, JsonText, nullable=optional)


def _flag(name: str) -> Column[Any]:
    return Column(name, Flag, nullable=False)


session: Final = Table(
    "session",
    metadata,
    _key("session_id"),
    _text("name"),
    _text("mode"),
    Column("status", StatusText, nullable=False),
    _number("started_ns"),
    _number("updated_ns"),
    _number("ended_ns", optional=True),
    _text("config_hash"),
    _text("config_text"),
    _text("code_version"),
    Column("seed", WideInteger, nullable=False),
    _text("currency"),
    _decimal("initial_equity"),
    _decimal("equity"),
    _decimal("realized_pnl"),
    _decimal("unrealized_pnl"),
    _decimal("fees"),
    _number("executors"),
    _number("orders"),
    _number("fills"),
    _number("inputs"),
    _text("journal_hash"),
    _text("reason"),
    Index("session_by_mode", "mode", "status"),
    Index("session_by_start", "started_ns"),
    sqlite_strict=True,
)

journal: Final = Table(
    "journal",
    metadata,
    _session_key(),
    _key_number("seq"),
    _number("ts_ns"),
    _text("kind"),
    _text("payload"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

executor: Final = Table(
    "executor",
    metadata,
    _session_key(),
    _key("executor_id"),
    _text("controller_id"),
    _text("type"),
    _text("status"),
    _text("close_type", optional=True),
    _number("created_ns"),
    _number("updated_ns"),
    _number("closed_ns", optional=True),
    _json("config"),
    _json("state"),
    _number("state_version"),
    _json("final_info", optional=True),
    _decimal("net_pnl_quote"),
    _decimal("net_pnl_pct"),
    _decimal("fees_quote"),
    _decimal("filled_amount_quote"),
    _flag("is_archived"),
    _flag("is_handed_over"),
    Index("executor_by_status", "session_id", "status"),
    sqlite_strict=True,
)

order: Final = Table(
    "order",
    metadata,
    _session_key(),
    _key("client_order_id"),
    _text("executor_id", optional=True),
    _text("role"),
    _text("connector_name"),
    _text("trading_pair"),
    _text("side"),
    _text("order_type"),
    _decimal("price", optional=True),
    _decimal("amount"),
    _decimal("filled_amount"),
    _decimal("filled_quote"),
    _decimal("fee_quote"),
    _text("state"),
    _text("reason"),
    _number("created_ns"),
    _number("updated_ns"),
    Index("order_by_executor", "session_id", "executor_id"),
    sqlite_strict=True,
)

fill: Final = Table(
    "fill",
    metadata,
    _session_key(),
    _key("fill_id"),
    _text("client_order_id"),
    _text("executor_id", optional=True),
    _text("role"),
    _text("connector_name"),
    _text("trading_pair"),
    _text("side"),
    _decimal("price"),
    _decimal("amount"),
    _decimal("quote"),
    _decimal("fee_quote"),
    _decimal("fee_base"),
    _flag("is_maker"),
    _number("ts_ns"),
    Index("fill_by_order", "session_id", "client_order_id"),
    sqlite_strict=True,
)

position: Final = Table(
    "position",
    metadata,
    _session_key(),
    _key("connector_name"),
    _key("trading_pair"),
    _key("side"),
    _decimal("amount"),
    _decimal("entry_price", optional=True),
    _decimal("mark_price", optional=True),
    _decimal("realized_pnl"),
    _decimal("unrealized_pnl"),
    _decimal("fees"),
    _decimal("held"),
    _number("updated_ns"),
    _later_decimal("funding"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

equity: Final = Table(
    "equity",
    metadata,
    _session_key(),
    _key_number("ts_ns"),
    _decimal("equity"),
    _decimal("realized_pnl"),
    _decimal("unrealized_pnl"),
    _decimal("fees"),
    _later_decimal("funding"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

performance: Final = Table(
    "performance",
    metadata,
    _session_key(),
    _key("controller_id"),
    _key_number("ts_ns"),
    _decimal("realized_pnl"),
    _decimal("unrealized_pnl"),
    _decimal("volume"),
    _decimal("fees"),
    _number("wins"),
    _number("losses"),
    _number("active"),
    _number("done"),
    _json("close_types"),
    _later_decimal("funding"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

audit: Final = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True),
    _text("event_id"),
    _text("kind"),
    _text("actor"),
    _text("target"),
    _text("session_id", optional=True),
    _number("requested_ns"),
    _number("finished_ns", optional=True),
    _text("status"),
    _text("reason"),
    Index("audit_by_event", "event_id"),
    Index("audit_by_session", "session_id"),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)

backtest: Final = Table(
    "backtest",
    metadata,
    _key("backtest_id"),
    _text("name"),
    _text("status"),
    _text("engine"),
    _number("created_ns"),
    _number("finished_ns"),
    _text("run_hash"),
    _text("fingerprint"),
    _number("bars"),
    _decimal("final_equity", optional=True),
    _text("folder"),
    _json("config"),
    _json("summary"),
    _text("error"),
    Index("backtest_by_time", "created_ns"),
    sqlite_strict=True,
)

TABLE_OF_RECORD: Final[Mapping[type, Table]] = {
    SessionRecord: session,
    JournalEntry: journal,
    ExecutorRecord: executor,
    OrderRecord: order,
    FillRecord: fill,
    PositionRecord: position,
    EquityRecord: equity,
    PerformanceRecord: performance,
    AuditRecord: audit,
    BacktestRecord: backtest,
}
