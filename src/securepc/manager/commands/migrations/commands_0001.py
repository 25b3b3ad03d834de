"""Orders to devices."""

import sqlalchemy as sa
from alembic import op

revision = "commands_0001"
down_revision = None
branch_labels = ("commands",)
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "commands",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("order", sa.String, nullable=False),
        sa.Column("args", sa.JSON, nullable=False),
        sa.Column("frame", sa.LargeBinary, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("issued", sa.Integer, nullable=False),
        sa.Column("expires", sa.Integer, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("sent_at", sa.Integer),
        sa.Column("taken_at", sa.Integer),
        sa.Column("done_at", sa.Integer),
        sa.Column("result", sa.JSON, nullable=False),
        sa.Column("entry", sa.String),
    )
    op.create_index("ix_commands_log", "commands", ["log"])
    op.create_index("ix_commands_device", "commands", ["device", "state"])
