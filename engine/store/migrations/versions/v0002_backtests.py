"""Finished backtests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema from version 1 to version 2."""
    op.create_table(
        "backtest",
        sa.Column("backtest_id", sa.Text, primary_key=True),
        _text("name"),
        _text("status"),
        _text("engine"),
        _number("created_ns"),
        _number("finished_ns"),
        _text("run_hash"),
        _text("fingerprint"),
        _number("bars"),
        _text("final_equity", nullable=True),
        _text("folder"),
        _text("config"),
        _text("summary"),
        _text("error"),
        sqlite_strict=True,
    )
    op.create_index("backtest_by_time", "backtest", ["created_ns"])


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=nullable)
