"""`chain.key`: the MAC key of the open epoch and what the next batch must continue from.

Two slots of 4,096 bytes. A slot holds

    magic 8 | u64 epoch | u8 clean | 32 key | u64 next sequence | 32 previous batch's message hash |
    32 previous seal | 32 SHA-256 of all before

and zeros. A new slot is on the disk before the old one is zeroed, so one of them is always whole; the
higher epoch counts. `clean` says that the agent stopped in good order after the previous epoch.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import NamedTuple

from securepc.agent import files
from securepc.wire import chain

NAME = "chain.key"
SLOT = 4_096
_LAYOUT = struct.Struct(">8sQB32sQ32s32s")
_MAGIC = b"spcchain"


class ChainKeyLost(Exception):
    """Neither slot of `chain.key` is whole: this device cannot continue its journal."""


class ChainState(NamedTuple):
    """What the open epoch starts from."""

    epoch: int
    key: bytes  # K(epoch)
    first: int  # sequence number of the epoch's first entry
    previous: bytes  # message hash of the previous batch; the registration's before epoch 1
    seal: bytes  # the previous epoch's MAC seal
    clean: bool  # whether the agent stopped in good order before this epoch

    def next(self, count: int, message_hash: bytes, seal: bytes, *, clean: bool) -> ChainState:
        """What the epoch after this one starts from."""
        return ChainState(
            self.epoch + 1, chain.next_key(self.key), self.first + count, message_hash, seal, clean
        )


def pack(state: ChainState) -> bytes:
    """The bytes of a slot, without the zeros that fill it."""
    data = _LAYOUT.pack(_MAGIC, state.epoch, state.clean, state.key, state.first, state.previous, state.seal)
    return data + hashlib.sha256(data).digest()


def unpack(slot: bytes) -> ChainState | None:
    """Read a slot; None where it is not whole."""
    data, digest = slot[: _LAYOUT.size], slot[_LAYOUT.size : _LAYOUT.size + 32]
    if len(digest) != 32 or hashlib.sha256(data).digest() != digest:
        return None
    magic, epoch, clean, key, first, previous, seal = _LAYOUT.unpack(data)
    if magic != _MAGIC or epoch < 1 or first < 1 or clean > 1:
        return None
    return ChainState(epoch, key, first, previous, seal, bool(clean))


class ChainKey:
    """The file. `state` is what its whole slot says."""

    __slots__ = ("_path", "_slot", "_stale", "state")

    def __init__(self, folder: Path) -> None:
        """Read the file. An interrupted change may have left a key in the other slot: see `settle`.

        Raises:
            ChainKeyLost: it is not there or neither slot is whole.
        """
        self._path = folder / NAME
        try:
            data = files.read(self._path, 2 * SLOT)
        except (FileNotFoundError, ValueError):
            raise ChainKeyLost(str(self._path)) from None
        found = [(state, i) for i in (0, 1) if (state := unpack(data[i * SLOT : (i + 1) * SLOT]))]
        if not found:
            raise ChainKeyLost(str(self._path))
        self.state, self._slot = max(found, key=lambda pair: pair[0].epoch)
        other = 1 - self._slot
        self._stale = bool(data[other * SLOT : (other + 1) * SLOT].strip(b"\0"))

    @staticmethod
    def create(folder: Path, k0: bytes, registration: bytes) -> None:
        """Write the file of a new device. `registration`: message hash of its registration's leaf."""
        state = ChainState(1, chain.next_key(k0), 1, registration, chain.NO_SEAL, True)
        files.replace(folder / NAME, pack(state).ljust(2 * SLOT, b"\0"))

    def put(self, state: ChainState) -> None:
        """Go on to a later state and destroy the key of the one before.

        Raises:
            OSError: the disk refused; the old or the new state is whole, and `state` tells which.
        """
        other = 1 - self._slot
        self._stale = True
        self._write(other, pack(state))
        self._slot, self.state = other, state
        self.settle()

    def settle(self) -> None:
        """Destroy what the slot that does not count may still hold.

        Raises:
            OSError: the disk refused; trying again is right.
        """
        if self._stale:
            self._write(1 - self._slot, b"")
            self._stale = False

    def _write(self, slot: int, data: bytes) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            files.write(fd, data.ljust(SLOT, b"\0"), slot * SLOT)
            files.sync(fd)
        finally:
            os.close(fd)
