"""Logs that were restored, and the checkpoints of them that PCs and witnesses showed."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from securepc.manager.database import Base, Handle


class RestoredLog(Base):
    """A log waits for its successor, or has it. Times are microseconds since 1970 UTC.

    `kept`: the leaves that it had; `prepared`: the manager has a device of its own anew, and policies of a
    higher epoch; `word`: who had the successor opened without waiting on, or why it waits (`service`);
    `leaf`: what opens it, once that is decided.
    """

    __tablename__ = "restored_logs"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    at: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kept: Mapped[int]
    prepared: Mapped[bool]
    word: Mapped[str]
    leaf: Mapped[bytes | None]
    opened_at: Mapped[int | None]


def restored_at(session: Session, log: bytes) -> int:
    """When a log was restored last, microseconds since 1970 UTC; 0 where it never was. What is numbered on a
    manager that forgot its last numbers goes on from there."""
    return session.scalar(select(func.max(RestoredLog.at)).where(RestoredLog.log == log)) or 0


class ShownCheckpoint(Base):
    """The last checkpoint that a PC (its handle), a witness (its verifier key) or the place of the backups
    showed, checked. `size` is 0 where it had none."""

    __tablename__ = "restored_shown"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    who: Mapped[str] = mapped_column(primary_key=True)
    origin: Mapped[str]
    size: Mapped[int]
    root: Mapped[bytes]
    at: Mapped[int]
