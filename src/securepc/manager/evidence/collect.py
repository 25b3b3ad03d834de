"""Collect what evidence is made of from the ledger and the key store, all of one snapshot.

Batches are opened one at a time, as the pack is written: a pack of a year holds one batch in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from securepc.ledger import merkle
from securepc.ledger.keys import KeyStore
from securepc.ledger.log import LogReader
from securepc.ledger.snapshot import Path, Snapshot
from securepc.ledger.state import DeviceRecord
from securepc.ledger.state.records import KeyRecord, LogRecord, RedactionRecord, TreeRecord
from securepc.manager.evidence import refusals
from securepc.manager.retention.kept import Kept
from securepc.wire import batch as sealing
from securepc.wire.batch import Unreadable
from securepc.wire.signed import batch as headers
from securepc.wire.signed import documents, evidence
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.batch import BatchHeader
from securepc.wire.signed.documents import b64decode
from securepc.wire.signed.evidence import Device, Disclosed, Evidence, Placed, Proven, Range

Wanted = Mapping[int, Collection[int] | None]
"""Leaf index of a batch → the sequence numbers to disclose; None discloses the whole batch."""


class Collected(NamedTuple):
    """The files of a pack, the last one still to be made line by line."""

    evidence: bytes
    checkpoint: bytes
    lines: Iterator[bytes]


class Collector:
    """Makes the parts of one pack. Thread-safe as its reader and key store are."""

    def __init__(self, reader: LogReader, keys: KeyStore, snapshot: Snapshot, kept: Kept) -> None:
        self._reader = reader
        self._kept = kept
        self._keys = keys
        self._log = snapshot.log
        self._snapshot = snapshot
        self._records = self._snapshot.records()

    def collect(self, wanted: Wanted, claim: Range | None) -> Collected:
        """Everything for a pack that discloses these entries.

        Raises, here or while the lines are made:
            ApiError: an entry expired or does not open.
            Malformed: more than a pack can hold.
        """
        devices = sorted({self._header(index).device for index in wanted})
        content = Evidence(
            claim=claim,
            log=self._log,
            block=b"" if self._snapshot.votes else self._snapshot.block,
            votes=self._snapshot.votes,
            record=_placed(self._snapshot.log_record, self._snapshot.state_path),
            registrars=tuple(map(self._proven, self._registrars())),
            devices=tuple(map(self._device, devices)),
            redactions=tuple(map(self._proven, self._redactions(wanted))),
        )
        lines = (self._line(index, wanted[index]) for index in sorted(wanted))
        return Collected(evidence.encode(content), self._snapshot.checkpoint, lines)

    def _line(self, index: int, sequences: Collection[int] | None) -> bytes:
        place = self._proven(index)
        header = headers.of_leaf(place.leaf)
        chosen = range(header.first, header.last + 1) if sequences is None else sorted(set(sequences))
        name = f"{header.device.hex()}.{chosen[0] if chosen else header.first}"
        if self._kept.redacted(index):
            return evidence.encode_batch(self._rest(place, header, chosen, name))
        key, entries = self._open(index, place.leaf, header, name)
        if len(chosen) == header.size:
            made = evidence.whole(place, key, entries)
        else:
            made = evidence.part(place, key, entries, chosen, merkle.paths)
        return evidence.encode_batch(made)

    def _open(self, index: int, leaf: bytes, header: BatchHeader, name: str) -> tuple[bytes, list[bytes]]:
        body = self._reader.body(self._log, index)
        if body is None or self._kept.expired(index, header.device):
            raise refusals.expired(name)
        try:
            key = self._keys.batch_key(self._log, headers.message_hash(leaf))
        except KeyError:
            raise refusals.unreadable(name, "key") from None
        except ValueError:
            raise refusals.unreadable(name, "box") from None
        try:
            return key, sealing.open_payload(header, body, key, root_of=merkle.root)
        except Unreadable as wrong:
            raise refusals.unreadable(name, wrong.reason) from None

    def _rest(self, place: Proven, header: BatchHeader, chosen: Iterable[int], name: str) -> evidence.Batch:
        """A batch of which entries were redacted: of these their leaf hash, of the others text and salt."""
        if self._kept.expired(place.leaf_index, header.device):
            raise refusals.expired(name)
        try:
            pieces = self._kept.pieces(place.leaf_index, place.leaf)
        except (KeyError, ValueError):
            raise refusals.unreadable(name, "key") from None
        ranks = [sequence - header.first for sequence in chosen]
        paths = merkle.paths([piece.leaf for piece in pieces], ranks)
        disclosed = []
        for rank, path in zip(ranks, paths, strict=True):
            leaf, salt, entry = pieces[rank]
            number = header.first + rank
            if salt is None or entry is None:
                disclosed.append(Disclosed(number, tuple(path), redacted=leaf))
            else:
                disclosed.append(Disclosed(number, tuple(path), salt, entry))
        return evidence.Batch(place, None, (), tuple(disclosed))

    def _header(self, index: int) -> BatchHeader:
        return headers.of_leaf(self._reader.leaf(self._log, index))

    def _proven(self, index: int) -> Proven:
        path = self._reader.inclusion(self._log, index, self._snapshot.size)
        return Proven(index, self._reader.leaf(self._log, index), tuple(path))

    def _device(self, device: bytes) -> Device:
        """A device's record and the leaves that made it: registration, rotations, revocation, fork."""
        record = next(r for r in self._records if _is_device(r, device))
        assert isinstance(record, DeviceRecord)
        places = {record.registered}
        places |= {place for place in (record.revoked, record.forked) if place is not None}
        places |= {r.retired for r in self._records if isinstance(r, KeyRecord) and r.device == device}
        proven = self._snapshot.device(device)
        assert proven is not None
        return Device(_placed(*proven), tuple(map(self._proven, sorted(places))))

    def _registrars(self) -> list[int]:
        """The log's first leaf, every change of its registrar, and where it goes on after a restore."""
        trees = [r.leaf for r in self._records if isinstance(r, TreeRecord)]
        first = leaves.split(self._reader.leaf(self._log, 0))
        opening = documents.decode("log", first.body)
        now = next(r for r in self._records if isinstance(r, LogRecord))
        if b64decode(opening["registrar"]) == now.registrar:
            return [0, *trees]
        # Changes of registrar are so rare that no index of them is kept.
        stored = self._reader.leaves(self._log, 0, self._snapshot.size)
        return sorted(
            {0, *trees, *(one.index for one in stored if leaves.split(one.leaf).kind == "registrar")}
        )

    def _redactions(self, wanted: Wanted) -> list[int]:
        """The leaves that say that an entry of these was redacted."""
        return sorted(
            record.leaf
            for record in self._records
            if isinstance(record, RedactionRecord)
            and record.batch in wanted
            and ((numbers := wanted[record.batch]) is None or record.sequence in numbers)
        )


def _is_device(record: object, device: bytes) -> bool:
    return isinstance(record, DeviceRecord) and record.device == device


def _placed(record: bytes, path: Path) -> Placed:
    return Placed(record, path.index, path.size, tuple(path.hashes))
