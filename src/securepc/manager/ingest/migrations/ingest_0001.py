"""What the opener remembers."""

import sqlalchemy as sa
from alembic import op

revision = "ingest_0001"
down_revision = None
branch_labels = ("ingest",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "mac_chains",
        sa.Column("device", sa.LargeBinary(16), primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "openings",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("judged", sa.Integer, nullable=False),
        sa.Column("opened", sa.Integer, nullable=False),
        sa.Column("verdict", sa.LargeBinary),
    )
    op.create_table(
        "faults",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("leaf", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("found_at", sa.Integer, nullable=False),
    )
