"""Why a run failed, in Japanese too; what people asked for."""

import sqlalchemy as sa
from alembic import op

revision = "backup_0002"
down_revision = "backup_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table; what failed before is only known in English."""
    op.add_column("backup_runs", sa.Column("error_ja", sa.String, nullable=False, server_default=""))
    op.execute("UPDATE backup_runs SET error_ja = error")
    op.create_table(
        "backup_asked",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("at", sa.Integer, nullable=False),
    )
