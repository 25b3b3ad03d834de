"""A witness's folder: its key, its name, what it signed; and the logs that it follows, from a tlog-policy
file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from securepc.ledger import note
from securepc.ledger.note import VerifierKey
from securepc.verify import trust
from securepc.wire.keys import SigningKey
from securepc.witness.cosigner import Cosigner
from securepc.witness.store import Store

KEY, STORE = "witness.key", "witness.sqlite"
_PREFIX = "securepc witness key v1\n"


class NotAWitness(Exception):
    """The folder or the policy can't be used; says why."""


def open_cosigner(folder: Path, policy: Path, name: str | None = None) -> Cosigner:
    """The witness of a folder, made at the first start. `name` (a domain, say) is then settled for ever.

    Raises:
        NotAWitness: another name than before, a damaged key or store, or a policy without logs.
        trust.TrustError, OSError: the policy can't be read.
    """
    logs = [key for key in trust.load(policy).policy.logs if key.algorithm == note.ED25519]
    if not logs:
        raise NotAWitness(f"{policy} names no log with an Ed25519 key")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settled, key = _key(folder / KEY, folder / STORE, name)
    return Cosigner(settled, key, _by_origin(logs), Store(folder / STORE))


def _by_origin(logs: list[VerifierKey]) -> dict[str, VerifierKey]:
    """A log's key is named after its origin (tlog-checkpoint)."""
    by_origin = {key.name: key for key in logs}
    if len(by_origin) < len(logs):
        raise NotAWitness("two keys of one log: this witness would not know which one to ask for")
    return by_origin


def _key(path: Path, store: Path, name: str | None) -> tuple[str, SigningKey]:
    try:
        text = path.read_text("ascii")
    except FileNotFoundError:
        if store.exists():
            raise NotAWitness(f"{path} is gone, and {store} is still there: bring the key back") from None
        return _new_key(path, name)
    except UnicodeDecodeError:
        text = ""
    lines = text.removeprefix(_PREFIX).split("\n")
    if not text.startswith(_PREFIX) or len(lines) != 3 or lines[2] or len(lines[1]) != 64:
        raise NotAWitness(f"{path} is damaged")
    if name is not None and name != lines[0]:
        raise NotAWitness(f"this witness is called {lines[0]}; its name cannot change")
    try:
        return lines[0], SigningKey(bytes.fromhex(lines[1]))
    except ValueError:
        raise NotAWitness(f"{path} is damaged") from None


def _new_key(path: Path, name: str | None) -> tuple[str, SigningKey]:
    name = name or f"securepc-witness/{secrets.token_hex(4)}"
    if not note.valid_name(name) or not name.isascii():
        raise NotAWitness("a witness's name has no spaces and no plus sign")
    key = SigningKey.generate()
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(f"{_PREFIX}{name}\n{key.seed.hex()}\n".encode("ascii"))
        file.flush()
        os.fsync(fd)
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return name, key
