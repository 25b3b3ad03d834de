"""Agencies, enrolment tokens, devices."""

import sqlalchemy as sa
from alembic import op

revision = "devices_0001"
down_revision = None
branch_labels = ("devices",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "agencies",
        sa.Column("log", sa.LargeBinary(16), primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("created_at", sa.Integer, nullable=False),
    )
    op.create_table(
        "enrolment_tokens",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), sa.ForeignKey("agencies.log"), nullable=False, index=True),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("approval", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Integer, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("expires_at", sa.Integer, nullable=False),
        sa.UniqueConstraint("secret_hash", name="uq_enrolment_tokens_secret_hash"),
    )
    op.create_table(
        "devices",
        sa.Column("device", sa.LargeBinary(16), primary_key=True),
        sa.Column("log", sa.LargeBinary(16), sa.ForeignKey("agencies.log"), nullable=False, index=True),
        sa.Column("token", sa.Integer, sa.ForeignKey("enrolment_tokens.id")),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("info", sa.JSON, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("proof", sa.LargeBinary, nullable=False),
        sa.Column("agreement", sa.LargeBinary, nullable=False),
        sa.Column("register", sa.LargeBinary),
        sa.Column("revoke", sa.LargeBinary),
        sa.Column("frame", sa.LargeBinary),
        sa.Column("asked_at", sa.Integer, nullable=False),
        sa.Column("enrolled_at", sa.Integer),
        sa.Column("decided_by", sa.String),
        sa.Column("seen_at", sa.Integer),
        sa.Column("boot", sa.LargeBinary(16)),
        sa.Column("epoch", sa.Integer),
        sa.Column("sequence", sa.Integer),
        sa.Column("head", sa.LargeBinary),
        sa.Column("clock_offset", sa.Integer),
        sa.Column("status", sa.JSON, nullable=False),
    )
