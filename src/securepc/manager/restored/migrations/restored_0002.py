"""Of which tree a checkpoint is that was shown."""

import sqlalchemy as sa
from alembic import op

revision = "restored_0002"
down_revision = "restored_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the origin; what was shown before is taken for the first tree's."""
    with op.batch_alter_table("restored_shown") as table:
        table.add_column(sa.Column("origin", sa.String, nullable=False, server_default=""))
