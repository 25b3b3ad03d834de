"""The console's side of codes read out by telephone."""

from __future__ import annotations

from sqlalchemy.orm import Session

from securepc.ledger.keys import KeyStore
from securepc.manager.audit import service as audit
from securepc.manager.devices.model import CodeKey
from securepc.manager.refusal import N_, Refusal
from securepc.wire import codes


def keep(session: Session, keys: KeyStore, device: bytes, first_mac_key: bytes) -> None:
    """At enrolment: keep the key."""
    session.add(CodeKey(device=device, key=keys.wrap(codes.key_of(first_mac_key), _context(device))))


def answer(
    session: Session,
    keys: KeyStore,
    log: bytes,
    device: bytes,
    purpose: str,
    challenge: str,
    details: str,
    *,
    actor: str,
    reason: str,
) -> str:
    """The code that answers a challenge, in groups of four; that it was issued is an entry.

    Args:
        session: of `Database.write`.
        purpose, details: as the PC has them: see `wire.codes`.
        challenge: as the administrator typed it.

    Raises:
        Refusal: the challenge was mistyped, or the PC was enrolled before there were codes.
    """
    row = session.get(CodeKey, device)
    if row is None:
        raise Refusal(N_("This PC was enrolled before there were codes. Enrol it anew."))
    try:
        said = codes.read(challenge, codes.CHALLENGE)
    except codes.Mistyped:
        raise Refusal(N_("The number that the PC shows was mistyped. Check it again.")) from None
    data = {
        "device": device.hex(),
        "purpose": purpose,
        "challenge": codes.show(said),
        "detail": details,
        "reason": reason,
    }
    audit.record(session, log, "admin.code", actor, data)
    return codes.show(codes.response(keys.unwrap(row.key, _context(device)), purpose, said, details))


def _context(device: bytes) -> bytes:
    return b"codes" + device
