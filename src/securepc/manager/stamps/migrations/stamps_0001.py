"""Time stamps over checkpoints."""

import sqlalchemy as sa
from alembic import op

revision = "stamps_0001"
down_revision = None
branch_labels = ("stamps",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "stamps",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("size", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.Integer, nullable=False),
        sa.Column("authority", sa.String, nullable=False),
        sa.Column("expires", sa.Integer, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("response", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "stamp_attempts",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("trouble", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
    )
