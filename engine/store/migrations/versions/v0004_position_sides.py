"""The side of a position: a hedged market has a long and a short one at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TEXT = ("amount", "entry_price", "mark_price", "realized_pnl", "unrealized_pnl", "fees", "held")
_OPTIONAL = ("entry_price", "mark_price")


def upgrade() -> None:
    """Bring the schema from version 3 to version 4; positions were netted before."""
    # SQLite cannot add a column to a primary key: the table is made again.
    op.rename_table("position", "position_netted")
    op.create_table(
        "position",
        sa.Column("session_id", sa.Text, sa.ForeignKey("session.session_id"), primary_key=True),
        sa.Column("connector_name", sa.Text, primary_key=True),
        sa.Column("trading_pair", sa.Text, primary_key=True),
        sa.Column("side", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=name in _OPTIONAL) for name in _TEXT),
        sa.Column("updated_ns", sa.Integer, nullable=False),
        sa.Column("funding", sa.Text, nullable=False, server_default="0"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    kept = ("session_id", "connector_name", "trading_pair", *_TEXT, "updated_ns", "funding")
    new = sa.table("position", *map(sa.column, (*kept, "side")))
    old = sa.table("position_netted", *map(sa.column, kept))
    rows = sa.select(*(old.c[name] for name in kept), sa.literal("BOTH"))
    op.execute(sa.insert(new).from_select([*kept, "side"], rows))
    op.drop_table("position_netted")
