"""Lost PCs."""

import sqlalchemy as sa
from alembic import op

revision = "lost_0001"
down_revision = None
branch_labels = ("lost",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "lost_cases",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("ghost", sa.String, nullable=False),
        sa.Column("ghost_done", sa.Boolean, nullable=False),
        sa.Column("location", sa.Boolean, nullable=False),
        sa.Column("opened_by", sa.String, nullable=False),
        sa.Column("opened_at", sa.Integer, nullable=False),
        sa.Column("lock_order", sa.Integer, nullable=False),
        sa.Column("closed_by", sa.String, nullable=False),
        sa.Column("closed_at", sa.Integer),
        sa.Column("closed_why", sa.String, nullable=False),
        sa.Column("unlock_order", sa.Integer),
    )
    op.create_index("ix_lost_cases_device", "lost_cases", ["device", "id"])
    op.create_table(
        "lost_events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("received", sa.Integer, nullable=False),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("entry", sa.String, nullable=False),
    )
    op.create_index("ix_lost_events_device", "lost_events", ["device", "id"])
    op.create_table(
        "lost_places",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("received", sa.Integer, nullable=False),
        sa.Column("latitude", sa.String, nullable=False),
        sa.Column("longitude", sa.String, nullable=False),
        sa.Column("accuracy", sa.Integer),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("network", sa.String, nullable=False),
        sa.Column("why", sa.JSON, nullable=False),
        sa.Column("entry", sa.String, nullable=False),
    )
    op.create_index("ix_lost_places_device", "lost_places", ["device", "id"])
