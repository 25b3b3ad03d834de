"""How often somebody may try to sign in. Tries are counted before the password is looked at, so that a
hundred at once get no further than a hundred in a row."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import NamedTuple

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.accounts.model import Attempt
from securepc.manager.refusal import N_, Refusal


class TooMany(Refusal):
    """Tried too often; `retry_after` is in seconds."""

    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            N_("Too many attempts. Try again in %(minutes)d minutes."), minutes=-(-retry_after // 60)
        )
        self.retry_after = retry_after


class Limit(NamedTuple):
    """At most `tries` in `window` microseconds."""

    tries: int
    window: int


PAIR = Limit(5, 15 * clock.MINUTE)
"""Of one account, from one address."""
LOGIN = Limit(50, clock.HOUR)
"""Of one account, from anywhere."""
ADDRESS = Limit(100, clock.HOUR)
"""From one address, whatever the account."""


def take(session: Session, login: str, address: str, now: int) -> None:
    """Count a try, or refuse it. In the transaction of the caller.

    Raises:
        TooMany: one of the three limits is reached.
    """
    limits = _limits(login, address)
    for key, limit in limits.items():
        row = session.get(Attempt, key)
        if row and row.since + limit.window > now and row.count >= limit.tries:
            raise TooMany((row.since + limit.window - now) // clock.SECOND + 1)
    for key, limit in limits.items():
        row = session.get(Attempt, key)
        if row is None:
            session.add(Attempt(key=key, count=1, since=now))
        elif row.since + limit.window <= now:
            row.count, row.since = 1, now
        else:
            row.count += 1


def forgive(session: Session, login: str, address: str) -> None:
    """The try succeeded: it counts no more, nor do the person's earlier ones from there."""
    pair, *others = _limits(login, address)
    session.execute(delete(Attempt).where(Attempt.key == pair))
    session.execute(
        update(Attempt).where(Attempt.key.in_(others), Attempt.count > 0).values(count=Attempt.count - 1)
    )


def forget_old(session: Session, now: int) -> None:
    """Drop what no limit looks at any more."""
    session.execute(delete(Attempt).where(Attempt.since < now - LOGIN.window))


def mark(session: Session, login: str, address: str) -> int:
    """How often this account was tried from this address; writes in any case (see sign_in)."""
    pair = next(iter(_limits(login, address)))
    marked = update(Attempt).where(Attempt.key == pair).values(count=Attempt.count)
    return session.scalar(marked.returning(Attempt.count)) or 0


def _limits(login: str, address: str) -> dict[bytes, Limit]:
    place = _place(address)
    return {
        _key("pair", login, place): PAIR,
        _key("login", login): LOGIN,
        _key("address", place): ADDRESS,
    }


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).digest()


def _place(address: str) -> str:
    """IPv6 hands out whole /64 networks: they count as one place."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
