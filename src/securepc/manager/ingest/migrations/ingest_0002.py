"""What devices said of their open epochs."""

import sqlalchemy as sa
from alembic import op

revision = "ingest_0002"
down_revision = "ingest_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "heartbeat_claims",
        sa.Column("device", sa.LargeBinary(16), primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("boot", sa.LargeBinary(16), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("head", sa.LargeBinary(32), nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
    )
