"""A snapshot becomes a store: each block goes through the rules again, in a store beside the one to be.

Whatever is wrong is found before that store is put in place; until then it is only a file to be deleted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from securepc.ledger import block as building
from securepc.ledger.block import Block, Signer
from securepc.ledger.checkpoint import Checkpoint as Note
from securepc.ledger.draft import sync_folder
from securepc.ledger.genesis import Genesis
from securepc.ledger.state import Refused
from securepc.ledger.statesync import stream
from securepc.ledger.statesync.snapshot import Snapshot
from securepc.ledger.statesync.stream import Checkpoint, Places, Recorded
from securepc.ledger.store import Store, StoreError, create_store, open_store
from securepc.wire import keys
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.batch import is_batch
from securepc.wire.signed.block import BlockHeader
from securepc.wire.signed.canonical import Malformed

DRAFT = "joining.sqlite"


class Wrong(Exception):
    """The snapshot is not a chain that the rules allow, or not the one that was promised."""


class Replay:
    """Builds `joining.sqlite` in a folder."""

    def __init__(self, folder: Path, genesis: Genesis, snapshot: Snapshot) -> None:
        """What a replay before it left in the folder is deleted.

        Raises:
            Wrong: the snapshot is of another chain, or ends before the validators voted.
            StoreError: no store can be made.
        """
        if snapshot.chain != genesis.chain or snapshot.height <= genesis.signed:
            raise Wrong("a snapshot of another chain")
        self._path = folder / DRAFT
        self._genesis = genesis
        self._snapshot = snapshot
        self._reader = stream.Reader()
        self._missing: list[int] = []
        self._place = 0
        self._keys: dict[bytes, bytes] = {}
        clear(folder)
        alone = genesis._replace(validators=(), continues=None)
        create_store(self._path, alone if genesis.continues else genesis)
        self._store: Store = open_store(self._path, hurried=True)

    @property
    def height(self) -> int:
        """The last block so far."""
        return self._store.height

    def feed(self, piece: bytes) -> None:
        """The next piece of the stream.

        Raises:
            Wrong: a block that the rules refuse.
            StoreFull, StoreError: it cannot be written here.
        """
        try:
            for recorded in self._reader.feed(piece):
                self._block(recorded)
        except (Malformed, Refused, KeyError) as error:
            raise Wrong(f"after block {self._store.height}: {error}") from None

    def finish(self, target: Path, root: bytes) -> None:
        """Put the store in place, durably, if it is what was promised.

        Args:
            root: the state root that validators voted for.

        Raises:
            Wrong: it is not.
            StoreError, OSError: it cannot be written.
        """
        store, promised = self._store, self._snapshot
        found = (store.height, store.head, store.state.root())
        if not self._reader.empty or found != (promised.height, promised.head, promised.state):
            raise Wrong("it does not end where it should")
        if root != promised.state:
            raise Wrong("the validators voted for another state")
        if store.genesis != self._genesis:
            raise Wrong("it ends before the validators voted")
        allowed = Places(store.spent())
        for place in self._missing:
            if place not in allowed:
                raise Wrong(f"the payload at place {place} is missing")
        while store.dropping:
            store.drop_some()
        store.close()
        if self._path.with_name(DRAFT + "-wal").exists():
            raise StoreError(f"{self._path} could not be closed")
        handle = os.open(self._path, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        self._path.rename(target)
        sync_folder(target.parent)
        clear(target.parent)

    def abandon(self) -> None:
        """Delete what there is so far. May be called twice."""
        self._store.close()
        clear(self._path.parent)

    def _block(self, recorded: Recorded) -> None:
        store, header = self._store, self._header(recorded.leaf)
        if any(after.log < before.log for before, after in pairwise(recorded.transactions)):
            raise Wrong(f"block {header.height}: not in the order of the logs")
        state = store.state.scratch()
        for transaction in recorded.transactions:
            state.apply(transaction, header.time, dropped=True)
            for item in transaction.items:
                if is_batch(item.leaf) and not item.body:
                    self._missing.append(self._place)
                self._place += 1
        signers = _Then(recorded.leaf, recorded.checkpoints)
        built = building.build(
            self._genesis.chain,
            store.head,
            header.height,
            header.time,
            recorded.transactions,
            state,
            signers,
            header.successor,
        )
        if built.leaf != recorded.leaf:
            raise Wrong(f"block {header.height} is not of these transactions")
        self._check_keys(built, recorded.checkpoints, self._genesis.is_signed(header.height))
        store.write(built)
        if header.height == self._genesis.signed:
            try:
                store.hand_over(self._genesis)
            except StoreError as error:
                raise Wrong(f"block {header.height}: {error}") from None

    def _header(self, leaf: bytes) -> BlockHeader:
        """A header that may come next, by whoever must have made it."""
        parts = leaves.split(leaf)
        header = blocks.parse(parts.body)
        last, signed = self._store.height, self._genesis.is_signed(header.height)
        if signed:
            leaves.body_of(leaf, blocks.KIND, self._store.block_keys.last, keys.verify)
        else:
            leaves.body_of(leaf, blocks.KIND, self._genesis.key, _unsigned)
        if header.successor and not signed:
            raise Malformed("a voted block that hands over to a key")
        if header.time <= self._store.time or not last < header.height <= self._snapshot.height:
            raise Malformed("a height or time that cannot be next")
        if signed and header.height != last + 1:
            raise Malformed("a block is missing")
        if not signed and last < self._genesis.signed:
            raise Malformed("the validators' blocks begin too early")
        return header

    def _check_keys(self, built: Block, given: list[Checkpoint], signed: bool) -> None:
        """The checkpoints are of the logs that got leaves; signed as long as one machine did that, and by
        the key known since then where validators voted."""
        if [one.log for one in given] != [one.log.log for one in built.checkpoints]:
            raise Malformed("checkpoints of other logs than those that grew")
        for one, made in zip(given, built.checkpoints, strict=True):
            if signed:
                text = Note(made.log.origin, made.log.size, made.root).text.encode("utf-8")
                if not keys.verify(one.key, text, one.signature):
                    raise Malformed(f"the checkpoint of {one.log.hex()} at {made.log.size} is not signed")
            elif any(one.signature) or self._keys.get(one.log, one.key) != one.key:
                raise Malformed(f"another key of {one.log.hex()}")
            self._keys[one.log] = one.key


def clear(folder: Path) -> None:
    """Delete what an unfinished replay left behind."""
    for end in ("", "-wal", "-shm", "-journal", ".lock", ".new"):
        (folder / (DRAFT + end)).unlink(missing_ok=True)


def _unsigned(public: bytes, message: bytes, signature: bytes) -> bool:
    """Where validators vote, zeros stand in the place of signatures."""
    return not any(signature)


class _Signed:
    """A key whose signature is known already."""

    def __init__(self, public: bytes, signature: bytes) -> None:
        self._public = public
        self._signature = signature

    @property
    def public(self) -> bytes:
        return self._public

    def sign(self, message: bytes) -> bytes:
        return self._signature


class _Then:
    """The `ledger.block.Signers` of a block that was signed before; nobody has verified it yet."""

    def __init__(self, leaf: bytes, checkpoints: Iterable[Checkpoint]) -> None:
        self._block = _Signed(b"", leaf[-leaves.SIGNATURE_SIZE :])
        self._logs: Mapping[bytes, Signer] = {one.log: _Signed(one.key, one.signature) for one in checkpoints}

    def block_key(self) -> Signer:
        return self._block

    def next_block_key(self) -> None:
        """What follows is in the header already."""

    def log_key(self, log: bytes) -> Signer:
        return self._logs[log]
