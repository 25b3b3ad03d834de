"""The journal on the disk: one thread at a time commits entries and seals epochs. No thread of its own.

Sealing epoch e, in this order, each step on the disk before the next:

1. the sealed batch is put in the queue;
2. `chain.key` evolves to epoch e+1, which destroys K(e);
3. the plaintext of epoch e is erased;
4. the file of epoch e+1 is opened.

Whatever instant the power goes, starting again looks at what is there and goes on with the same steps.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from securepc.agent import files
from securepc.agent.journal import frames
from securepc.agent.journal.chainkey import ChainKey
from securepc.agent.platform.base import Clock
from securepc.agent.queue import Damaged, Queue
from securepc.ledger import merkle
from securepc.wire import batch as batches
from securepc.wire import chain, keys
from securepc.wire.batch import Opening, SealedBatch
from securepc.wire.signed import batch as headers

FOLDER = "journal"


class Identity(NamedTuple):
    """Who seals, for which log, and to which key the batch keys are sealed."""

    log: bytes
    device: bytes
    key: keys.SigningKey
    intake: bytes
    coming: keys.SigningKey | None = None
    """Seals the epochs after `after`, where this device's key is being changed."""
    after: int = 0

    def signer(self, epoch: int) -> keys.SigningKey:
        """The key that seals an epoch."""
        return self.coming if self.coming is not None and epoch > self.after else self.key


class OpenFile:
    """The file of the open epoch. `entries` are those that are on the disk, `head` the last one's tag or
    the epoch's opening."""

    def __init__(self, path: Path, header: frames.Header, key: bytes, previous_seal: bytes) -> None:
        """Make the file.

        Raises:
            OSError: the disk refused.
        """
        self.header = header
        self.entries: list[bytes] = []
        self.bytes = 0
        self.chain = chain.Epoch(key, header.epoch, header.first, previous_seal)
        self.head = self.chain.last
        self._path = path
        self._tags: list[bytes] = []
        self._mac = chain.mac_key(key)
        self._trusted = True
        self._size = 0
        self._fd = -1
        self._write_anew()

    def append(self, entries: Sequence[bytes]) -> None:
        """Add entries; they are on the disk when this returns.

        Raises:
            OSError: the disk refused; then none of them counts, and trying again is right.
        """
        if not self._trusted:
            self._write_anew()
        before = self.chain.last, self.chain.count
        first = self.header.first + len(self.entries)
        tags = [self.chain.extend(entry) for entry in entries]
        data = b"".join(map(frames.pack_frame, range(first, first + len(entries)), tags, entries))
        try:
            # What a failed write or sync has left on the disk is not known, so the next attempt starts
            # a new file rather than believing this one.
            self._trusted = False
            files.write(self._fd, data, self._size)
            files.sync(self._fd)
            self._trusted = True
        except OSError:
            self.chain.last, self.chain.count = before
            raise
        self._size += len(data)
        self._tags += tags
        self.head = self.chain.last
        self.entries += entries
        self.bytes += sum(map(len, entries))

    def close(self) -> None:
        """Let the descriptor go; the file stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write_anew(self) -> None:
        parts = [frames.pack_header(self.header, self._mac)]
        first = self.header.first
        parts += map(frames.pack_frame, range(first, first + len(self.entries)), self._tags, self.entries)
        data = b"".join(parts)
        self.close()
        files.replace(self._path, data)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._size = len(data)
        self._trusted = True


class JournalStore:
    """`open` is the open epoch, None before `start` and where the disk refused a new one."""

    def __init__(self, home: Path, queue: Queue, key: ChainKey, identity: Identity, clock: Clock) -> None:
        self.folder = home / FOLDER
        self.key = key
        self.queue = queue
        self.open: OpenFile | None = None
        self._identity = identity
        self._clock = clock

    @property
    def identity(self) -> Identity:
        """Who seals the next epoch. Replaced while nothing is sealed."""
        return self._identity

    @identity.setter
    def identity(self, identity: Identity) -> None:
        self._identity = identity

    @property
    def begun(self) -> int:
        """The last epoch that has entries, or may have been sealed."""
        epoch = self.key.state.epoch
        held = self.open is not None and self.open.header.epoch == epoch and bool(self.open.entries)
        return epoch if held or self.queue.has(epoch) else epoch - 1

    @property
    def durable(self) -> int:
        """Sequence number of the last entry that is on the disk, 0 where there was never any."""
        return self.sealed + (len(self.open.entries) if self.open else 0)

    @property
    def sealed(self) -> int:
        """Sequence number of the last entry that is sealed."""
        return self.key.state.first - 1

    @property
    def head(self) -> bytes:
        """The tag of the last durable entry, or the opening of its epoch; what heartbeats carry."""
        return self.open.head if self.open else self.key.state.seal

    def path(self, epoch: int) -> Path:
        """The file of an open epoch."""
        return self.folder / f"{epoch}.open"

    def commit(self, entries: Sequence[bytes]) -> None:
        """Add entries to the open epoch; they are on the disk when this returns.

        Raises:
            OSError: the disk refused; then none of them counts, and trying again is right.
        """
        if self.open is not None and self.queue.has(self.open.header.epoch):
            self.seal()  # it was on its way out: nothing may follow what may have been sent already
        self.open_epoch().append(entries)

    def open_epoch(self) -> OpenFile:
        """Open the epoch that `chain.key` names, unless it is.

        Raises:
            OSError: the disk refused; trying again is right.
        """
        if self.open is None:
            state, clock = self.key.state, self._clock
            header = frames.Header(
                self._identity.log,
                self._identity.device,
                clock.boot,
                state.epoch,
                state.first,
                clock.at(),
                clock.up(),
            )
            self.open = OpenFile(self.path(state.epoch), header, state.key, state.seal)
        return self.open

    def seal(self, *, final: bool = False) -> None:
        """Seal the open epoch and, unless this is the `final` one before a stop, open the next.

        Raises:
            OSError: the disk refused; trying again goes on where it stopped.
        """
        current = self.open
        if current is not None:
            epoch = current.header.epoch
            if self.key.state.epoch == epoch:
                self.follow(self._queued(current), clean=final)
            self.key.settle()
            files.erase(self.path(epoch))
            current.close()
            self.open = None
        if not final:
            self.open_epoch()

    def _queued(self, current: OpenFile) -> SealedBatch:
        """The open epoch as a batch in the queue; an earlier attempt may have put it there."""
        epoch = current.header.epoch
        if self.queue.has(epoch):
            with contextlib.suppress(KeyError, Damaged):
                return self.queue.get(epoch)
        seal = current.chain.seal()
        sealed = self.seal_entries(current.header, current.entries, seal, self._clock.up())
        self.queue.put(epoch, sealed)
        return sealed

    def seal_entries(
        self, header: frames.Header, entries: Sequence[bytes], seal: bytes, sealed_up: int
    ) -> SealedBatch:
        """Seal the entries of an epoch's file under the state of `chain.key`."""
        opening = Opening(
            log=self._identity.log,
            device=self._identity.device,
            boot=header.boot,
            epoch=header.epoch,
            first=header.first,
            opened_at=header.opened_at,
            opened_up=header.opened_up,
            previous=self.key.state.previous,
        )
        return batches.seal(
            opening,
            entries,
            sealed_at=self._clock.at(),
            sealed_up=sealed_up,
            mac_seal=seal,
            key=self._identity.signer(header.epoch),
            intake=self._identity.intake,
            root_of=merkle.root,
        )

    def follow(self, sealed: SealedBatch, *, clean: bool) -> None:
        """Let `chain.key` go on past a batch that is in the queue."""
        header = headers.of_leaf(sealed.leaf)
        state = self.key.state
        self.key.put(state.next(header.size, headers.message_hash(sealed.leaf), header.seal, clean=clean))
