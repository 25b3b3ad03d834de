"""Keys: which one a notice is about."""

import sqlalchemy as sa
from alembic import op

revision = "keyring_0002"
down_revision = "keyring_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of notices of before it is not known."""
    op.add_column("key_notices", sa.Column("name", sa.String, nullable=False, server_default=""))
