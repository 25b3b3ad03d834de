"""Restored logs, and the checkpoints that were shown of them."""

import sqlalchemy as sa
from alembic import op

revision = "restored_0001"
down_revision = None
branch_labels = ("restored",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "restored_logs",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("at", sa.BigInteger, primary_key=True),
        sa.Column("kept", sa.BigInteger, nullable=False),
        sa.Column("prepared", sa.Boolean, nullable=False),
        sa.Column("word", sa.String, nullable=False),
        sa.Column("leaf", sa.LargeBinary),
        sa.Column("opened_at", sa.BigInteger),
    )
    op.create_table(
        "restored_shown",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("who", sa.String, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary(32), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
