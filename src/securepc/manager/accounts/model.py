"""Tables of the accounts context. Times are microseconds since 1970 UTC; secrets are kept as hashes only."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle

Role = Literal["auditor", "admin", "owner"]
ROLES: tuple[Role, ...] = ("auditor", "admin", "owner")
"""From the least to the most: each may do all that those before it may."""

_Hash = LargeBinary(32)


def covers(held: str, needed: Role) -> bool:
    """Whether the role that is held is enough where another is needed. An unknown role is never enough."""
    return held in ROLES[ROLES.index(needed) :]


class Account(Base):
    """A person who administers one agency (`log`: the handle of its log). `login` is unique in the whole
    manager, and folded (service.fold). Without a password the only way in is a sign-in link."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle, index=True)
    login: Mapped[str] = mapped_column(String(100), unique=True)
    person: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(16))
    password: Mapped[str | None] = mapped_column(String(200))  # argon2id in PHC form
    language: Mapped[str] = mapped_column(String(8))  # empty: not chosen, the browser's
    zone: Mapped[str] = mapped_column(String(64))  # an IANA name
    created_at: Mapped[int] = mapped_column(BigInteger)
    signed_in_at: Mapped[int | None] = mapped_column(BigInteger)
    disabled_at: Mapped[int | None] = mapped_column(BigInteger)


class SignInLink(Base):
    """A link that signs one account in, once. `hash` is SHA-256 of its random 256 bits."""

    __tablename__ = "sign_in_links"

    hash: Mapped[bytes] = mapped_column(_Hash, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    sets_password: Mapped[bool]
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    used_at: Mapped[int | None] = mapped_column(BigInteger)


class SignedIn(Base):
    """A browser that is signed in. `hash` is SHA-256 of its cookie's random 256 bits."""

    __tablename__ = "sessions"

    hash: Mapped[bytes] = mapped_column(_Hash, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[int] = mapped_column(BigInteger, index=True)
    address: Mapped[str] = mapped_column(String(64))
    browser: Mapped[str] = mapped_column(String(200))


class ApiToken(Base):
    """A bearer token for programs: an auditor's tools, or the command line of this machine."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[bytes] = mapped_column(_Hash, unique=True)
    log: Mapped[bytes] = mapped_column(Handle, index=True)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)


class Attempt(Base):
    """Sign-ins tried and not succeeded, counted under a hash of whom and from where."""

    __tablename__ = "sign_in_attempts"
    __table_args__ = (Index(None, "since"),)

    key: Mapped[bytes] = mapped_column(_Hash, primary_key=True)
    count: Mapped[int]
    since: Mapped[int] = mapped_column(BigInteger)
