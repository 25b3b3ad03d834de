"""Addresses that PCs' requests come from."""

import sqlalchemy as sa
from alembic import op

revision = "devices_0003"
down_revision = "devices_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "device_addresses",
        sa.Column("device", sa.LargeBinary(16), primary_key=True),
        sa.Column("address", sa.String, primary_key=True),
        sa.Column("first_at", sa.Integer, nullable=False),
        sa.Column("last_at", sa.Integer, nullable=False),
    )
