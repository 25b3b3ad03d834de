"""Open the database, and the two ways to use it: `read` and `write`."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from securepc.manager.database import migrate

_COMMITTED = "committed"


class DatabaseFull(Exception):
    """There is no room on the disk; nothing was written."""


class Database:
    """One SQLite file. Thread-safe; sessions are not shared between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # One writer at a time: waiting for a lock here is fair and cheap, polling SQLite's is neither.
        self._writing = threading.RLock()
        self._engine = create_engine(
            f"sqlite:///{path}",
            connect_args={"timeout": 30, "check_same_thread": False},
            pool_size=32,
            max_overflow=64,
        )
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)
        path.touch(mode=0o600)
        migrate.upgrade(self._engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session on one consistent view; what it changes is thrown away, what it read stays readable."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session
            session.expunge_all()  # a rollback would empty them
            session.rollback()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that is durably committed at the end, or not at all when the block raises.

        Raises:
            DatabaseFull: no room on the disk.
        """
        with self._writing, Session(self._engine, expire_on_commit=False) as session:
            session.connection(execution_options={"writes": True})
            try:
                yield session
                session.commit()
                committed = session.info.pop(_COMMITTED, ())
            except OperationalError as error:
                session.rollback()
                if is_full(error.orig):
                    raise DatabaseFull(str(error.orig)) from None
                raise
        for call in committed:
            call()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nobody writes meanwhile: for taking one moment of several files. To be held for an instant only."""
        with self._writing:
            yield

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def after_commit(session: Session, call: Callable[[], None]) -> None:
    """Call this once what a `Database.write` session did is durable; not at all if it fails."""
    session.info.setdefault(_COMMITTED, []).append(call)


def is_full(error: BaseException | None) -> bool:
    """Whether SQLite says that the disk is full."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorname in (
        "SQLITE_FULL",
        "SQLITE_IOERR_WRITE",
    )


def _configure(connection: Any, _: Any) -> None:
    # SQLAlchemy begins and ends transactions itself (`_begin`): the driver's own idea starts them too late.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Any) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
