"""Acts on their way to the ledger, the register, months, rests of redacted batches."""

import sqlalchemy as sa
from alembic import op

revision = "retention_0001"
down_revision = None
branch_labels = ("retention",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    handle = sa.LargeBinary(16)
    op.create_table(
        "retention_acts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", handle, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("leaf_index", sa.Integer),
        sa.Column("detail", sa.String, nullable=False),
        sa.Column("made_at", sa.Integer, nullable=False),
        sa.Column("made_by", sa.String, nullable=False),
    )
    op.create_index("ix_retention_acts_state", "retention_acts", ["state", "id"])
    op.create_table(
        "retention_requests",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", handle, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("device", handle),
        sa.Column("start", sa.Integer),
        sa.Column("stop", sa.Integer),
        sa.Column("hold", handle),
        sa.Column("batch", sa.Integer),
        sa.Column("sequence", sa.Integer),
        sa.Column("ground", sa.String, nullable=False),
        sa.Column("asked_by", sa.String, nullable=False),
        sa.Column("asked_at", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("decided_by", sa.String, nullable=False),
        sa.Column("decided_at", sa.Integer),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("act", sa.Integer),
    )
    op.create_index("ix_retention_requests_log", "retention_requests", ["log", "state"])
    op.create_table(
        "retention_months",
        sa.Column("log", handle, primary_key=True),
        sa.Column("month", sa.String, primary_key=True),
        sa.Column("announced_at", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.Integer, nullable=False),
        sa.Column("gone_at", sa.Integer),
    )
    op.create_table(
        "retention_rests",
        sa.Column("log", handle, primary_key=True),
        sa.Column("batch", sa.Integer, primary_key=True),
        sa.Column("count", sa.Integer, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("key", sa.LargeBinary),
    )
