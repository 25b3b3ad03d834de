"""Browsers that are signed in."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.accounts import secret
from securepc.manager.accounts.model import Account, SignedIn

IDLE = clock.HOUR
"""A session ends when nothing was asked for so long."""
LONGEST = 12 * clock.HOUR
"""And in any case after so long."""
_TOUCH = clock.MINUTE
"""How exactly the last use is known: a write for every request would be wasteful."""


class Entered(NamedTuple):
    """A new session: `secret` is for the browser's cookie and is kept nowhere else."""

    secret: str
    account: Account


def begin(session: Session, account: Account, *, address: str, browser: str, now: int) -> Entered:
    """Sign an account in, in the transaction of the caller. Ends what has expired of everybody's."""
    session.execute(delete(SignedIn).where(_expired(now)))
    token = secret.new()
    session.add(
        SignedIn(
            hash=secret.digest(token),
            account_id=account.id,
            created_at=now,
            seen_at=now,
            address=address[:64],
            browser=browser[:200],
        )
    )
    account.signed_in_at = now
    return Entered(token, account)


def find(session: Session, token: str, now: int) -> tuple[Account, SignedIn] | None:
    """The account that a cookie belongs to; None when it has ended, expired or never was."""
    found = session.execute(
        select(Account, SignedIn)
        .join(SignedIn, SignedIn.account_id == Account.id)
        .where(SignedIn.hash == secret.digest(token), Account.disabled_at.is_(None), ~_expired(now))
    ).first()
    return (found[0], found[1]) if found else None


def worn(signed_in: SignedIn, now: int) -> bool:
    """Whether the last use should be written down again."""
    return signed_in.seen_at + _TOUCH <= now


def touch(session: Session, hash_: bytes, now: int) -> None:
    """Write down that a session was used."""
    session.execute(update(SignedIn).where(SignedIn.hash == hash_).values(seen_at=now))


def end(session: Session, hash_: bytes) -> None:
    """Sign one browser out."""
    session.execute(delete(SignedIn).where(SignedIn.hash == hash_))


def end_all(session: Session, account_id: int, *, but: bytes | None = None) -> None:
    """Sign every browser of an account out, except perhaps the one that asks."""
    ended = delete(SignedIn).where(SignedIn.account_id == account_id)
    session.execute(ended.where(SignedIn.hash != but) if but else ended)


def of_account(session: Session, account_id: int, now: int) -> list[SignedIn]:
    """The living sessions of an account, the latest used first."""
    return list(
        session.scalars(
            select(SignedIn)
            .where(SignedIn.account_id == account_id, ~_expired(now))
            .order_by(SignedIn.seen_at.desc())
        )
    )


def _expired(now: int):  # type: ignore[no-untyped-def]  # an SQL expression
    return or_(SignedIn.seen_at <= now - IDLE, SignedIn.created_at <= now - LONGEST)
