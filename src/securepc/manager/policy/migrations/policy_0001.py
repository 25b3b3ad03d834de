"""Policies."""

import sqlalchemy as sa
from alembic import op

revision = "policy_0001"
down_revision = None
branch_labels = ("policy",)
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "policies",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("counter", sa.Integer, nullable=False),
        sa.Column("issued", sa.Integer, nullable=False),
        sa.Column("expires", sa.Integer, nullable=False),
        sa.Column("frame", sa.LargeBinary, nullable=False),
        sa.Column("author", sa.String, nullable=False),
        sa.UniqueConstraint("log", "epoch", "counter", name="uq_policies_log_epoch_counter"),
    )
