"""The database: migrations give what the models say, a transaction is whole or nothing."""

from __future__ import annotations

import importlib
import importlib.util
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from securepc.manager import app
from securepc.manager.database import Base, Database, migrate
from securepc.manager.devices.model import Agency


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "m.sqlite")


def test_migrations_make_the_models_tables(database: Database) -> None:
    for context in app.CONTEXTS:
        name = f"securepc.manager.{context}.model"
        if importlib.util.find_spec(name):
            importlib.import_module(name)
    with database._engine.connect() as connection:
        context_ = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context_, Base.metadata) == []
        scripts = migrate.scripts()
        found = set(context_.get_current_heads())
        for name in list(found):  # what another one depends on is not named beside it
            found |= set(scripts.get_revision(name)._resolved_dependencies)
        assert found == set(scripts.get_heads())


def test_opening_again_changes_nothing(database: Database, tmp_path: Path) -> None:
    database.close()
    before = sqlite3.connect(tmp_path / "m.sqlite").execute("SELECT sql FROM sqlite_master").fetchall()
    Database(tmp_path / "m.sqlite").close()
    assert (
        sqlite3.connect(tmp_path / "m.sqlite").execute("SELECT sql FROM sqlite_master").fetchall() == before
    )
    assert (tmp_path / "m.sqlite").stat().st_mode & 0o077 == 0


def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(ValueError, match="stop"), database.write() as session:
        session.add(Agency(log=bytes(16), name="x", created_at=0))
        session.flush()
        raise ValueError("stop")
    with database.read() as session:
        assert session.scalar(select(Agency)) is None
        session.add(Agency(log=bytes(16), name="y", created_at=0))
        session.flush()
    with database.read() as session:
        assert session.scalar(select(Agency)) is None, "a read keeps nothing"


def test_durable_and_private(database: Database) -> None:
    with database._engine.connect() as connection:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
