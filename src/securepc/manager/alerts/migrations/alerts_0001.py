"""Alerts."""

import sqlalchemy as sa
from alembic import op

revision = "alerts_0001"
down_revision = None
branch_labels = ("alerts",)
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("level", sa.String, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("first_at", sa.Integer, nullable=False),
        sa.Column("last_at", sa.Integer, nullable=False),
        sa.Column("closed_at", sa.Integer),
        sa.Column("closed_by", sa.String),
    )
    op.create_index(
        "ix_alerts_open",
        "alerts",
        ["log", "code", "device"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
    )
