"""Reading the ledger: leaves, bodies, proofs, tiles, records. From any thread, beside the writer.

Each thread has its own read-only connection. Where several answers must be of one moment, `snapshot` reads
them in one read transaction; proofs and tiles of a size that was once read stay the same for ever.
"""

from __future__ import annotations

import sqlite3
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from securepc.ledger import checkpoint, genesis, merkle, note
from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.genesis import Genesis
from securepc.ledger.note import VerifierKey
from securepc.ledger.snapshot import Snapshot, take
from securepc.ledger.state import DeviceRecord, records
from securepc.ledger.state.records import TreeRecord
from securepc.ledger.store import StoreError, arrivals, handovers, is_batch, queries, retired, schema, tiles
from securepc.ledger.store.arrivals import Arrival
from securepc.ledger.store.queries import LogRow, Run
from securepc.ledger.votes.store import VoteStore, path_beside
from securepc.wire.signed import batch as headers
from securepc.wire.signed.handovers import BlockKeys
from securepc.wire.signed.votes import Voted

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """A leaf where it stands; `body` is a batch's ciphertext, None where expiry dropped it, and empty for
    every other kind. `block_time` is microseconds since 1970 UTC."""

    index: int
    height: int
    block_time: int
    leaf: bytes
    body: bytes | None


class LogReader:
    """Everything that may be read of a store. KeyError where a log or leaf does not exist.

    Args:
        sign: (log, message) → signature by the key of its checkpoints, where validators order blocks and
            none is stored; KeyError where that key is not here.

    Raises:
        StoreError: there is no store.
    """

    def __init__(self, path: Path, sign: Callable[[bytes, bytes], bytes] | None = None) -> None:
        if not path.is_file():
            raise StoreError(f"there is no ledger store at {path}")
        self._path = path
        self._sign = sign
        self._local = threading.local()
        self._cache = tiles.Cache()
        self._numbers: dict[bytes, int] = {}

    def genesis(self) -> Genesis:
        """The chain's genesis."""
        return genesis.parse(queries.meta(self._db, "genesis"))

    def height(self) -> int:
        """The height of the last block, 0 before the first."""
        return queries.height(self._db)

    def block(self, height: int) -> bytes | None:
        """The signed leaf of a block."""
        return queries.block(self._db, height)

    def heights(self, above: int, limit: int) -> list[int]:
        """The next heights above one at which there are blocks."""
        return queries.heights(self._db, above, limit)

    def block_keys(self) -> BlockKeys:
        """The keys that sign, and signed, the chain's blocks."""
        with self._moment() as db:
            return handovers.keys_of(db, self.genesis().key)

    def handovers(self) -> tuple[bytes, ...]:
        """The blocks that changed it, oldest first."""
        with self._moment() as db:
            return handovers.below(db, 2**63)

    def logs(self) -> list[bytes]:
        """The handles of all logs, sorted."""
        return [row.log for row in queries.logs(self._db)]

    def size(self, log: bytes) -> int:
        """How many leaves a log has."""
        return queries.log(self._db, log).size

    def key(self, log: bytes) -> VerifierKey:
        """The C2SP verifier key of a log's checkpoints."""
        with self._moment() as db:
            return _verifier(db, queries.log(db, log), None)

    def keys(self, log: bytes) -> list[VerifierKey]:
        """The verifier keys of all its checkpoints, newest first: keys change, and so do origins."""
        with self._moment() as db:
            row = queries.log(db, log)
            signed = [*retired.keys_of(db, row), (row.key, row.size)]
            return [_verifier(db, row._replace(key=key), size) for key, size in reversed(signed)]

    def trees(self, log: bytes) -> list[TreeRecord]:
        """The trees that a log went on as after it was restored from a backup, oldest first; mostly none."""
        return queries.trees(self._db, self._no(log))

    def origins(self, log: bytes) -> list[str]:
        """The origins that its checkpoints had, oldest first; the last is that of now."""
        return [checkpoint.origin_of(log)] + [checkpoint.origin_of(log, one.name) for one in self.trees(log)]

    def checkpoint(self, log: bytes) -> bytes:
        """The signed note of a log's latest checkpoint."""
        return self.checkpoint_at(log, None)

    def checkpoint_at(self, log: bytes, size: int | None) -> bytes:
        """The signed note of a log's checkpoint of this size; KeyError where none was signed."""
        with self._moment() as db:
            row = queries.log(db, log)
            if size is None:
                size = row.size
            return _note(db, row, size, self._root(row.no, size), self._sign)

    def sizes(self, log: bytes) -> list[int]:
        """The sizes at which checkpoints were signed, ascending."""
        return queries.sizes(self._db, self._no(log))

    def runs(self, log: bytes, last: int) -> list[Run]:
        """What each of the `last` blocks that touched a log brought it, newest first."""
        return queries.last_runs(self._db, self._no(log), last)

    def leaf(self, log: bytes, index: int) -> bytes:
        """One leaf."""
        return queries.leaf(self._db, self._no(log), index)

    def body(self, log: bytes, index: int) -> bytes | None:
        """A batch's ciphertext; None where expiry dropped it, empty for other kinds."""
        for stored in self.leaves(log, index, index + 1):
            return stored.body
        raise KeyError(index)

    def has_bodies(self, log: bytes, start: int, stop: int) -> bool:
        """Whether any batch among the leaves [start, stop) still has its ciphertext."""
        with self._moment() as db:
            no = self._no(log)
            return any(
                queries.has_bodies(db, run.start + run.shift, run.stop + run.shift)
                for run in queries.runs(db, no, start, stop)
            )

    def batch_leaves(self, log: bytes, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Index and leaf of each batch among the leaves [start, stop), without its ciphertext."""
        no = self._no(log)
        while start < min(stop, self.size(log)):
            end = min(stop, start + _CHUNK)
            with self._moment() as db:
                found = [
                    (index, leaf)
                    for run in queries.runs(db, no, start, end)
                    for index, leaf in enumerate(
                        queries.only_leaves(db, run.start + run.shift, run.stop + run.shift), run.start
                    )
                    if is_batch(leaf)
                ]
            yield from found
            start = end

    def leaves(self, log: bytes, start: int, stop: int) -> Iterator[StoredLeaf]:
        """The leaves [start, stop) that the log has, in order. Read in pieces: no cursor stays open."""
        no = self._no(log)
        while start < stop:
            piece = self._piece(no, start, min(stop, start + _CHUNK))
            if not piece:
                return
            yield from piece
            start = piece[-1].index + 1

    def batches(self, log: bytes, device: bytes, first: int, last: int) -> list[int]:
        """Indexes of the leaves of a device's batches that hold any of the entries `first` to `last`."""
        with self._moment() as db:
            no = self._no(log)
            number = queries.device(db, no, device)
            if number is None or last < first:
                return []
            found = []
            for epoch in range(self._epoch_of(no, number, first), queries.last_epoch(db, number) + 1):
                known = queries.batch(db, no, number, epoch)
                assert known is not None, "epochs follow each other"
                header = headers.of_leaf(known[1])
                if header.first > last:
                    break
                if header.size:
                    found.append(known[0])
            return found

    def batch(self, log: bytes, device: bytes, epoch: int) -> int | None:
        """The index of the leaf of a device's batch."""
        no = self._no(log)
        number = queries.device(self._db, no, device)
        found = queries.batch(self._db, no, number, epoch) if number is not None else None
        return found[0] if found else None

    def inclusion(self, log: bytes, index: int, size: int) -> list[bytes]:
        """The inclusion proof of a leaf in the tree of `size` leaves.

        Raises:
            ValueError: index outside that tree.
        """
        no = self._no(log)
        return merkle.inclusion_proof(index, size, self._subtree(no))

    def inclusions(self, log: bytes, indexes: Iterable[int], size: int) -> list[list[bytes]]:
        """The inclusion proofs of several leaves, each tile read and each subtree hashed once.

        Raises:
            ValueError: an index outside that tree.
        """
        read = cache(self._tile(self._no(log)))
        subtree = cache(lambda level, index: tiles.subtree(read, level, index))
        return [merkle.inclusion_proof(index, size, subtree) for index in indexes]

    def consistency(self, log: bytes, old: int, new: int) -> list[bytes]:
        """The consistency proof between two sizes.

        Raises:
            ValueError: old > new.
        """
        no = self._no(log)
        return merkle.consistency_proof(old, new, self._subtree(no))

    def root(self, log: bytes, size: int) -> bytes:
        """The tree head of the first `size` leaves; KeyError where the log has fewer."""
        return self._root(self._no(log), size)

    def frontier(self, log: bytes, size: int) -> list[bytes]:
        """The heads of the full subtrees of the first `size` leaves, largest first."""
        return tiles.frontier(self._tile(self._no(log)), size).hashes

    def snapshot(self, log: bytes) -> Snapshot:
        """All of one moment: block, state path, checkpoint, registry. What evidence is made of."""
        with self._moment() as db:
            row = queries.log(db, log)
            return take(db, row, _note(db, row, row.size, row.root, self._sign))

    def votes(self, height: int) -> tuple[Voted, ...] | None:
        """What validators voted for the state after the block at this height, from the genesis' validators
        on; None while it is not kept. It is there a second or two after the block.

        Raises:
            Malformed: what is kept is not what was.
        """
        try:
            store = VoteStore(path_beside(self._path))
        except FileNotFoundError:
            return None
        try:
            return store.proof(height + 1)
        finally:
            store.close()

    def device(self, log: bytes, device: bytes) -> DeviceRecord | None:
        """A device's record as of the last block."""
        data = queries.record(self._db, self._no(log), DeviceRecord.TYPE, device.hex())
        record = records.decode(data) if data is not None else None
        return record if isinstance(record, DeviceRecord) else None

    def records(self, log: bytes) -> list[records.Record]:
        """All registry records of a log, in the order of its tree."""
        return [records.decode(data) for _, _, data in queries.records(self._db, self._no(log))]

    def departing(self, log: bytes) -> Iterator[Arrival]:
        """All leaves of a log with their bodies, block by block, for another chain: nobody may be writing."""
        return arrivals.departing(self._db, queries.log(self._db, log))

    def tile(self, log: bytes, level: int, n: int, width: int = tiles.WIDTH) -> bytes:
        """A tile's first `width` hashes, as C2SP tlog-tiles serves them; KeyError where there are fewer."""
        hashes = self._tile(self._no(log))(level, n)[: width * merkle.HASH_SIZE]
        if len(hashes) < width * merkle.HASH_SIZE:
            raise KeyError((level, n, width))
        return hashes

    def entries_tile(self, log: bytes, n: int, width: int = tiles.WIDTH) -> bytes:
        """An entry bundle of C2SP tlog-tiles: uint16 length || leaf, `width` times; KeyError as `tile`."""
        start = n * tiles.WIDTH
        found = [stored.leaf for stored in self.leaves(log, start, start + width)]
        if len(found) < width:
            raise KeyError((n, width))
        return b"".join(struct.pack(">H", len(leaf)) + leaf for leaf in found)

    def close(self) -> None:
        """Close this thread's connection; those of other threads close with them."""
        db = self._local.__dict__.pop("db", None)
        if db is not None:
            db.close()

    @property
    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = schema.connect_readonly(self._path)
        return db

    def _moment(self) -> _ReadTransaction:
        return _ReadTransaction(self._db)

    def _no(self, log: bytes) -> int:
        """The number of a log, which never changes."""
        no = self._numbers.get(log)
        if no is None:
            no = self._numbers[log] = queries.log(self._db, log).no
        return no

    def _piece(self, no: int, start: int, stop: int) -> list[StoredLeaf]:
        with self._moment() as db:
            found = []
            for run in queries.runs(db, no, start, stop):
                time = queries.block_time(db, run.height)
                rows = queries.places(db, run.start + run.shift, run.stop + run.shift)
                for index, (leaf, body) in zip(range(run.start, run.stop), rows, strict=True):
                    kept = body if is_batch(leaf) else b""
                    found.append(StoredLeaf(index, run.height, time, leaf, kept))
            return found

    def _epoch_of(self, no: int, number: int, sequence: int) -> int:
        """The first epoch whose batch ends at or after a sequence number: epochs ascend with sequences."""
        low, high = 1, queries.last_epoch(self._db, number) + 1
        while low < high:
            middle = (low + high) // 2
            found = queries.batch(self._db, no, number, middle)
            assert found is not None, "epochs follow each other"
            if headers.of_leaf(found[1]).last < sequence:
                low = middle + 1
            else:
                high = middle
        return low

    def _tile(self, no: int) -> tiles.Read:
        return self._cache.reader(no, lambda level, n: queries.tile(self._db, no, level, n))

    def _subtree(self, no: int) -> merkle.Subtree:
        read = self._tile(no)
        return lambda level, index: tiles.subtree(read, level, index)

    def _root(self, no: int, size: int) -> bytes:
        return tiles.frontier(self._tile(no), size).root()


class _ReadTransaction:
    """All reads inside see one moment. May be entered again on the same connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._outer = db.in_transaction

    def __enter__(self) -> sqlite3.Connection:
        if not self._outer:
            self._db.execute("BEGIN")
        return self._db

    def __exit__(self, *_: object) -> None:
        if not self._outer:
            self._db.execute("ROLLBACK")


def _verifier(db: sqlite3.Connection, row: LogRow, size: int | None) -> VerifierKey:
    return VerifierKey(queries.origin(db, row, size), note.ED25519, row.key)


def _note(
    db: sqlite3.Connection,
    row: LogRow,
    size: int,
    root: bytes,
    sign: Callable[[bytes, bytes], bytes] | None,
) -> bytes:
    signature = queries.signature(db, row.no, size)
    if signature is None:
        raise KeyError(size)

    def signed(message: bytes) -> bytes:
        if any(signature):
            return signature
        if sign is None:
            raise KeyError(size)  # this store's checkpoints are signed by whoever keeps the log
        return sign(row.log, message)

    if any(signature):
        row = row._replace(key=retired.key_at(db, row, size))
    key = _verifier(db, row, size)
    return checkpoint.sign(Checkpoint(key.name, size, root), key, signed).encode("utf-8")
