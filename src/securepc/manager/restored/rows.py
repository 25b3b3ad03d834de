"""What is written down of logs that wait, and whose word it was."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from securepc.manager.restored.model import RestoredLog

ALONE, LATE = "time", "late"
"""Whose word it was, where it was nobody's."""
OLDER = "older"
"""Not a word but the want of one: an older state was started, and it is for people to say what is lost."""


def waits(session: Session, log: bytes) -> str | None:
    """Whether a log waits: None where it does not, `OLDER` where an older state was started, else empty or
    whose word it has."""
    row = open_row(session, log)
    return None if row is None else row.word


def give_word(session: Session, log: bytes, actor: str) -> bool:
    """Somebody who may says: wait no longer. False where the log does not wait."""
    row = open_row(session, log)
    if row is None:
        return False
    if row.word in ("", OLDER):
        row.word = actor
    return True


def open_row(session: Session, log: bytes) -> RestoredLog | None:
    """The row of a log that waits, or whose keys are still brought."""
    query = select(RestoredLog).where(RestoredLog.log == log, RestoredLog.opened_at.is_(None))
    return session.scalar(query.order_by(RestoredLog.at.desc()).limit(1))


def new_row(log: bytes, at: int, kept: int) -> RestoredLog:
    """Nothing decided yet; `kept`: the leaves that are here."""
    return RestoredLog(log=log, at=at, kept=kept, prepared=False, word="", leaf=None, opened_at=None)
