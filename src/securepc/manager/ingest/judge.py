"""Judge what the ledger accepted, in the order of the log, and remember the verdicts.

Three steps: `prepare` collects what judging takes, `judging.judge` judges each batch for itself, in this
process or in others, `conclude` writes down what was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from securepc.ledger.log import StoredLeaf
from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.ingest import claims, judging
from securepc.manager.ingest.chains import Chains, Stand
from securepc.manager.ingest.judging import NO_KEY, Finding, Work
from securepc.manager.ingest.model import Fault, MacChain, Opening
from securepc.manager.ingest.opened import EXPIRED, Opened
from securepc.manager.retention.kept import Kept
from securepc.wire.signed import batch as headers
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.batch import BatchHeader

if TYPE_CHECKING:
    from securepc.manager.core import Manager

SEAL = "seal"
"""The payload opens, but the journal's MAC chain does not lead to the seal in the header."""
PROVISIONAL = "provisional"
"""The payload opens, but other lines were announced before."""
HEARTBEAT = "heartbeat"
"""The payload opens, but does not pass through what the device had said in a heartbeat: its end was cut, or
written anew."""
_SHOWN = 200
_STRETCH = 128
"""Epochs after the one that is asked for which are read with it: as many as are judged at a time."""


class Judged(NamedTuple):
    """The batches of a piece of a log, and the faults that were found for the first time."""

    opened: list[Opened]
    faults: int


class Prepared(NamedTuple):
    """A piece of a log up to `stop`, ready to be judged: `rests` has, by their leaf, the batches of which not
    all is left, `works` all others. `stands`: where the devices' chains stand after it."""

    log: bytes
    start: int
    stop: int
    works: list[Work]
    rests: dict[int, Opened]
    stands: dict[bytes, Stand]


class Judge:
    """Opens and judges, on the opener's thread."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._positions: dict[bytes, int] = {}
        self._chains = Chains(manager)

    def position(self, log: bytes) -> int:
        """How far a log has been judged. From any thread."""
        found = self._positions.get(log)
        if found is None:
            with self._manager.database.read() as session:
                row = session.get(Opening, log)
            found = self._positions.setdefault(log, row.position if row is not None else 0)
        return found

    def judge(self, log: bytes, stored: list[StoredLeaf]) -> Judged:
        """Judge what comes after `position`, here and now; nothing else may be under way."""
        self.start_again(log)
        prepared = self.prepare(log, stored)
        found = [judging.judge(work) for work in prepared.works]
        judged = self.conclude(prepared, [each for each, _ in found], [opened for _, opened in found])
        self.start_again(log)
        return judged

    def start_again(self, log: bytes) -> None:
        """Nothing that was prepared of this log will be concluded any more."""
        self._chains.start_again(log)

    def whole(self, log: bytes, stored: Iterable[StoredLeaf]) -> bool:
        """Whether all of these batches are still there as they came."""
        kept = self._manager.retention.kept(log)
        return all(kept.is_whole(item) for item in stored if headers.is_batch(item.leaf))

    def prepare(self, log: bytes, stored: list[StoredLeaf]) -> Prepared:
        """Collect what judging the leaves after those prepared last takes. Their keys are durable then."""
        kept = self._manager.retention.kept(log)
        batches = [item for item in stored if leaves.split(item.leaf).kind == headers.KIND]
        own = [item for item in batches if kept.is_whole(item)]
        keys = self._take_keys(log, kept, [headers.message_hash(item.leaf) for item in own], own)
        rests: dict[int, Opened] = {}
        works = []
        with self._manager.database.read() as session:
            said = _Said(session)
            for item in batches:
                header = headers.of_leaf(item.leaf)
                link = self._chains.go_on(session, header)
                if not kept.is_whole(item):
                    # Read again after its time: what was judged then is on the ledger.
                    rests[item.index] = _opened(log, item, header, *kept.rest(item))
                    continue
                key = keys.get(headers.message_hash(item.leaf))
                announced = self._manager.ingest.provisional.announced(
                    header.device, header.epoch, header.first, header.last
                )
                works.append(
                    Work(
                        log, item.index, item.height, item.block_time, item.leaf, item.body, key,
                        *link, said.of(header), announced,
                    )
                )  # fmt: skip
        stands = self._chains.stands(log, {headers.of_leaf(item.leaf).device for item in batches})
        return Prepared(log, stored[0].index, stored[-1].index + 1, works, rests, stands)

    def conclude(self, prepared: Prepared, findings: Sequence[Finding], judged: Sequence[Opened]) -> Judged:
        """Write down what was found of `prepared.works`, in the order of the log.

        Keys came first; now the verdicts and the position in one transaction, then what is provisional is
        erased: killed anywhere in between, doing it again gives the same.
        """
        log, stop = prepared.log, prepared.stop
        with self._manager.database.write() as session:
            faults = 0
            found = dict(prepared.rests)
            for item in prepared.rests.values():
                if item.reason not in (None, EXPIRED):
                    faults += 1
                    _report(session, item, item.reason)
            for finding, item in zip(findings, judged, strict=True):
                reason = self._reason(session, finding, item)
                if reason is not None:
                    faults += 1
                    _report(session, item, reason)
                found[item.index] = item if reason == item.reason else _with_reason(item, reason)
            opened = [found[index] for index in sorted(found)]
            past = sum(item.reason == EXPIRED for item in opened)
            self._chains.keep(session, prepared.stands)
            row = session.get(Opening, log) or Opening(log=log, position=0, judged=0, opened=0, verdict=None)
            row.position = stop
            row.opened += len(opened) - faults - past
            session.add(row)
        self._positions[log] = stop
        # Of each device the last batch: what is sealed up to it includes what came before.
        last = {item.header.device: item.header for item in opened}
        self._manager.ingest.provisional.settle(
            (device, header.epoch, header.last) for device, header in last.items()
        )
        kept = self._manager.retention.kept(log)
        return Judged([kept.shown(item) for item in opened], faults)

    def _reason(self, session: Session, finding: Finding, item: Opened) -> str | None:
        """The first thing that is wrong with a batch; lines that were announced otherwise are an alert."""
        if finding.reason is not None or not finding.seal:
            return finding.reason or SEAL
        if finding.differing:
            lines = [
                {"sequence": d.sequence, "announced": _text(d.announced), "sealed": _text(d.sealed)}
                for d in finding.shown
            ]
            header = item.header
            data = {"count": finding.differing, "epoch": header.epoch, "leaf": item.index, "lines": lines}
            alerts.raise_alert(session, item.log, "tamper", header.device, data)
            return PROVISIONAL
        return None if finding.head else HEARTBEAT

    def reopen(self, log: bytes, stored: list[StoredLeaf]) -> list[Opened]:
        """Open what was judged before, for a follower that is behind."""
        kept = self._manager.retention.kept(log)
        found = [kept.shown(item) for item in self._open(log, stored, first_time=False)]
        first, last = stored[0].index, stored[-1].index
        with self._manager.database.read() as session:
            rows = session.execute(
                select(Fault.leaf, Fault.reason).where(Fault.log == log, Fault.leaf.between(first, last))
            )
            reasons = {row.leaf: row.reason for row in rows}
        return [_with_reason(item, reasons[item.index]) if item.index in reasons else item for item in found]

    def keyless(self, log: bytes, indexes: Iterable[int]) -> set[int]:
        """Those of these batches that were judged unreadable as their keys were not here."""
        wanted = list(indexes)
        with self._manager.database.read() as session:
            query = select(Fault.leaf).where(Fault.log == log, Fault.reason == NO_KEY)
            return {leaf for leaf in session.scalars(query) if leaf in wanted}

    def late(self, log: bytes, indexes: Iterable[int]) -> list[Opened]:
        """Open such batches once their keys came. Their seals can't be checked any more: the keys of the
        journal's chain have moved on. What opens is as its header says, and in the order of the log."""
        stored = [item for i in sorted(indexes) for item in self._manager.log.leaves(log, i, i + 1)]
        kept = self._manager.retention.kept(log)
        found = self._open(log, stored, first_time=True)
        return [kept.shown(item) for item in found if item.reason is None]

    def forgive(self, session: Session, opened: Iterable[Opened]) -> None:
        """They are no faults any more."""
        for item in opened:
            session.execute(delete(Fault).where(Fault.log == item.log, Fault.leaf == item.index))

    def brought(self) -> dict[bytes, set[int]]:
        """Batches by log that were judged without a key that is here now: a manager was killed between."""
        with self._manager.database.read() as session:
            rows = session.execute(select(Fault.log, Fault.leaf).where(Fault.reason == NO_KEY)).all()
        found: dict[bytes, set[int]] = {}
        for log, index in rows:
            if self.has_key(log, index):
                found.setdefault(log, set()).add(index)
        return found

    def has_key(self, log: bytes, index: int) -> bool:
        """Whether the key of a batch is here."""
        with suppress(KeyError, ValueError):
            return bool(
                self._manager.keys.batch_key(log, headers.message_hash(self._manager.log.leaf(log, index)))
            )
        return False

    def recover(self) -> None:
        """Erase the provisional lines of batches that were judged just before the manager was killed."""
        with self._manager.database.read() as session:
            rows = session.execute(select(MacChain.device, MacChain.epoch)).all()
        self._manager.ingest.provisional.settle((device, epoch, 0) for device, epoch in rows)

    def _open(self, log: bytes, stored: Iterable[StoredLeaf], *, first_time: bool) -> list[Opened]:
        kept = self._manager.retention.kept(log)
        batches = [item for item in stored if leaves.split(item.leaf).kind == headers.KIND]
        own = [item for item in batches if kept.is_whole(item)]
        names = [headers.message_hash(item.leaf) for item in own]
        keys = self._take_keys(log, kept, names, own) if first_time else self._find_keys(log, names)
        found = []
        for item in batches:
            header = headers.of_leaf(item.leaf)
            if kept.is_whole(item):
                rest = judging.open_batch(header, item.body, keys.get(headers.message_hash(item.leaf)))
            else:
                rest = kept.rest(item)
            found.append(_opened(log, item, header, *rest))
        return found

    def _take_keys(
        self, log: bytes, kept: Kept, names: list[bytes], batches: list[StoredLeaf]
    ) -> dict[bytes, bytes]:
        """The keys of batches that just came, from now on under the month of block time, or a hold."""
        by_month: dict[str, list[bytes]] = {}
        for item, name in zip(batches, names, strict=True):
            by_month.setdefault(kept.period(item), []).append(name)
        keys: dict[bytes, bytes] = {}
        for month, members in by_month.items():
            try:
                keys |= self._manager.keys.take(log, month, members)
            except KeyError:  # a ledger that is read again from its start comes by months that were destroyed
                keys |= self._find_keys(log, members)
        return keys

    def _find_keys(self, log: bytes, names: list[bytes]) -> dict[bytes, bytes]:
        keys = {}
        for name in names:
            with suppress(KeyError, ValueError):
                keys[name] = self._manager.keys.batch_key(log, name)
        return keys


class _Said:
    """What devices said of epochs in heartbeats, a stretch of epochs read at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[bytes, tuple[int, dict[int, tuple[int, bytes]]]] = {}

    def of(self, header: BatchHeader) -> tuple[int, bytes] | None:
        """What was said of a batch's epoch. A device's epochs are asked for in rising order."""
        read, known = self._known.get(header.device, (0, {}))
        if header.epoch > read:
            read = header.epoch + _STRETCH
            known = claims.said(self._session, header.device, header.epoch, read)
            self._known[header.device] = read, known
        return known.get(header.epoch)


def _opened(
    log: bytes, item: StoredLeaf, header: BatchHeader, entries: list[bytes] | None, reason: str | None
) -> Opened:
    return Opened(log, item.index, item.height, item.block_time, header, entries, reason)


def _with_reason(item: Opened, reason: str | None) -> Opened:
    return Opened(item.log, item.index, item.height, item.block_time, item.header, item.entries, reason)


def _report(session: Session, item: Opened, reason: str) -> None:
    device = item.header.device
    session.merge(Fault(log=item.log, leaf=item.index, device=device, reason=reason, found_at=clock.now()))
    data: dict[str, Any] = {"reason": reason, "leaf": item.index, "epoch": item.header.epoch}
    alerts.raise_alert(session, item.log, "unreadable" if item.entries is None else "altered", device, data)


def _text(line: bytes | None) -> str | None:
    return None if line is None else line[:_SHOWN].decode("utf-8", "replace")
