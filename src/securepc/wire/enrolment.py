"""The enrolment token: what an owner pastes on a new PC (docs/formats/enrolment.md).

`spc1_` followed by base64url (no padding) of canonical JSON: the manager's address, the fingerprint of
its identity key, the agency's log and a secret with a use count and an expiry kept by the manager.
"""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple

from securepc.wire.signed import canonical, documents
from securepc.wire.signed.canonical import Malformed

PREFIX = "spc1_"
MAX_TOKEN = 1_000


class Token(NamedTuple):
    """`identity` is the fingerprint of the manager's identity key, which outlives TLS certificates."""

    address: str
    identity: bytes
    log: bytes
    secret: bytes


def fingerprint(identity_key: bytes) -> bytes:
    """SHA-256("securepc/identity" || public key)."""
    return hashlib.sha256(b"securepc/identity" + identity_key).digest()


def encode(token: Token) -> str:
    """The text of a token."""
    value = {
        "address": token.address,
        "identity": documents.b64encode(token.identity),
        "log": token.log.hex(),
        "secret": documents.b64encode(token.secret),
    }
    return PREFIX + base64.urlsafe_b64encode(canonical.encode(value)).decode("ascii").rstrip("=")


def decode(text: str) -> Token:
    """Read a token.

    Raises:
        Malformed: it is not one, whole and unchanged.
    """
    text = text.strip()
    if not text.startswith(PREFIX) or len(text) > MAX_TOKEN:
        raise Malformed("not an enrolment token")
    body = text.removeprefix(PREFIX)
    try:
        data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except ValueError:
        raise Malformed("not an enrolment token") from None
    value = canonical.decode(data, limit=MAX_TOKEN)
    fields = documents.record(
        {
            "address": documents.text(300),
            "identity": documents.HASH,
            "log": documents.handle,
            "secret": documents.base64_of(24),
        }
    )
    if not fields(value) or not value["address"].startswith(("https://", "http://")):
        raise Malformed("not an enrolment token")
    return Token(
        value["address"],
        documents.b64decode(value["identity"]),
        bytes.fromhex(value["log"]),
        documents.b64decode(value["secret"]),
    )
