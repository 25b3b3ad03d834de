"""Sealed batches waiting for their receipt, and after it until they may go: `queue/<epoch>.batch`.

A file describes itself (docs/formats/journal.md):

    magic 8 | u32 leaf length | u32 ciphertext length | leaf | ciphertext | 80 sealed key | 32 SHA-256

and holds ciphertext only. The batch is sent again byte for byte from here.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from pathlib import Path

from securepc.agent import files
from securepc.wire.batch import SealedBatch
from securepc.wire.keys import SEALED_KEY_SIZE
from securepc.wire.signed.batch import MAX_CIPHERTEXT
from securepc.wire.signed.leaf import MAX_LEAF

_HEAD = struct.Struct(">8sII")
_MAGIC = b"spcbatch"
_SUFFIX = ".batch"
MAX_FILE = _HEAD.size + MAX_LEAF + MAX_CIPHERTEXT + SEALED_KEY_SIZE + 32


class Damaged(Exception):
    """A file of the queue is not what was put there."""


def pack(batch: SealedBatch) -> bytes:
    """The bytes of a queue file."""
    head = _HEAD.pack(_MAGIC, len(batch.leaf), len(batch.ciphertext))
    data = head + batch.leaf + batch.ciphertext + batch.sealed_key
    return data + hashlib.sha256(data).digest()


def unpack(data: bytes) -> SealedBatch:
    """Read a queue file.

    Raises:
        Damaged: cut short or changed.
    """
    if len(data) < _HEAD.size + 32 or hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise Damaged("its check sum does not match")
    magic, leaf, ciphertext = _HEAD.unpack_from(data)
    body = data[_HEAD.size : -32]
    if magic != _MAGIC or len(body) != leaf + ciphertext + SEALED_KEY_SIZE:
        raise Damaged("it is not a sealed batch")
    return SealedBatch(body[:leaf], body[leaf : leaf + ciphertext], body[leaf + ciphertext :])


class Queue:
    """The folder, with its epochs and sizes kept in memory. Safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._sizes: dict[int, int] = {}
        self._bytes = 0
        files.make_folder(folder)
        for path in folder.iterdir():
            if path.suffix == ".tmp":
                files.unlink(path)
            elif path.suffix == _SUFFIX and path.stem.isdecimal():
                self._add(int(path.stem), path.stat().st_size)

    def put(self, epoch: int, batch: SealedBatch) -> None:
        """Store a batch; it is on the disk when this returns."""
        data = pack(batch)
        files.replace(self._path(epoch), data)
        with self._lock:
            self._add(epoch, len(data))

    def get(self, epoch: int) -> SealedBatch:
        """Read a batch.

        Raises:
            KeyError: it is not (any more) in the queue.
            Damaged: it is not what was put there.
        """
        try:
            return unpack(files.read(self._path(epoch), MAX_FILE))
        except FileNotFoundError:
            raise KeyError(epoch) from None
        except (OSError, ValueError) as error:
            raise Damaged(str(error)) from None

    def remove(self, epoch: int) -> None:
        """Remove a batch that may go."""
        files.unlink(self._path(epoch))
        with self._lock:
            self._bytes -= self._sizes.pop(epoch, 0)

    def has(self, epoch: int) -> bool:
        """Whether a batch of this epoch is there."""
        with self._lock:
            return epoch in self._sizes

    def after(self, epoch: int, count: int) -> list[int]:
        """The first `count` epochs above `epoch`, in order."""
        with self._lock:
            return sorted(e for e in self._sizes if e > epoch)[:count]

    def totals(self) -> tuple[int, int]:
        """How many batches and how many bytes are there."""
        with self._lock:
            return len(self._sizes), self._bytes

    def size(self, epoch: int) -> int:
        """Bytes of a batch's file, 0 where there is none."""
        with self._lock:
            return self._sizes.get(epoch, 0)

    def _add(self, epoch: int, size: int) -> None:
        self._bytes += size - self._sizes.get(epoch, 0)
        self._sizes[epoch] = size

    def _path(self, epoch: int) -> Path:
        return self._folder / f"{epoch}{_SUFFIX}"
