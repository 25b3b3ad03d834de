"""The manager's own tables: SQLAlchemy 2 on SQLite (WAL, synchronous=FULL), versioned by Alembic.

Every context declares its tables in its `model.py` on `Base`, and writes only its own. Its migrations are
in its folder `migrations/`, a branch of their own that starts at `down_revision = None`; opening the
database brings every branch to its head.
"""

from securepc.manager.database.base import Base, Handle
from securepc.manager.database.engine import Database, DatabaseFull, after_commit

__all__ = ["Base", "Database", "DatabaseFull", "Handle", "after_commit"]
