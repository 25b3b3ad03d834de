"""Signed notes (C2SP signed-note): a text and signature lines by named keys. Pure.

    text LF LF "— <name> <base64(key id || signature)>" LF …

A note is read in one spelling only. Lines by keys that are not asked for are kept but mean nothing;
a line by a known key that fails makes the whole note worthless.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

ED25519 = 0x01
COSIGNATURE = 0x04
ML_DSA_44 = 0x06
_KEY_SIZES = {ED25519: 32, COSIGNATURE: 32, ML_DSA_44: 1312}
MAX_NOTE = 1_000_000
MAX_SIGNATURES = 100
_DASH = "— "

CheckSignature = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) → is it valid."""


class NoteError(ValueError):
    """Not a note, or not signed by whom it must be."""


class VerifierKey(NamedTuple):
    """A C2SP verifier key: `name+<8 hex of the key id>+base64(type || public key)`."""

    name: str
    algorithm: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The 4-byte key id."""
        return key_id(self.name, self.algorithm, self.public)

    def __str__(self) -> str:
        data = bytes([self.algorithm]) + self.public
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(data).decode('ascii')}"


class SignatureLine(NamedTuple):
    """One signature line; `payload` is what follows the key id."""

    name: str
    key_id: bytes
    payload: bytes


class Note(NamedTuple):
    """A note taken apart; `text` ends with LF."""

    text: str
    signatures: list[SignatureLine]


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """SHA-256(name || LF || type || public key), first 4 bytes."""
    return hashlib.sha256(name.encode("utf-8") + b"\n" + bytes([algorithm]) + public).digest()[:4]


def valid_name(name: str) -> bool:
    """Whether a key may be called so: not empty, no white space, no plus sign, no control character, and
    nothing that UTF-8 has no bytes for."""
    return bool(name) and not any(
        c == "+" or c.isspace() or c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in name
    )


def parse_key(text: str) -> VerifierKey:
    """Read a verifier key: Ed25519, or a cosigner's Ed25519 or ML-DSA-44 (tlog-cosignature).

    ML-DSA-44 keys are known so that they can be named; nothing here verifies their signatures.

    Raises:
        NoteError: another spelling, a wrong key id, or a key of another type.
    """
    parts = text.split("+", 2)
    if len(parts) != 3 or not valid_name(parts[0]) or len(parts[1]) != 8:
        raise NoteError("not a verifier key")
    data = _base64(parts[2])
    if not data or len(data) - 1 != _KEY_SIZES.get(data[0]):
        raise NoteError("a verifier key of a type that is not known here")
    key = VerifierKey(parts[0], data[0], data[1:])
    if str(key) != text:
        raise NoteError("a verifier key whose id does not match")
    return key


def sign_note(text: str, key: VerifierKey, sign: Callable[[bytes], bytes]) -> str:
    """A note over `text` (ending with LF) with one Ed25519 signature."""
    return f"{text}\n{signature_line(key.name, key.id, sign(text.encode('utf-8')))}"


def signature_line(name: str, identity: bytes, payload: bytes) -> str:
    """One signature line, LF included."""
    return f"{_DASH}{name} {base64.b64encode(identity + payload).decode('ascii')}\n"


def parse(data: bytes) -> Note:
    """Take a note apart; verifies nothing.

    Raises:
        NoteError: not a note in its one spelling.
    """
    if len(data) > MAX_NOTE:
        raise NoteError("a note of over 1 MB")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("a note that is not UTF-8") from None
    if any(c < " " and c != "\n" for c in whole):
        raise NoteError("a note with control characters")
    text, separator, tail = whole.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise NoteError("a note without signatures")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError("a note with too many signatures")
    return Note(text + "\n", [_parse_line(line) for line in lines])


def verify(data: bytes, keys: Iterable[VerifierKey], check: CheckSignature) -> tuple[Note, list[VerifierKey]]:
    """Read a note and check its signatures by known Ed25519 keys.

    Gives the note and the keys that signed it.

    Raises:
        NoteError: malformed, a known key's signature fails, or none of the keys signed.
    """
    note = parse(data)
    known = {(key.name, key.id): key for key in keys if key.algorithm == ED25519}
    signed: list[VerifierKey] = []
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is None:
            continue
        if key in signed:
            raise NoteError(f"two signatures by {key.name}")
        if not check(key.public, note.text.encode("utf-8"), line.payload):
            raise NoteError(f"the signature of {key.name} does not verify")
        signed.append(key)
    if not signed:
        raise NoteError("not signed by any of the keys that are trusted here")
    return note, signed


def _parse_line(line: str) -> SignatureLine:
    if not line.startswith(_DASH):
        raise NoteError("a note with a malformed signature line")
    name, space, payload = line.removeprefix(_DASH).partition(" ")
    if not space or not valid_name(name):
        raise NoteError("a note with a malformed signature line")
    data = _base64(payload)
    if len(data) < 5:
        raise NoteError("a note with a malformed signature line")
    return SignatureLine(name, data[:4], data[4:])


def _base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise NoteError("not base64") from None
    if base64.b64encode(data).decode("ascii") != text:
        raise NoteError("base64 in another spelling")
    return data
