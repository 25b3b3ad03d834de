"""Requests, take-outs, media, codes."""

import sqlalchemy as sa
from alembic import op

revision = "approvals_0001"
down_revision = None
branch_labels = ("approvals",)
depends_on = None


def _medium() -> list[sa.Column[str]]:
    names = ("kind", "medium", "vendor", "product", "serial")
    return [sa.Column(name, sa.String, nullable=False) for name in names]


def upgrade() -> None:
    """Make the tables."""
    handle = sa.LargeBinary(16)
    op.create_table(
        "shutter_requests",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", handle, nullable=False),
        sa.Column("device", handle, nullable=False),
        sa.Column("entry", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("asked_at", sa.Integer, nullable=False),
        sa.Column("boot", handle, nullable=False),
        sa.Column("requester", sa.String, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        *_medium(),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.Column("access", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("decided_at", sa.Integer),
        sa.Column("decided_by", sa.String),
        sa.Column("reason", sa.String),
        sa.Column("grant", sa.Integer),
        sa.Column("due_at", sa.Integer),
        sa.UniqueConstraint("device", "entry", name="uq_shutter_requests_entry"),
    )
    op.create_index("ix_shutter_requests_log", "shutter_requests", ["log", "state"])
    op.create_table(
        "takeouts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", handle, nullable=False),
        sa.Column("device", handle, nullable=False),
        sa.Column("number", sa.String, nullable=False),
        sa.Column("requester", sa.String, nullable=False),
        sa.Column("approver", sa.String, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("access", sa.String, nullable=False),
        *_medium(),
        sa.Column("opened_at", sa.Integer, nullable=False),
        sa.Column("until", sa.Integer),
        sa.Column("closed_at", sa.Integer),
        sa.Column("closed_why", sa.String),
        sa.Column("closed_seen", sa.Boolean),
        sa.Column("reads", sa.Integer, nullable=False),
        sa.Column("writes", sa.Integer, nullable=False),
        sa.Column("deletes", sa.Integer, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Integer),
        sa.Column("returned_at", sa.Integer),
        sa.Column("returned_by", sa.String),
        sa.Column("note", sa.String),
        sa.Column("entry", sa.String, nullable=False),
        sa.UniqueConstraint("device", "number", name="uq_takeouts_number"),
    )
    op.create_index("ix_takeouts_log", "takeouts", ["log", "opened_at"])
    op.create_table(
        "takeout_files",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("takeout", sa.Integer, sa.ForeignKey("takeouts.id"), nullable=False),
        sa.Column("act", sa.String, nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("to", sa.String, nullable=False),
        sa.Column("size", sa.Integer),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("entry", sa.String, nullable=False),
    )
    op.create_index("ix_takeout_files_takeout", "takeout_files", ["takeout"])
    op.create_table(
        "shutter_media",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", handle, nullable=False),
        sa.Column("tag", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("vendor", sa.String, nullable=False),
        sa.Column("product", sa.String, nullable=False),
        sa.Column("serial", sa.String, nullable=False),
        sa.Column("device", handle, nullable=False),
        sa.Column("seen_at", sa.Integer, nullable=False),
        sa.UniqueConstraint("log", "tag", "kind", "vendor", "product", "serial", name="uq_shutter_media"),
    )
    op.create_index("ix_shutter_media_log", "shutter_media", ["log"])
    op.create_table(
        "shutter_codes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", handle, nullable=False),
        sa.Column("device", handle, nullable=False),
        sa.Column("tag", sa.String, nullable=False),
        sa.Column("access", sa.String, nullable=False),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.Column("issued_at", sa.Integer, nullable=False),
        sa.Column("issued_by", sa.String, nullable=False),
    )
    op.create_index("ix_shutter_codes_device", "shutter_codes", ["device"])
