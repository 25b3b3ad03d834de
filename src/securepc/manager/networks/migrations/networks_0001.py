"""Where PCs were, and what they ask for."""

import sqlalchemy as sa
from alembic import op

revision = "networks_0001"
down_revision = None
branch_labels = ("networks",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "network_sightings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("entry", sa.String(60), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("user", sa.String(200), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_index("ix_network_sightings_of", "network_sightings", ["log", "device", "at"])
    op.create_table(
        "network_requests",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("entry", sa.String(60), nullable=False),
        sa.Column("user", sa.String(200), nullable=False),
        sa.Column("purpose", sa.String(500), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("decided_at", sa.BigInteger),
        sa.Column("decided_by", sa.String(200)),
        sa.Column("reason", sa.String(500)),
        sa.Column("command", sa.BigInteger),
        sa.UniqueConstraint("entry", name="uq_network_requests_entry"),
    )
    op.create_index("ix_network_requests_open", "network_requests", ["log", "state"])
