"""Random secrets that a person or a program holds, and the hashes that the manager keeps of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

BYTES = 32
MAX_TEXT = 100


def new(prefix: str = "") -> str:
    """A new secret of 256 random bits, as text that fits a URL or a header."""
    return prefix + secrets.token_urlsafe(BYTES)


def digest(secret: str) -> bytes:
    """What is kept of a secret: 32 bytes. A plain hash is enough, since 256 random bits can't be guessed,
    and looking a hash up tells nothing of the secret by its timing."""
    return hashlib.sha256(b"securepc/secret" + secret[:MAX_TEXT].encode("utf-8", "replace")).digest()


def csrf(session_secret: str) -> str:
    """The token that this session's forms carry: known to pages of ours, not to those of others."""
    mac = hmac.digest(session_secret.encode("utf-8", "replace"), b"securepc/csrf", "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode("ascii")


def same(left: str, right: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))
