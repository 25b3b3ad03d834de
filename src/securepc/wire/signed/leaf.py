"""The frame of a signed message: context line, body, Ed25519 signature (docs/formats/signed.md).

    leaf    = message || signature            signature: 64 bytes, Ed25519 (RFC 8032) over `message`
    message = "securepc/<kind>/v<n>" LF || body

The context line is part of what is signed, so a signature of one kind is never one of another. The
body is binary for batches and blocks, canonical JSON for all else. A leaf of a log is such a frame,
at most 65,535 bytes long (C2SP tlog-tiles, entry bundles).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from securepc.wire.signed.canonical import Malformed

MAX_LEAF = 65_535
SIGNATURE_SIZE = 64
MAX_KIND = 24

CheckSignature = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) → is it valid. Given by the caller: PyNaCl, or the pure RFC 8032."""


class Leaf(NamedTuple):
    """A signed message taken apart; `message` and `signature` are slices of the bytes received."""

    kind: str
    version: int
    body: bytes
    message: bytes
    signature: bytes


def context(kind: str, version: int = 1) -> bytes:
    """The line that starts every message of a kind, LF included."""
    return f"securepc/{kind}/v{version}\n".encode("ascii")


def frame(kind: str, body: bytes, sign: Callable[[bytes], bytes], version: int = 1) -> bytes:
    """Sign a body as a kind and give the whole leaf.

    Raises:
        Malformed: the leaf would be over 65,535 bytes.
    """
    message = context(kind, version) + body
    leaf = message + sign(message)
    if len(leaf) > MAX_LEAF:
        raise Malformed(f"a {kind} of {len(leaf)} bytes; {MAX_LEAF} are allowed")
    return leaf


def split(leaf: bytes) -> Leaf:
    """Take a leaf apart. Checks the frame only, neither the body nor the signature.

    Raises:
        Malformed: too long, too short, or no proper context line.
    """
    if len(leaf) > MAX_LEAF:
        raise Malformed("a leaf of over 65,535 bytes")
    message, signature = leaf[:-SIGNATURE_SIZE], leaf[-SIGNATURE_SIZE:]
    line, newline, body = message.partition(b"\n")
    if not newline:
        raise Malformed("a leaf without a context line")
    prefix, _, rest = line.partition(b"/")
    kind, _, version = rest.partition(b"/v")
    if (
        prefix != b"securepc"
        or len(kind) > MAX_KIND
        or not kind.replace(b"-", b"").isalpha()
        or not kind.islower()
        or not (version.isdigit() and version[:1] != b"0" and len(version) <= 4)
    ):
        raise Malformed("a leaf with an unknown context line")
    return Leaf(kind.decode("ascii"), int(version), body, message, signature)


def body_of(leaf: bytes, kind: str, public_key: bytes, check: CheckSignature, version: int = 1) -> bytes:
    """The body of a leaf that must be of this kind and signed by this key.

    Raises:
        Malformed: another kind or version, or a signature that does not verify.
    """
    parts = split(leaf)
    if parts.kind != kind or parts.version != version:
        raise Malformed(f"expected securepc/{kind}/v{version}, found securepc/{parts.kind}/v{parts.version}")
    if not check(public_key, parts.message, parts.signature):
        raise Malformed(f"the signature of a {kind} does not verify")
    return parts.body


def signed_by(leaf: bytes, kind: str, public_key: bytes, check: CheckSignature) -> bool:
    """Whether a leaf is of this kind and signed by this key."""
    try:
        body_of(leaf, kind, public_key, check)
    except Malformed:
        return False
    return True
