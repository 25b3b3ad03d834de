"""Mail: who wants it, the outbox, how far alerts were mailed."""

import sqlalchemy as sa
from alembic import op

revision = "mail_0001"
down_revision = None
branch_labels = ("mail",)
depends_on = "accounts_0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "mail_recipients",
        sa.Column(
            "account_id",
            sa.Integer,
            sa.ForeignKey("accounts.id", ondelete="CASCADE", name="fk_mail_recipients_account_id_accounts"),
            primary_key=True,
        ),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_mail_recipients_log", "mail_recipients", ["log"])
    op.create_table(
        "mail_outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("log", sa.LargeBinary(16), nullable=False),
        sa.Column("device", sa.LargeBinary(16), nullable=False),
        sa.Column("code", sa.String(60), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("error", sa.String(500), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("sent_at", sa.BigInteger),
        sa.UniqueConstraint("token", name="uq_mail_outbox_token"),
    )
    op.create_index("ix_mail_outbox_log", "mail_outbox", ["log"])
    op.create_index("ix_mail_outbox_due", "mail_outbox", ["state", "next_at"])
    op.create_table(
        "mail_alerts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("alert", sa.Integer, nullable=False),
    )
