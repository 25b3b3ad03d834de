"""Bring every context's tables to their newest version, one Alembic branch a context."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

_MANAGER = Path(__file__).parent.parent


def scripts() -> ScriptDirectory:
    """All migrations, of all contexts."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "newline")
    folders = sorted(str(path) for path in _MANAGER.glob("*/migrations") if path.is_dir())
    config.set_main_option("version_locations", "\n".join(folders))
    return ScriptDirectory.from_config(config)


def upgrade(engine: Engine) -> None:
    """Run what has not been run yet, in one transaction: all of it happens or none."""
    directory = scripts()
    with engine.connect() as connection:
        connection = connection.execution_options(writes=True)
        with connection.begin():
            context = MigrationContext.configure(
                connection,
                opts={
                    "fn": lambda revision, _: directory._upgrade_revs("heads", revision),
                    "script": directory,
                },
            )
            with Operations.context(context):
                context.run_migrations()
