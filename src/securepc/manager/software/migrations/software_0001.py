"""Software and state of PCs."""

import sqlalchemy as sa
from alembic import op

revision = "software_0001"
down_revision = None
branch_labels = ("software",)
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    handle = sa.LargeBinary(16)
    op.create_table(
        "software_pcs",
        sa.Column("device", handle, primary_key=True),
        sa.Column("log", handle, nullable=False),
        sa.Column("whole_at", sa.Integer),
        sa.Column("changed_at", sa.Integer),
        sa.Column("in_step", sa.Boolean, nullable=False),
        sa.Column("asked_at", sa.Integer),
        sa.Column("unseen", sa.JSON, nullable=False),
        sa.Column("states", sa.JSON, nullable=False),
    )
    op.create_index("ix_software_pcs_log", "software_pcs", ["log"])
    op.create_table(
        "software_programs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", handle, nullable=False),
        sa.Column("device", handle, nullable=False),
        *(
            sa.Column(name, sa.String, nullable=False)
            for name in ("source", "name", "arch", "version", "publisher", "title")
        ),
        sa.Column("auto", sa.Boolean, nullable=False),
        sa.Column("watched", sa.Boolean, nullable=False),
        sa.Column("first_at", sa.Integer, nullable=False),
    )
    key = ["device", "source", "name", "arch"]
    op.create_index("ix_software_programs_key", "software_programs", key, unique=True)
    op.create_index("ix_software_programs_name", "software_programs", ["log", "name"])
    op.create_table(
        "software_parts",
        sa.Column("device", handle, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("report", sa.String, nullable=False),
        sa.Column("parts", sa.Integer, nullable=False),
        sa.Column("rows", sa.JSON, nullable=False),
    )
    op.create_table(
        "software_violations",
        sa.Column("device", handle, primary_key=True),
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("log", handle, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("version", "rule", "action")),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("until", sa.Integer),
        sa.Column("entry", sa.String, nullable=False),
    )
    op.create_index("ix_software_violations_log", "software_violations", ["log"])
    op.create_table(
        "software_removals",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("log", handle, nullable=False),
        sa.Column("device", handle, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("source", "name", "actor")),
        sa.Column("issued", sa.Integer, nullable=False),
        sa.Column("hours", sa.Integer, nullable=False),
        sa.Column("remove", sa.Boolean, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("until", sa.Integer),
        *(sa.Column(name, sa.String, nullable=False) for name in ("ja", "en")),
        sa.Column("entry", sa.String),
    )
    op.create_index("ix_software_removals_log", "software_removals", ["log"])
    op.create_table(
        "software_requests",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", handle, nullable=False),
        sa.Column("device", handle, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("user", "source", "name", "reason")),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("entry", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("decided_by", sa.String),
        sa.Column("decided_at", sa.Integer),
        sa.UniqueConstraint("entry", name="uq_software_requests_entry"),
    )
    op.create_index("ix_software_requests_log", "software_requests", ["log"])
