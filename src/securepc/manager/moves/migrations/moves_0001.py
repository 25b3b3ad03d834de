"""Moves: the agencies that stand still."""

import sqlalchemy as sa
from alembic import op

revision = "moves_0001"
down_revision = None
branch_labels = ("moves",)
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "moves",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("identity", sa.LargeBinary, nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("chain", sa.LargeBinary, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("notice", sa.LargeBinary, nullable=False),
    )
