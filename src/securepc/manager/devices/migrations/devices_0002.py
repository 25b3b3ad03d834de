"""Keys of codes read out by telephone; the boot-time clock of the last heartbeat."""

import sqlalchemy as sa
from alembic import op

revision = "devices_0002"
down_revision = "devices_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, add the columns."""
    op.create_table(
        "device_code_keys",
        sa.Column("device", sa.LargeBinary(16), primary_key=True),
        sa.Column("key", sa.LargeBinary, nullable=False),
    )
    op.add_column("devices", sa.Column("up", sa.Integer))
    op.add_column("devices", sa.Column("beat_at", sa.Integer))
