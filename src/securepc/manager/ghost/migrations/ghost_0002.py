"""The fork on the ledger that an administrator knew of when the drive was allowed again."""

import sqlalchemy as sa
from alembic import op

revision = "ghost_0002"
down_revision = "ghost_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("ghost_drives", sa.Column("known_fork", sa.Integer))
