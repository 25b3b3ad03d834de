"""The format of backups (docs/formats/backup.md): encrypted chunks by content, and snapshots that list them.

    vault.json             {"box","format","recovery","vault"}: the backup key, sealed to the recovery key
    chunks/<2 hex>/<hex>   1 MiB of a file, under the name HMAC-SHA-256(name key, plaintext)
    snapshots/<number>     what the files of one moment were made of
    months/<log>/<period>  a month's key, sealed to the owner's recovery key: outside every snapshot, and
                           deleted when the month expires
    graves/<what>          what was destroyed and must stay so, also in what is restored

An encrypted object is `nonce (24) || XChaCha20-Poly1305(key, plaintext, about)`, where `about` is
"securepc/backup/v1" LF || vault || name: nothing opens under another name or in another vault. Chunks are
never changed, so a backup sends what is new.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import zstandard
from msgspec import Meta
from nacl import bindings

from securepc.manager.backup.target import Target
from securepc.manager.backup.trouble import Trouble
from securepc.manager.refusal import N_
from securepc.wire.keys import BoxKey, hkdf, seal_to
from securepc.wire.shapes import prepared
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode

FORMAT = 1
HEAD = "vault.json"
CHUNK = 1024 * 1024
_NONCE = 24
_TAG = 16
_CONTEXT = b"securepc/backup/v1\n"
_MAX_LIST = 256 * 1024 * 1024
_NONE = N_("There are no backups here.")
_NO_LIST = N_("The list of backup No. %(number)s is damaged.")
_CHANGED = N_("A part of the backup (%(name)s) was changed or damaged, or is of another manager.")
Hex32 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Natural = Annotated[int, Meta(ge=0, le=2**53)]


class VaultError(Trouble):
    """What stands in the place of the backups is none, is damaged, or is not this manager's; says why."""


class Damaged(VaultError):
    """A chunk is missing, or is not what it was. `chunk`: its name."""

    def __init__(self, chunk: str, message: str, **values: Any) -> None:
        super().__init__(message, **values)
        self.chunk = chunk


@prepared
class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file as it was: its bytes are those of its chunks, one after the other."""

    size: Natural
    sha256: Hex32
    chunks: list[Hex32]


@prepared
class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log as it was: `root` in base64, `origin` of its checkpoints."""

    size: Natural
    root: str
    origin: str


@prepared
class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One moment of a manager. `months`: the objects of the months' keys that lived; `head`: SHA-256 of the
    message of the block at `height`, in base64 (empty in older snapshots)."""

    number: Natural
    at: Natural  # microseconds since 1970 UTC
    version: str
    height: Natural
    logs: dict[str, Log]
    months: list[str]
    files: dict[str, File]
    head: str = ""


@prepared
class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    vault: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    recovery: str
    box: str


class Written(NamedTuple):
    """What a backup has cost: bytes of the files, and how many of them had to be sent."""

    total: int
    sent: int


class Vault:
    """A place of backups, opened with its key. For one thread at a time."""

    def __init__(self, target: Target, identity: bytes, key: bytes) -> None:
        self.target = target
        self.identity = identity
        self._names = hkdf(key, b"securepc/backup/names")
        self._data = hkdf(key, b"securepc/backup/data")
        self._known: set[str] | None = None
        self._distrusted: set[str] = set()
        self._swept = False

    def distrust(self, chunks: Iterable[str]) -> None:
        """Send these chunks again when a file needs them, although they are there."""
        self._distrusted |= set(chunks)

    def put_file(self, path: Path, done: Callable[[int], None] = lambda size: None) -> tuple[File, Written]:
        """Send what is new of a file; `done` is called with the bytes of each piece that is there.

        Raises:
            TargetError, OSError.
        """
        if self._known is None:
            self._known = self._chunks() - self._distrusted
        whole, chunks, size, sent = hashlib.sha256(), [], 0, 0
        with path.open("rb") as file:
            while data := file.read(CHUNK):
                whole.update(data)
                size += len(data)
                name = hmac.digest(self._names, data, "sha256").hex()
                chunks.append(name)
                if name not in self._known:
                    self._put(_chunk(name), data)
                    self._known.add(name)
                    sent += len(data)
                done(len(data))
        return File(size, whole.hexdigest(), chunks), Written(size, sent)

    def get_file(self, file: File, path: Path, got: Callable[[int], None] = lambda size: None) -> None:
        """Write a file as it was, durably; `got` is called with the bytes of each piece.

        Raises:
            Damaged: a chunk of it is not there, or is another one.
            VaultError: it can't be had whole.
            TargetError, OSError.
        """
        whole = hashlib.sha256()
        with path.open("xb") as out:
            for name in file.chunks:
                data = self._get_chunk(name)
                whole.update(data)
                out.write(data)
                got(len(data))
            out.flush()
            if out.tell() != file.size or whole.hexdigest() != file.sha256:
                raise VaultError(N_("%(name)s came out different from what was backed up."), name=path.name)
            os.fsync(out.fileno())

    def put_snapshot(self, snapshot: Snapshot) -> None:
        """Keep the list of a moment, once all its chunks are there."""
        data = zstandard.ZstdCompressor(level=3).compress(msgspec.json.encode(snapshot))
        self._put(_snapshot(snapshot.number), data)

    def get_snapshot(self, number: int) -> Snapshot:
        """A moment's list.

        Raises:
            VaultError: there is none of this number, or it is damaged.
        """
        data = self._get(_snapshot(number), _MAX_LIST)
        try:
            if not 0 <= zstandard.frame_content_size(data) <= _MAX_LIST:
                raise VaultError(_NO_LIST, number=number)
            raw = zstandard.ZstdDecompressor().decompress(data, max_output_size=_MAX_LIST)
            found = msgspec.json.decode(raw, type=Snapshot)
        except (zstandard.ZstdError, msgspec.DecodeError) as error:
            raise VaultError(_NO_LIST, number=number) from error
        if found.number != number:
            raise VaultError(_NO_LIST, number=number)
        return found

    def numbers(self) -> list[int]:
        """The numbers of the snapshots, ascending."""
        found = (name.rpartition("/")[2] for name in self.target.names("snapshots"))
        return sorted(int(name) for name in found if name.isdecimal() and len(name) == 12)

    def newest(self) -> Snapshot | None:
        """The newest snapshot whose list can be read; None where there is none."""
        for number in reversed(self.numbers()):
            with suppress(VaultError):
                return self.get_snapshot(number)
        return None

    def put_grave(self, name: str, value: dict[str, Any]) -> None:
        """Keep that something was destroyed."""
        self._put(f"graves/{name}", msgspec.json.encode(value))

    def graves(self) -> Iterator[dict[str, Any]]:
        """What was destroyed, ever.

        Raises:
            VaultError: one that can't be read; what is restored might bring back what must not be.
        """
        for name in sorted(self.target.names("graves")):
            try:
                yield msgspec.json.decode(self._get(name, 64 * 1024), type=dict[str, Any])
            except msgspec.DecodeError as error:
                raise VaultError(_CHANGED, name=name) from error

    def drop_snapshots(self, keep: Callable[[Snapshot], bool]) -> int:
        """Let old snapshots go, and the chunks that no snapshot needs any more; gives how many snapshots.

        The newest one always stays. Chunks that a killed backup left go, too.
        """
        numbers = self.numbers()
        kept: list[Snapshot] = []
        dropped: list[Snapshot] = []
        for number in numbers:
            try:
                snapshot = self.get_snapshot(number)
            except VaultError:
                return 0  # nobody knows which chunks it needs; whoever mends the storage may
            (kept if number == numbers[-1] or keep(snapshot) else dropped).append(snapshot)
        if not dropped and self._swept:
            return 0
        needed = {chunk for one in kept for file in one.files.values() for chunk in file.chunks}
        # The lists first: a list without its chunks would look like a backup.
        for snapshot in dropped:
            self.target.delete(_snapshot(snapshot.number))
        for chunk in self._chunks() - needed:
            self.target.delete(_chunk(chunk))
        self._known, self._swept = None, True
        return len(dropped)

    def _chunks(self) -> set[str]:
        return {name.rpartition("/")[2] for name in self.target.names("chunks")}

    def _get_chunk(self, name: str) -> bytes:
        try:
            data = self._get(_chunk(name), CHUNK)
        except VaultError as error:
            raise Damaged(name, error.message, **error.values) from None
        if not hmac.compare_digest(hmac.digest(self._names, data, "sha256").hex(), name):
            raise Damaged(name, N_("A piece of the backup (%(name)s) holds something else."), name=name)
        return data

    def _put(self, name: str, data: bytes) -> None:
        nonce = secrets.token_bytes(_NONCE)
        self.target.put(
            name,
            nonce
            + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(data, self._about(name), nonce, self._data),
        )

    def _get(self, name: str, limit: int) -> bytes:
        try:
            data = self.target.get(name)
        except KeyError:
            raise VaultError(N_("A part of the backup (%(name)s) is missing."), name=name) from None
        if not _NONCE + _TAG <= len(data) <= limit + _NONCE + _TAG:
            raise VaultError(_CHANGED, name=name)
        try:
            return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                data[_NONCE:], self._about(name), data[:_NONCE], self._data
            )
        except Exception:
            raise VaultError(_CHANGED, name=name) from None

    def _about(self, name: str) -> bytes:
        return _CONTEXT + self.identity + name.encode("ascii")


def open_vault(target: Target, key: bytes, recovery: bytes, *, create: bool = True) -> Vault:
    """The vault of a manager that has its backup key; made where the place is empty.

    Where the owner has a new recovery key, the vault's head is written anew for it.

    Raises:
        VaultError: the place holds another manager's backups.
        TargetError: it can't be reached.
    """
    head = _read_head(target)
    mark = hmac.digest(key, b"securepc/backup/vault", "sha256")[:16]
    if head is None and not create:
        raise VaultError(_NONE)
    if head is not None and head.vault != mark.hex():
        raise VaultError(N_("The backups of another manager are here: choose another folder or prefix."))
    if head is None or head.recovery != b64encode(recovery):
        value = _Head(FORMAT, mark.hex(), b64encode(recovery), b64encode(seal_to(recovery, key)))
        target.put(HEAD, msgspec.json.format(msgspec.json.encode(value)) + b"\n")
    return Vault(target, mark, key)


def unlock_vault(target: Target, recovery: BoxKey) -> tuple[Vault, bytes]:
    """The vault and its key, for the owner who brings the recovery key.

    Raises:
        VaultError: no vault, or it is sealed to another recovery key.
        TargetError: it can't be reached.
    """
    head = _read_head(target)
    if head is None:
        raise VaultError(_NONE)
    try:
        key = recovery.unseal(b64decode(head.box))
    except (ValueError, Malformed):
        raise VaultError(N_("These backups are sealed to another recovery key.")) from None
    return open_vault(target, key, recovery.public), key


def _read_head(target: Target) -> _Head | None:
    try:
        head = msgspec.json.decode(target.get(HEAD), type=_Head)
    except KeyError:
        return None
    except msgspec.DecodeError as error:
        raise VaultError(_CHANGED, name=HEAD) from error
    if head.format != FORMAT:
        raise VaultError(
            N_("These backups have format %(found)s; this version reads %(known)s."),
            found=head.format,
            known=FORMAT,
        )
    return head


def month_name(log: bytes, period: str) -> str:
    """The object of a month's (or hold's) key."""
    return f"months/{log.hex()}/{period.replace('/', '-')}"


def _chunk(name: str) -> str:
    return f"chunks/{name[:2]}/{name}"


def _snapshot(number: int) -> str:
    return f"snapshots/{number:012d}"
