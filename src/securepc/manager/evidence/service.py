"""Make evidence packs: of chosen entries, of what a search finds, of all that a device recorded in a range.

1. What is asked for and not sealed yet is sealed: the devices are ordered to, and waited for.
2. One snapshot of the ledger is taken, which covers it all, and shown to the witnesses; where validators
   order blocks, their votes for it are waited for.
3. The pack is written from that snapshot, batch by batch.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from securepc.ledger.state import retention
from securepc.manager.evidence import refusals
from securepc.manager.evidence.collect import Collector
from securepc.manager.retention.standing import standing
from securepc.manager.search.model import EntryId, Query
from securepc.wire.signed import batch as headers
from securepc.wire.signed import pack
from securepc.wire.signed.batch import BatchHeader
from securepc.wire.signed.canonical import MAX_INTEGER, Malformed
from securepc.wire.signed.evidence import Range
from securepc.wire.signed.votes import Voted

if TYPE_CHECKING:
    from securepc.manager.core import Manager
    from securepc.manager.errors import ApiError

SEAL_SECONDS = 15.0
"""How long devices are waited for. An agent that is online has its batch on the ledger in two."""
VOTE_SECONDS = 15.0
"""How long the validators' votes for the newest block are waited for. They come within two."""
_ASK_AGAIN = 2.0
_LOOK = 0.05


class Made(NamedTuple):
    """How many entries a pack has; and what a search found that can't be in it: how many unreadable
    batches, and how many entries that their devices did not seal in time. `expired`: how many more entries of
    a range are only shown to have expired."""

    entries: int
    left_out: int = 0
    not_sealed: int = 0
    expired: int = 0


class EvidenceService:
    """At `manager.evidence`. Thread-safe."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._one_at_a_time = threading.Lock()  # a pack takes a core and a file of its size

    def of_entries(
        self, log: bytes, entries: Iterable[EntryId], stream: BinaryIO, *, stamped: bool = True
    ) -> Made:
        """Write the evidence of chosen entries to a seekable stream.

        `stamped`: with a time stamp, where one covers them; readers of before version 3 do not know it.

        Raises:
            ApiError: see `refusals`.
        """
        wanted: defaultdict[bytes, set[int]] = defaultdict(set)
        for entry in entries:
            if entry.sequence < 1:
                raise refusals.no_such_entry(str(entry))
            wanted[entry.device].add(entry.sequence)
        if not wanted:
            raise refusals.nothing()
        self._sealed_up_to(log, {device: max(numbers) for device, numbers in wanted.items()})
        collector = self._collector(log, stamped)
        leaves = _merged(self._leaves_of(log, device, numbers) for device, numbers in wanted.items())
        self._write(collector, leaves, None, stream)
        return Made(sum(map(len, wanted.values())))

    def of_query(self, log: bytes, query: Query, stream: BinaryIO, *, stamped: bool = True) -> Made:
        """Write the evidence of all entries that a search finds; see `of_entries`."""
        leaves: defaultdict[int, set[int]] = defaultdict(set)
        provisional: defaultdict[bytes, set[int]] = defaultdict(set)
        left_out = 0
        for found in self._manager.search.places(log, query):
            if not found.is_entry:
                left_out += 1
            elif found.leaf is None:
                provisional[bytes.fromhex(found.device)].add(found.sequence)
            else:
                leaves[found.leaf].add(found.sequence)
        if not leaves and not provisional:
            raise refusals.nothing()
        missing = self._wait(log, {device: max(numbers) for device, numbers in provisional.items()})
        if missing and not leaves and missing.keys() == provisional.keys():
            raise self._not_sealed(log, missing)
        # One PC that is off, or revoked, does not keep the others' entries from being proven.
        not_sealed = 0
        for device in missing:
            sealed = self._sealed(log, device)
            not_sealed += sum(number > sealed for number in provisional[device])
            provisional[device] = {number for number in provisional[device] if number <= sealed}
        collector = self._collector(log, stamped)
        late = (self._leaves_of(log, device, numbers) for device, numbers in provisional.items())
        wanted = _merged([leaves, *late])
        self._write(collector, wanted, None, stream)
        return Made(sum(map(len, wanted.values())), left_out, not_sealed)

    def of_range(self, log: bytes, claim: Range, stream: BinaryIO, *, stamped: bool = True) -> Made:
        """Write the evidence of all of a device's entries from first to last, of what expired by what is left
        of it; see `of_entries`."""
        known = self._known(log, claim.device)
        if not 1 <= claim.first <= claim.last <= known:
            name = self._manager.devices.names(log).get(claim.device, claim.device.hex())
            raise refusals.beyond(name, known)
        self._sealed_up_to(log, {claim.device: claim.last})
        collector = self._collector(log, stamped)
        reader = self._manager.log
        ends = reader.batches(log, claim.device, claim.first, claim.first)
        ends += reader.batches(log, claim.device, claim.last, claim.last)
        assert len(ends) == 2, "both ends are sealed"
        first, last = (headers.of_leaf(reader.leaf(log, index)) for index in ends)
        leaves: dict[int, set[int] | None] = {}
        # Empty batches, too: every batch names the one before it, and so none can be missing.
        for epoch in range(first.epoch, last.epoch + 1):
            index = reader.batch(log, claim.device, epoch)
            assert index is not None, "epochs follow each other"
            leaves[index] = None
        for index, header in zip(ends, (first, last), strict=True):
            inside = range(max(header.first, claim.first), min(header.last, claim.last) + 1)
            leaves[index] = set(inside) if len(inside) < header.size else None
        expired = self._write(collector, leaves, claim, stream)
        return Made(claim.last - claim.first + 1 - expired, expired=expired)

    def range_of_times(self, log: bytes, device: bytes, start: int | None, end: int | None) -> Range:
        """The smallest range that has all of a device's entries of a period by its own clock.

        Raises:
            ApiError: `nothing-found`.
        """
        query = Query(start=start, end=end, devices=(device.hex(),))
        numbers = [place.sequence for place in self._manager.search.places(log, query) if place.is_entry]
        # Of what expired nothing is found any more; the headers still say when it was recorded.
        for header in self._expired(log, device, start, end):
            numbers += [header.first, header.last]
        if not numbers:
            raise refusals.nothing()
        return Range(device, min(numbers), max(numbers))

    def _expired(
        self, log: bytes, device: bytes, start: int | None, end: int | None
    ) -> Iterator[BatchHeader]:
        """The headers of a device's batches with entries, of expired months and in a period by its clock."""
        reader = self._manager.log
        found = standing(reader, log)
        for month in found.expired:
            leaves = found.leaves(month)
            # A leaf is never of an earlier month than its batch, but for a clock that was wrong.
            if start is not None and retention.month_end(month.month) < retention.day_of(start):
                continue
            for _, leaf in reader.batch_leaves(log, leaves.start, leaves.stop):
                header = headers.of_leaf(leaf)
                begun = end is None or header.opened_at < end
                if header.device == device and header.size and begun and header.sealed_at >= (start or 0):
                    yield header

    def _collector(self, log: bytes, stamped: bool) -> Collector:
        snapshot = self._manager.witnesses.snapshot(log).snapshot
        if not self._manager.log.genesis().is_signed(snapshot.height):
            snapshot = snapshot._replace(votes=self._votes(snapshot.height))
        kept = self._manager.retention.kept(log)  # later than the snapshot: nothing that had to go is shown
        if not stamped:
            return Collector(self._manager.log, self._manager.keys, snapshot, kept)
        stamps = partial(self._manager.stamps.covering, log)
        return Collector(self._manager.log, self._manager.keys, snapshot, kept, stamps)

    def _votes(self, height: int) -> tuple[Voted, ...]:
        """What validators voted for the block; they are waited for.

        Raises:
            ApiError: `not-voted`.
        """
        until = time.monotonic() + VOTE_SECONDS
        while (found := self._manager.log.votes(height)) is None:
            if time.monotonic() > until:
                raise refusals.not_voted(height, VOTE_SECONDS)
            time.sleep(_LOOK)
        return found

    def _write(
        self,
        collector: Collector,
        leaves: Mapping[int, set[int] | None],
        claim: Range | None,
        stream: BinaryIO,
    ) -> int:
        """Write the pack; gives how many entries are only shown to have expired."""
        try:
            with self._one_at_a_time:
                made = collector.collect(leaves, claim)
                pack.write(stream, made.evidence, made.checkpoint, made.lines)
                return made.expired
        except Malformed:
            raise refusals.too_large() from None

    def _leaves_of(self, log: bytes, device: bytes, numbers: Iterable[int]) -> dict[int, set[int]]:
        """The batches that hold these entries of a device."""
        found: dict[int, set[int]] = {}
        last = 0
        for number in sorted(numbers):
            if number > last:
                (index,) = self._manager.log.batches(log, device, number, number)
                last = headers.of_leaf(self._manager.log.leaf(log, index)).last
                found[index] = set()
            found[index].add(number)
        return found

    def _sealed_up_to(self, log: bytes, wanted: Mapping[bytes, int]) -> None:
        """Have these devices seal until these sequence numbers are on the ledger.

        Raises:
            ApiError: `no-such-entry` or `not-sealed`.
        """
        for device, last in wanted.items():
            if last > self._sealed(log, device) and not self._is_announced(log, device, last):
                raise refusals.no_such_entry(str(EntryId(device, last)))
        if missing := self._wait(log, wanted):
            raise self._not_sealed(log, missing)

    def _wait(self, log: bytes, wanted: Mapping[bytes, int]) -> dict[bytes, int]:
        """Have devices seal; gives those that did not, within the time or because they are revoked."""
        revoked = {device: last for device, last in wanted.items() if self._is_revoked(log, device)}
        waiting = {device: last for device, last in wanted.items() if device not in revoked}
        until = time.monotonic() + SEAL_SECONDS
        asked = 0.0
        while waiting := {d: last for d, last in waiting.items() if last > self._sealed(log, d)}:
            now = time.monotonic()
            if now > until:
                break
            if now - asked > _ASK_AGAIN:
                asked = now
                for device in waiting:
                    self._order_seal(device)
            time.sleep(_LOOK)
        return waiting | {d: last for d, last in revoked.items() if last > self._sealed(log, d)}

    def _not_sealed(self, log: bytes, missing: Mapping[bytes, int]) -> ApiError:
        device = next(iter(missing))
        name = self._manager.devices.names(log).get(device, device.hex())
        count = missing[device] - self._sealed(log, device)
        if self._is_revoked(log, device):
            return refusals.never_sealed(name, count)
        return refusals.not_sealed(name, count, SEAL_SECONDS)

    def _is_revoked(self, log: bytes, device: bytes) -> bool:
        record = self._manager.log.device(log, device)
        return record is not None and record.revoked is not None

    def _order_seal(self, device: bytes) -> None:
        if not self._manager.audit.seal_now(device):
            self._manager.ingest.orders.seal(device)

    def _sealed(self, log: bytes, device: bytes) -> int:
        record = self._manager.log.device(log, device)
        return 0 if record is None else record.sequence

    def _known(self, log: bytes, device: bytes) -> int:
        """The last sequence number of a device that was announced or sealed."""
        sealed = self._sealed(log, device)
        announced = self._manager.search.between(log, device, sealed + 1, MAX_INTEGER)
        return max([sealed, *(hit.sequence for hit in announced if hit.is_entry)])

    def _is_announced(self, log: bytes, device: bytes, number: int) -> bool:
        return self._manager.search.entry(log, EntryId(device, number)) is not None


def _merged(parts: Iterable[Mapping[int, set[int]]]) -> dict[int, set[int]]:
    merged: dict[int, set[int]] = {}
    for part in parts:
        for index, numbers in part.items():
            merged.setdefault(index, set()).update(numbers)
    return merged
