"""Sessions, their journal, executors, orders, fills, positions, samples, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema from nothing to version 1."""
    _create_session()
    _create_journal()
    _create_executor()
    _create_order()
    _create_fill()
    _create_position()
    _create_samples()
    _create_audit()


def _create_session() -> None:
    op.create_table(
        "session",
        sa.Column("session_id", sa.Text, primary_key=True),
        _text("name"),
        _text("mode"),
        _text("status"),
        _number("started_ns"),
        _number("updated_ns"),
        _number("ended_ns", nullable=True),
        _text("config_hash"),
        _text("config_text"),
        _text("code_version"),
        _text("seed"),
        _text("currency"),
        _text("initial_equity"),
        _text("equity"),
        _text("realized_pnl"),
        _text("unrealized_pnl"),
        _text("fees"),
        _number("executors"),
        _number("orders"),
        _number("fills"),
        _number("inputs"),
        _text("journal_hash"),
        _text("reason"),
        sqlite_strict=True,
    )
    op.create_index("session_by_mode", "session", ["mode", "status"])
    op.create_index("session_by_start", "session", ["started_ns"])


def _create_journal() -> None:
    op.create_table(
        "journal",
        _session_key(),
        _key_number("seq"),
        _number("ts_ns"),
        _text("kind"),
        _text("payload"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    _make_append_only("journal")


def _create_executor() -> None:
    op.create_table(
        "executor",
        _session_key(),
        sa.Column("executor_id", sa.Text, primary_key=True),
        _text("controller_id"),
        _text("type"),
        _text("status"),
        _text("close_type", nullable=True),
        _number("created_ns"),
        _number("updated_ns"),
        _number("closed_ns", nullable=True),
        _text("config"),
        _text("state"),
        _number("state_version"),
        _text("final_info", nullable=True),
        _text("net_pnl_quote"),
        _text("net_pnl_pct"),
        _text("fees_quote"),
        _text("filled_amount_quote"),
        _number("is_archived"),
        _number("is_handed_over"),
        sqlite_strict=True,
    )
    op.create_index("executor_by_status", "executor", ["session_id", "status"])


def _create_order() -> None:
    op.create_table(
        "order",
        _session_key(),
        sa.Column("client_order_id", sa.Text, primary_key=True),
        _text("executor_id", nullable=True),
        _text("role"),
        _text("connector_name"),
        _text("trading_pair"),
        _text("side"),
        _text("order_type"),
        _text("price", nullable=True),
        _text("amount"),
        _text("filled_amount"),
        _text("filled_quote"),
        _text("fee_quote"),
        _text("state"),
        _text("reason"),
        _number("created_ns"),
        _number("updated_ns"),
        sqlite_strict=True,
    )
    op.create_index("order_by_executor", "order", ["session_id", "executor_id"])


def _create_fill() -> None:
    op.create_table(
        "fill",
        _session_key(),
        sa.Column("fill_id", sa.Text, primary_key=True),
        _text("client_order_id"),
        _text("executor_id", nullable=True),
        _text("role"),
        _text("connector_name"),
        _text("trading_pair"),
        _text("side"),
        _text("price"),
        _text("amount"),
        _text("quote"),
        _text("fee_quote"),
        _text("fee_base"),
        _number("is_maker"),
        _number("ts_ns"),
        sqlite_strict=True,
    )
    op.create_index("fill_by_order", "fill", ["session_id", "client_order_id"])


def _create_position() -> None:
    op.create_table(
        "position",
        _session_key(),
        sa.Column("connector_name", sa.Text, primary_key=True),
        sa.Column("trading_pair", sa.Text, primary_key=True),
        _text("amount"),
        _text("entry_price", nullable=True),
        _text("mark_price", nullable=True),
        _text("realized_pnl"),
        _text("unrealized_pnl"),
        _text("fees"),
        _text("held"),
        _number("updated_ns"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _create_samples() -> None:
    op.create_table(
        "equity",
        _session_key(),
        _key_number("ts_ns"),
        _text("equity"),
        _text("realized_pnl"),
        _text("unrealized_pnl"),
        _text("fees"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "performance",
        _session_key(),
        sa.Column("controller_id", sa.Text, primary_key=True),
        _key_number("ts_ns"),
        _text("realized_pnl"),
        _text("unrealized_pnl"),
        _text("volume"),
        _text("fees"),
        _number("wins"),
        _number("losses"),
        _number("active"),
        _number("done"),
        _text("close_types"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, primary_key=True),
        _text("event_id"),
        _text("kind"),
        _text("actor"),
        _text("target"),
        _text("session_id", nullable=True),
        _number("requested_ns"),
        _number("finished_ns", nullable=True),
        _text("status"),
        _text("reason"),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("audit_by_event", "audit", ["event_id"])
    op.create_index("audit_by_session", "audit", ["session_id"])
    _make_append_only("audit")


def _make_append_only(table: str) -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_refuses_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=nullable)


def _key_number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=False)


def _session_key() -> sa.Column[str]:
    return sa.Column("session_id", sa.Text, sa.ForeignKey("session.session_id"), primary_key=True)
