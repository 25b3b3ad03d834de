"""Checkpoints (C2SP tlog-checkpoint v1.0.0): a log's size and head, as the text of a signed note. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from securepc.ledger import note
from securepc.ledger.note import CheckSignature, Note, NoteError, VerifierKey

_TREE = re.compile(r"[0-9a-f]{16}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
MAX_SIZE = 2**63 - 1
MAX_TIMESTAMP = 2**63 - 1


class Checkpoint(NamedTuple):
    """`origin` names the log, `root` is its RFC 6962 head at `size`."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note text, LF at its end."""
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode("ascii"), *self.extensions]
        return "".join(line + "\n" for line in lines)


def origin_of(log: bytes, tree: str = "") -> str:
    """The origin of one of our logs, from its 16-byte handle. A log that was restored from a backup grows
    another tree than before, which has a name of its own: `tree_name`."""
    return f"securepc/{log.hex()}/{tree}" if tree else f"securepc/{log.hex()}"


def tree_name(opening: bytes) -> str:
    """The name of the tree that a second `log` leaf opens, from the hash of the leaf's message."""
    return opening[:8].hex()


def is_tree_of(origin: str, log: bytes) -> bool:
    """Whether an origin is that of a tree with which a log went on after a restore."""
    first, _, name = origin.rpartition("/")
    return first == origin_of(log) and _TREE.fullmatch(name) is not None


def parse(text: str) -> Checkpoint:
    """Read a checkpoint's text.

    Raises:
        NoteError: any other spelling than `Checkpoint.text` gives.
    """
    if not text.endswith("\n"):
        raise NoteError("a checkpoint without its last line feed")
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):
        raise NoteError("not a checkpoint")
    size = int(lines[1])
    try:
        root = base64.b64decode(lines[2], validate=True)
    except ValueError:
        raise NoteError("a checkpoint with a malformed root") from None
    checkpoint = Checkpoint(lines[0], size, root, tuple(lines[3:]))
    if len(root) != 32 or size > MAX_SIZE or checkpoint.text != text:
        raise NoteError("a checkpoint in another spelling")
    return checkpoint


def sign(checkpoint: Checkpoint, key: VerifierKey, signer: Callable[[bytes], bytes]) -> str:
    """The signed note of a checkpoint."""
    return note.sign_note(checkpoint.text, key, signer)


def verify(data: bytes, key: VerifierKey, check: CheckSignature) -> Checkpoint:
    """Read a checkpoint that must be of this log: signed by its key, under its name.

    Raises:
        NoteError: malformed, of another log, or not signed by its key.
    """
    parsed, _ = note.verify(data, [key], check)
    checkpoint = parse(parsed.text)
    if checkpoint.origin != key.name:
        raise NoteError(f"a checkpoint of another log: {checkpoint.origin}")
    return checkpoint


class Cosignature(NamedTuple):
    """`time`: seconds since 1970 when the witness held this to be the log's largest consistent tree."""

    key: VerifierKey
    time: int


def cosigned_message(text: str, time: int) -> bytes:
    """What a witness signs (C2SP tlog-cosignature, Ed25519) for a checkpoint's text."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def cosign(text: str, key: VerifierKey, time: int, signer: Callable[[bytes], bytes]) -> str:
    """A witness's signature line for a checkpoint's text, LF included."""
    return note.signature_line(
        key.name, key.id, time.to_bytes(8, "big") + signer(cosigned_message(text, time))
    )


def cosignatures(
    signed: Note, witnesses: Iterable[VerifierKey], check: CheckSignature
) -> tuple[Cosignature, ...]:
    """The valid cosignatures of a checkpoint by known Ed25519 witnesses, in the order of its lines.

    Raises:
        NoteError: a known witness's line fails, or it has two.
    """
    known = {(key.name, key.id): key for key in witnesses if key.algorithm == note.COSIGNATURE}
    found: dict[VerifierKey, Cosignature] = {}
    for line in signed.signatures:
        key = known.get((line.name, line.key_id))
        if key is None:
            continue
        if key in found:
            raise NoteError(f"two cosignatures by {key.name}")
        time = int.from_bytes(line.payload[:8], "big")
        if time > MAX_TIMESTAMP or not check(
            key.public, cosigned_message(signed.text, time), line.payload[8:]
        ):
            raise NoteError(f"the cosignature of {key.name} does not verify")
        found[key] = Cosignature(key, time)
    return tuple(found.values())
