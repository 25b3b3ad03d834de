"""Enrolment tokens: made by an administrator, used by PCs (docs/formats/enrolment.md)."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.audit import service as audit
from securepc.manager.devices.model import EnrolmentToken
from securepc.manager.ingest.refusals import refuse
from securepc.wire import enrolment

MAX_USES = 1_000
MAX_DAYS = 366
_SECRET_SIZE = 24


def create(
    session: Session,
    log: bytes,
    *,
    address: str,
    identity: bytes,
    label: str,
    uses: int,
    lifetime: int,
    approval: bool,
    actor: str,
) -> str:
    """A new token's text; its secret is not kept.

    Args:
        session: of `Database.write`.
        address: the manager's URL.
        identity: the manager's identity public key.
        uses: how many PCs may enrol with it.
        lifetime: microseconds.
        approval: an administrator must agree to each PC.

    Raises:
        ValueError: uses or lifetime out of range.
    """
    if not 1 <= uses <= MAX_USES or not clock.MINUTE <= lifetime <= MAX_DAYS * clock.DAY:
        raise ValueError("uses or lifetime of an enrolment token out of range")
    secret = secrets.token_bytes(_SECRET_SIZE)
    now = clock.now()
    session.add(
        EnrolmentToken(
            log=log,
            secret_hash=_hash(secret),
            label=label[:100],
            uses=uses,
            used=0,
            approval=approval,
            created_at=now,
            created_by=actor,
            expires_at=now + lifetime,
        )
    )
    data = {"count": uses, "expires": now + lifetime, "label": label[:100], "approval": approval}
    audit.record(session, log, "admin.token", actor, data)
    return enrolment.encode(enrolment.Token(address, enrolment.fingerprint(identity), log, secret))


def find(session: Session, secret: bytes) -> EnrolmentToken:
    """The token with this secret.

    Raises:
        ApiError: token-unknown.
    """
    wanted = _hash(secret)
    # The index finds by hash, so timing tells about hashes only; the comparison is constant-time regardless.
    row = session.scalar(select(EnrolmentToken).where(EnrolmentToken.secret_hash == wanted))
    if row is None or not hmac.compare_digest(row.secret_hash, wanted):
        raise refuse("token-unknown")
    return row


def use(session: Session, token: EnrolmentToken) -> None:
    """Use a token up by one.

    Raises:
        ApiError: token-expired, token-used.
    """
    if token.expires_at <= clock.now():
        raise refuse("token-expired")
    taken = session.execute(
        update(EnrolmentToken)
        .where(EnrolmentToken.id == token.id, EnrolmentToken.used < EnrolmentToken.uses)
        .values(used=EnrolmentToken.used + 1)
        .returning(EnrolmentToken.id)
    ).first()
    if taken is None:
        raise refuse("token-used")


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(b"securepc/enrolment-secret" + secret).digest()
