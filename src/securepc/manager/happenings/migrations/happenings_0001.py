"""How far the contexts have been told."""

import sqlalchemy as sa
from alembic import op

revision = "happenings_0001"
down_revision = None
branch_labels = ("happenings",)
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "happenings_told",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
    )
