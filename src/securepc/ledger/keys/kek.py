"""The key-encryption key that wraps every secret of the key store, and where it comes from.

- `credential`: `$CREDENTIALS_DIRECTORY/securepc-kek`, as systemd's LoadCredential= gives it
- `passphrase`: the file that `SECUREPC_PASSPHRASE_FILE` names, or a prompt, through Argon2id
- `file`: only where neither is given, a file beside the store that its owner alone may read: this keeps
  the secrets out of copies of the store, not from whoever copies the whole folder
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nacl import pwhash

from securepc.ledger.draft import drafted
from securepc.wire.keys import hkdf
from securepc.wire.signed.documents import b64decode, b64encode

CREDENTIAL = "securepc-kek"
KEK_FILE = "kek"
_FILE = re.compile(r"kek(-[0-9a-f]{8})?")
MIN_CREDENTIAL = 32
MAX_SOURCE = 64 * 1024
Ask = Callable[[], bytes]
"""Asks a person for the passphrase."""


class KekError(Exception):
    """The key-encryption key cannot be had, or is not the one of this store. The message says why."""


def choose(
    folder: Path, environ: Mapping[str, str], ask: Ask | None, *, name: str = KEK_FILE
) -> tuple[dict[str, Any], bytes]:
    """Decide where a new store's key comes from; gives what to remember of it, and the key.

    Args:
        name: of the file that is made where nothing else is given.

    Raises:
        KekError: a source is named but gives nothing usable.
    """
    if _credential(environ) is not None:
        source: dict[str, Any] = {"source": "credential"}
    elif "SECUREPC_PASSPHRASE_FILE" in environ or ask is not None:
        source = {
            "source": "passphrase",
            "salt": b64encode(secrets.token_bytes(pwhash.argon2id.SALTBYTES)),
            "operations": pwhash.argon2id.OPSLIMIT_MODERATE,
            "memory": pwhash.argon2id.MEMLIMIT_MODERATE,
        }
    else:
        source = {"source": "file"} if name == KEK_FILE else {"source": "file", "name": name}
        _create_file(folder / name)
    return source, obtain(source, folder, environ, ask)


def obtain(source: dict[str, Any], folder: Path, environ: Mapping[str, str], ask: Ask | None) -> bytes:
    """The 32-byte key of a store, from where the store remembers it to come.

    Raises:
        KekError: it is not there.
    """
    match source.get("source"):
        case "credential":
            path = _credential(environ)
            if path is None:
                raise KekError(f"the systemd credential {CREDENTIAL} is missing")
            data = _read(path)
            if len(data) < MIN_CREDENTIAL:
                raise KekError(f"the systemd credential {CREDENTIAL} has under {MIN_CREDENTIAL} bytes")
            return hkdf(data, b"securepc/kek/credential")
        case "passphrase":
            return pwhash.argon2id.kdf(
                32,
                _passphrase(environ, ask),
                b64decode(source["salt"], pwhash.argon2id.SALTBYTES),
                opslimit=source["operations"],
                memlimit=source["memory"],
            )
        case "file":
            path = folder / _file_name(source)
            if path.is_file() and path.stat().st_mode & 0o077:
                raise KekError(f"{path} can be read by others; `chmod 600` it")
            data = _read(path)
            if len(data) != 32:
                raise KekError(f"{path} is not the file that was made for this store")
            return data
    raise KekError("the store names a source of its key that is not known here")


def sweep(source: dict[str, Any], folder: Path) -> None:
    """Remove the key files of sources that are not in use any more."""
    used = _file_name(source) if source.get("source") == "file" else ""
    for path in folder.glob(KEK_FILE + "*"):
        if path.name != used and _FILE.fullmatch(path.name):
            path.unlink()


def _file_name(source: dict[str, Any]) -> str:
    name = source.get("name", KEK_FILE)
    if not isinstance(name, str) or not _FILE.fullmatch(name):
        raise KekError("the store names a file of its key that cannot be one")
    return name


def _credential(environ: Mapping[str, str]) -> Path | None:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / CREDENTIAL if folder else None
    return path if path is not None and path.exists() else None


def _passphrase(environ: Mapping[str, str], ask: Ask | None) -> bytes:
    name = environ.get("SECUREPC_PASSPHRASE_FILE")
    if name:
        found = _read(Path(name)).rstrip(b"\r\n")
    elif ask is not None:
        found = ask()
    else:
        raise KekError("the store's passphrase is needed: set SECUREPC_PASSPHRASE_FILE")
    if not found:
        raise KekError("the passphrase is empty")
    return found


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SOURCE)
    except OSError as error:
        raise KekError(f"{path} cannot be read: {error.strerror}") from None


def _create_file(path: Path) -> None:
    """A new random key, on the disk before anything is wrapped by it. One that is there is kept."""
    if not path.exists():
        with drafted(path) as draft:
            draft.write_bytes(secrets.token_bytes(32))
