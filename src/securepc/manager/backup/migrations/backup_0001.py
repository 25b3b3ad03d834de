"""Runs of backups, and what a tested one holds."""

import sqlalchemy as sa
from alembic import op

revision = "backup_0001"
down_revision = None
branch_labels = ("backup",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "backup_runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("ended_at", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("moment", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("error", sa.String, nullable=False),
    )
    op.create_table(
        "backup_watermarks",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
    )
