"""Ghost Drives."""

import sqlalchemy as sa
from alembic import op

revision = "ghost_0001"
down_revision = None
branch_labels = ("ghost",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "ghost_drives",
        sa.Column("device", sa.LargeBinary(16), primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("made_at", sa.Integer, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("rekey", sa.Boolean, nullable=False),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("boot_at", sa.Integer),
        sa.Column("up", sa.Integer, nullable=False),
        sa.Column("counter", sa.Integer, nullable=False),
        sa.Column("retired", sa.JSON, nullable=False),
        sa.Column("cloned_at", sa.Integer),
        sa.Column("pin", sa.LargeBinary),
        sa.Column("pin_wrong", sa.Integer, nullable=False),
        sa.Column("pin_until", sa.Integer),
        sa.Column("pin_open", sa.Boolean, nullable=False),
        sa.Column("forbidden_at", sa.Integer),
        sa.Column("forbidden_by", sa.String, nullable=False),
        sa.Column("forbidden_why", sa.String, nullable=False),
        sa.Column("destroyed_at", sa.Integer),
        sa.Column("destroyed_by", sa.String, nullable=False),
        sa.Column("destroyed_why", sa.String, nullable=False),
        sa.Column("sheet", sa.Integer),
        sa.Column("sheet_at", sa.Integer),
        sa.Column("sheet_by", sa.String, nullable=False),
        sa.Column("sheet_used_at", sa.Integer),
        sa.Column("open_since", sa.Integer),
        sa.Column("open_network", sa.String, nullable=False),
        sa.Column("released_until", sa.Integer),
        sa.Column("contents_at", sa.Integer),
        sa.Column("contents_more", sa.Integer, nullable=False),
    )
    op.create_index("ix_ghost_drives_log", "ghost_drives", ["log"])
    op.create_table(
        "ghost_shares",
        sa.Column("device", sa.LargeBinary(16), primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("made_at", sa.Integer, nullable=False),
    )
    op.create_table(
        "ghost_releases",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("until", sa.Integer),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("network", sa.String, nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("result", sa.String, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.create_index("ix_ghost_releases_device", "ghost_releases", ["device", "id"])
    op.create_table(
        "ghost_contents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("list", sa.Integer, nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("modified", sa.Integer, nullable=False),
        sa.Column("shown", sa.Boolean, nullable=False),
    )
    op.create_index("ix_ghost_contents_device", "ghost_contents", ["device", "path"])
