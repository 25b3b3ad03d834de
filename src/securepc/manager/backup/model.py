"""What became of backups, and how much of each log a backup holds that was restored on trial."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class Run(Base):
    """A backup, or a test restore of one. `error` empty: it went well. Times are microseconds since 1970."""

    __tablename__ = "backup_runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]  # "backup" or "test"
    at: Mapped[int]
    ended_at: Mapped[int]
    number: Mapped[int]  # of the snapshot; 0 where it did not come so far
    moment: Mapped[int]  # when the snapshot was taken
    total: Mapped[int]  # bytes of all files
    sent: Mapped[int]  # bytes that were new
    error: Mapped[str]  # in English
    error_ja: Mapped[str]


class Held(Base):
    """The first `size` leaves of a log are in snapshot `number`, which was restored on trial at `at`."""

    __tablename__ = "backup_watermarks"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    size: Mapped[int]
    number: Mapped[int]
    at: Mapped[int]


class Asked(Base):
    """Somebody asked for a backup, or its test, at `at`: it is made, though the manager be killed first."""

    __tablename__ = "backup_asked"

    kind: Mapped[str] = mapped_column(primary_key=True)  # "backup" or "test"
    at: Mapped[int]
