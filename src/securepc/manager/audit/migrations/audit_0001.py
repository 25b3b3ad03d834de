"""The outbox."""

import sqlalchemy as sa
from alembic import op

revision = "audit_0001"
down_revision = None
branch_labels = ("audit",)
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "audit_outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False, index=True),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.Column("epoch", sa.Integer),
    )
    op.create_table(
        "audit_chains",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("head", sa.LargeBinary, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "audit_batches",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.Column("box", sa.LargeBinary, nullable=False),
    )
