"""Redactions of before a restore that the restored ledger does not have yet."""

import sqlalchemy as sa
from alembic import op

revision = "retention_0002"
down_revision = "retention_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "retention_buried",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("device", sa.LargeBinary(16), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("ground", sa.String, nullable=False),
        sa.Column("approver", sa.String, nullable=False),
    )
