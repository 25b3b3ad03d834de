"""Time stamps that came, and how asking for them goes."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class Stamp(Base):
    """A time stamp that was verified when it came. Times in microseconds since 1970 UTC."""

    __tablename__ = "stamps"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # leaves that it covers
    time: Mapped[int]  # by the authority
    authority: Mapped[str]
    expires: Mapped[int]  # when its certificate ends
    text: Mapped[bytes]  # the checkpoint's text: what was stamped
    response: Mapped[bytes]  # TimeStampResp with the certificates, DER


class StampAttempt(Base):
    """The last time that an authority was asked. `since`: from when on a stamp is owed, which is when the
    last one came or the first was wanted; `failed`: how often in a row none came."""

    __tablename__ = "stamp_attempts"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    since: Mapped[int]
    at: Mapped[int]
    failed: Mapped[int]
    trouble: Mapped[str]  # a word of `client.NoStamp`, empty where one came
    detail: Mapped[str]
