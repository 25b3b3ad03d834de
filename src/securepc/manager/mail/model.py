"""Tables of the mail context. Times are microseconds since 1970 UTC."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle

OPEN = ("waiting", "handed")


class Recipient(Base):
    """An account that wants mail, and where to."""

    __tablename__ = "mail_recipients"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle, index=True)
    address: Mapped[str] = mapped_column(String(254))
    since: Mapped[int] = mapped_column(BigInteger)


class Letter(Base):
    """One mail to one person. `state`: `waiting`, then `handed` from just before its text goes to the mail
    server until the server's answer is written down, then `sent`; `failed` when it was given up. `token`
    makes its Message-ID, which stays the same however often it is tried. `code` and `data` say what it is
    about; its text is made when it is sent."""

    __tablename__ = "mail_outbox"
    __table_args__ = (Index("ix_mail_outbox_due", "state", "next_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle, index=True)
    device: Mapped[bytes] = mapped_column(Handle)  # empty: of no device
    code: Mapped[str] = mapped_column(String(60))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    address: Mapped[str] = mapped_column(String(254))
    language: Mapped[str] = mapped_column(String(8))
    zone: Mapped[str] = mapped_column(String(64))
    token: Mapped[str] = mapped_column(String(32), unique=True)
    state: Mapped[str] = mapped_column(String(10))
    tries: Mapped[int]
    error: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[int] = mapped_column(BigInteger)
    next_at: Mapped[int] = mapped_column(BigInteger)
    sent_at: Mapped[int | None] = mapped_column(BigInteger)


class Mailed(Base):
    """Up to which alert (its id) mails were written."""

    __tablename__ = "mail_alerts"

    id: Mapped[int] = mapped_column(primary_key=True)  # one row: 1
    alert: Mapped[int]
