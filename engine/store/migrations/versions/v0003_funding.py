"""Funding of perpetuals beside fees: in positions, equity and performance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema from version 2 to version 3; there was no funding before."""
    for table in ("position", "equity", "performance"):
        op.add_column(table, sa.Column("funding", sa.Text, nullable=False, server_default="0"))
