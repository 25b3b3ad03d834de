"""Keys: the notices that tell PCs of them."""

import sqlalchemy as sa
from alembic import op

revision = "keyring_0001"
down_revision = None
branch_labels = ("keyring",)
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "key_notices",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("frame", sa.LargeBinary, nullable=False),
    )
