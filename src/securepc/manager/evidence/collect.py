"""Collect what evidence is made of from the ledger and the key store, all of one snapshot.

Batches are opened one at a time, as the pack is written: a pack of a year holds one batch in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from securepc.ledger import merkle
from securepc.ledger.keys import KeyStore
from securepc.ledger.log import LogReader
from securepc.ledger.snapshot import Path, Snapshot
from securepc.ledger.state import DeviceRecord, Registry, retention
from securepc.ledger.state.records import KeyRecord, RedactionRecord
from securepc.manager.evidence import expiry, moves, refusals, registrars
from securepc.manager.retention.kept import Kept
from securepc.manager.retention.standing import Standing
from securepc.manager.stamps.model import Stamp as StampRow
from securepc.wire import batch as sealing
from securepc.wire.batch import Unreadable
from securepc.wire.signed import batch as headers
from securepc.wire.signed import evidence
from securepc.wire.signed.batch import BatchHeader
from securepc.wire.signed.evidence import Device, Disclosed, Evidence, Range
from securepc.wire.signed.proofs import Placed, Proven
from securepc.wire.signed.stamp import Stamp

Wanted = Mapping[int, Collection[int] | None]
"""Leaf index of a batch → the sequence numbers to disclose; None discloses the whole batch."""


FindStamp = Callable[[int, int], StampRow | None]
"""Last leaf that a pack shows, size of its checkpoint → the earliest time stamp between the two, if any."""


class Collected(NamedTuple):
    """The files of a pack, the last one still to be made line by line."""

    evidence: bytes
    checkpoint: bytes
    lines: Iterator[bytes]
    expired: int  # how many of the entries are only there by the headers of their batches


class Collector:
    """Makes the parts of one pack. Thread-safe as its reader and key store are."""

    def __init__(
        self,
        reader: LogReader,
        keys: KeyStore,
        snapshot: Snapshot,
        kept: Kept,
        stamped: FindStamp = lambda leaf, size: None,
    ) -> None:
        """`stamped` finds the time stamp for a pack."""
        self._stamped = stamped
        self._reader = reader
        self._kept = kept
        self._keys = keys
        self._log = snapshot.log
        self._snapshot = snapshot
        self._records = self._snapshot.records()
        self._gone: dict[int, int] = {}

    def collect(self, wanted: Wanted, claim: Range | None) -> Collected:
        """Everything for a pack that discloses these entries.

        Raises, here or while the lines are made:
            ApiError: an entry expired or does not open.
            Malformed: more than a pack can hold.
        """
        makers = {index: self._header(index).device for index in wanted}
        if claim is not None:  # a selection is of entries: one that is gone can't be shown
            self._gone = self._expired(makers)
        content = Evidence(
            claim=claim,
            log=self._log,
            block=b"" if self._snapshot.votes else self._snapshot.block,
            votes=self._snapshot.votes,
            handovers=() if self._snapshot.votes else self._snapshot.handovers,
            record=_placed(self._snapshot.log_record, self._snapshot.state_path),
            registrars=tuple(map(self._proven, self._registrars())),
            devices=tuple(map(self._device, sorted(set(makers.values())))),
            redactions=tuple(map(self._proven, self._redactions(wanted))),
            expiry=expiry.prove(self._snapshot, set(self._gone.values()), self._proven),
            stamp=self._stamp(max(wanted)),
            moves=moves.tell(self._reader, self._snapshot, self._proven),
        )
        lines = (self._line(index, wanted[index]) for index in sorted(wanted))
        expired = sum(self._count(index, wanted[index]) for index in self._gone)
        return Collected(evidence.encode(content), self._snapshot.checkpoint, lines, expired)

    def _stamp(self, last: int) -> Stamp | None:
        row = self._stamped(last, self._snapshot.size)
        if row is None:
            return None
        proof = self._reader.consistency(self._log, row.size, self._snapshot.size)
        return Stamp(row.text, tuple(proof), row.response)

    def _line(self, index: int, sequences: Collection[int] | None) -> bytes:
        place = self._proven(index)
        if index in self._gone:
            return evidence.encode_batch(evidence.gone(place, self._gone[index]))
        header = headers.of_leaf(place.leaf)
        chosen = range(header.first, header.last + 1) if sequences is None else sorted(set(sequences))
        name = f"{header.device.hex()}.{chosen[0] if chosen else header.first}"
        if self._kept.hides(index, header):
            raise refusals.redacting(name)
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

    def _expired(self, makers: Mapping[int, bytes]) -> dict[int, int]:
        """The batches that expired, and the leaf that says so.

        Raises:
            ApiError: one expired after the snapshot was taken.
        """
        spent = retention.Spent(Standing(Registry(self._records), self._snapshot.size))
        found = {}
        for index, device in makers.items():
            if self._kept.expired(index, device):
                month = spent.month(index, device)
                if month is None or month.expired is None:
                    raise refusals.expired(f"{device.hex()}.{self._header(index).first}")
                found[index] = month.expired
        return found

    def _count(self, index: int, sequences: Collection[int] | None) -> int:
        return self._header(index).size if sequences is None else len(sequences)

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
        return registrars.places(self._reader, self._log, self._records, self._snapshot.size)

    def _redactions(self, wanted: Wanted) -> list[int]:
        """The leaves that say that an entry of these was redacted."""
        return sorted(
            record.leaf
            for record in self._records
            if isinstance(record, RedactionRecord)
            and record.batch in wanted
            and record.batch not in self._gone
            and ((numbers := wanted[record.batch]) is None or record.sequence in numbers)
        )


def _is_device(record: object, device: bytes) -> bool:
    return isinstance(record, DeviceRecord) and record.device == device


def _placed(record: bytes, path: Path) -> Placed:
    return Placed(record, path.index, path.size, tuple(path.hashes))
