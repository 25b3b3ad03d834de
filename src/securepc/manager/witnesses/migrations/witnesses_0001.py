"""What witnesses have signed."""

import sqlalchemy as sa
from alembic import op

revision = "witnesses_0001"
down_revision = None
branch_labels = ("witnesses",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "witness_states",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("witness", sa.String, primary_key=True),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("signed_at", sa.Integer),
        sa.Column("asked_at", sa.Integer, nullable=False),
        sa.Column("trouble", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
    )
    op.create_table(
        "cosigned_checkpoints",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
    )
