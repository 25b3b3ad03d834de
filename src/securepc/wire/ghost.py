"""The Ghost Drive's keys and what PC and manager say to each other about them. Pure
(docs/formats/ghost.md).

    key of a slot = HKDF(device share || manager share || PIN key or nothing, "securepc/ghost/key/v1" …)

The device share lies on the PC, the manager share at the manager, and neither is worth anything alone. A PIN
is stretched (argon2id, so each guess costs); one half proves it to the manager, which counts the tries, the
other half goes into the key where the policy asks for the PIN everywhere.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from securepc.wire import codes, keys
from securepc.wire.shapes import prepared
from securepc.wire.signed import canonical, documents
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode

KIND = "ghost-share"
SHARE = 32
SALT = 16
SEALED = 80
"""Bytes of a share in a sealed box."""
CODE = 20
"""Characters of an emergency code: 19 of 5 random bits, and one to check them."""
MIN_PIN, MAX_PIN = 6, 64
_OPERATIONS, _MEMORY = 3, 64 * 1024 * 1024
_SHEET = b"securepc/ghost/sheet/v1"

Word = Annotated[str, Meta(max_length=200)]
Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Box = Annotated[str, Meta(min_length=44, max_length=44)]  # base64 of 32 bytes
Purpose = Annotated[str, Meta(pattern="^(make|open|renew|pin|turn|retire)$")]


@prepared
class ShareRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`POST ghost/share`: a PC asks for the manager's share.

    `counter` rises with every request that this PC ever makes, over restarts too; `to` is an X25519 key made
    for this request; `held` are the generations its drive has slots for, none before it is made; `facts` is
    what it sees of its network. `proof` and `new_proof` are a PIN's (base64 of 32 bytes), empty for none.
    """

    boot: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    up: Number
    counter: Number
    purpose: Purpose
    network: Word
    to: Box
    held: Annotated[tuple[Number, ...], Meta(max_length=8)] = ()
    facts: Annotated[dict[Word, Word], Meta(max_length=20)] = {}
    proof: Annotated[str, Meta(max_length=44)] = ""
    new_proof: Annotated[str, Meta(max_length=44)] = ""


class Share(NamedTuple):
    """A manager share that came to this PC."""

    generation: int
    secret: bytes


class Released(NamedTuple):
    """The manager's answer: `seconds` from now the shares are good; the drive is to have a slot for
    `generation` and no other from now on."""

    seconds: float
    generation: int
    shares: tuple[Share, ...]


class File(NamedTuple):
    """A file in a drive: its path in it, bytes, and when it was changed (microseconds UTC)."""

    path: str
    size: int
    modified: int


class Pin(NamedTuple):
    """A stretched PIN: what proves it, and what goes into keys."""

    proof: bytes
    key: bytes


def stretch(pin: str, salt: bytes) -> Pin:
    """Stretch a PIN: takes a good part of a second, and 64 MiB meanwhile.

    Args:
        salt: 16 bytes of this drive.
    """
    from nacl import pwhash  # only where a PIN is used

    secret = pwhash.argon2id.kdf(32, pin.encode("utf-8"), salt, opslimit=_OPERATIONS, memlimit=_MEMORY)
    return Pin(
        keys.hkdf(secret, b"securepc/ghost/pin-proof/v1"), keys.hkdf(secret, b"securepc/ghost/pin-key/v1")
    )


def proof_hash(proof: bytes) -> bytes:
    """What the manager keeps of a PIN."""
    return hashlib.sha256(b"securepc/ghost/pin/v1" + proof).digest()


def slot_key(device_share: bytes, share: Share, log: bytes, device: bytes, pin: bytes = b"") -> bytes:
    """The 32 bytes that open a drive's slot.

    Args:
        pin: the PIN's key where the slot needs it.
    """
    info = b"securepc/ghost/key/v1" + log + device + share.generation.to_bytes(8, "big") + bytes([bool(pin)])
    return keys.hkdf(device_share + share.secret + pin, info)


def read_answer(frame: dict[str, object], body: bytes, key: keys.BoxKey) -> Released:
    """The shares in an answer whose signature was checked.

    Args:
        frame: the document of kind `ghost-share`.
        body: of the request, as it was sent; `key` the one made for it.

    Raises:
        Malformed: it answers another request, or does not open.
    """
    value = frame
    asked = documents.b64encode(hashlib.sha256(body).digest())
    at, until, boxes = value["at"], value["until"], value["shares"]
    if value["request"] != asked or not isinstance(at, int) or not isinstance(until, int):
        raise Malformed("an answer to another request")
    found = []
    assert isinstance(boxes, list)
    for one in boxes:
        try:
            secret = key.unseal(b64decode(one["box"], SEALED))
        except ValueError as error:
            raise Malformed(str(error)) from None
        if len(secret) != SHARE:
            raise Malformed("not a share")
        found.append(Share(one["generation"], secret))
    generation = value["generation"]
    assert isinstance(generation, int)
    return Released(max(0, until - at) / 1e6, generation, tuple(found))


# The emergency sheet.


def new_code() -> str:
    """A code of 95 random bits in its one spelling."""
    return codes.new(CODE)


def seal_sheet(code: str, share: Share, log: bytes, device: bytes) -> bytes:
    """The share under an emergency code, to lie on the PC until it is needed."""
    plain = canonical.encode({"generation": share.generation, "share": documents.b64encode(share.secret)})
    return keys.encrypt(_sheet_key(code, log, device), plain, purpose=_SHEET)


def open_sheet(code: str, blob: bytes, log: bytes, device: bytes) -> Share:
    """Undo `seal_sheet`.

    Raises:
        ValueError: another code or another sheet.
    """
    value = canonical.decode(keys.decrypt(_sheet_key(code, log, device), blob, purpose=_SHEET), limit=1_000)
    return Share(value["generation"], b64decode(value["share"], SHARE))


def _sheet_key(code: str, log: bytes, device: bytes) -> bytes:
    return keys.hkdf(code.encode("ascii"), _SHEET + log + device)


# What is in a drive.

MAX_FILES = 20_000
MAX_PAGE = 500
MAX_PATH = 1_000


@prepared
class ContentsPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the list of a drive's files; `list` names the list, `part` counts from 0; with `last` it
    takes the place of the one before. `more`: how many files are not listed."""

    list: Number
    part: Annotated[int, Meta(ge=0, le=MAX_FILES // MAX_PAGE)]
    last: bool
    at: Number
    more: Number = 0
    files: Annotated[
        tuple[tuple[Annotated[str, Meta(min_length=1, max_length=MAX_PATH)], Number, Number], ...],
        Meta(max_length=MAX_PAGE),
    ]
