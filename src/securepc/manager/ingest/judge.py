"""Open a batch and judge it: does it agree with its header, its journal's seal, what was announced?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from securepc.ledger import merkle
from securepc.ledger.log import StoredLeaf
from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.ingest import claims
from securepc.manager.ingest.model import Fault, MacChain, Opening
from securepc.manager.ingest.opened import EXPIRED, REDACTED, Opened
from securepc.manager.retention.kept import Kept
from securepc.wire import batch, chain
from securepc.wire.batch import Unreadable
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
NO_KEY = "key"
"""There is no key for the payload."""
_SHOWN = 200


class Judged(NamedTuple):
    """The batches of a piece of a log, and the faults that were found for the first time."""

    opened: list[Opened]
    faults: int


class Judge:
    """Opens and judges, on the opener's thread."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._positions: dict[bytes, int] = {}

    def position(self, log: bytes) -> int:
        """How far a log has been judged. From any thread."""
        found = self._positions.get(log)
        if found is None:
            with self._manager.database.read() as session:
                row = session.get(Opening, log)
            found = self._positions.setdefault(log, row.position if row is not None else 0)
        return found

    def judge(self, log: bytes, stored: list[StoredLeaf]) -> Judged:
        """Judge what comes after `position`, and remember it.

        Keys first, then the verdicts and the position in one transaction, then what is provisional is
        erased: killed anywhere in between, doing it again gives the same.
        """
        found = self._open(log, stored, first_time=True)
        with self._manager.database.write() as session:
            faults = past = 0
            opened = []
            seals = Seals(session, self._manager)
            for item in found:
                if item.reason == EXPIRED or (item.entries is not None and REDACTED in item.entries):
                    # Read again after its time: what was judged then is on the ledger.
                    seals.agree(dataclasses.replace(item, entries=None))
                    opened.append(item)
                    past += item.reason == EXPIRED
                    continue
                seal, head = seals.agree(item)
                reason = item.reason or (None if seal else SEAL) or self._compare(session, item)
                reason = reason or (None if head else HEARTBEAT)
                if reason is not None:
                    faults += 1
                    _report(session, item, reason)
                opened.append(item if reason == item.reason else _with_reason(item, reason))
            seals.keep()
            row = session.get(Opening, log) or Opening(log=log, position=0, judged=0, opened=0, verdict=None)
            row.position = stored[-1].index + 1
            row.opened += len(opened) - faults - past
            session.add(row)
        self._positions[log] = stored[-1].index + 1
        # Of each device the last batch: what is sealed up to it includes what came before.
        last = {item.header.device: item.header for item in opened}
        self._manager.ingest.provisional.settle(
            (device, header.epoch, header.last) for device, header in last.items()
        )
        kept = self._manager.retention.kept(log)
        return Judged([kept.shown(item) for item in opened], faults)

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
            with suppress(KeyError, ValueError):
                name = headers.message_hash(self._manager.log.leaf(log, index))
                self._manager.keys.batch_key(log, name)
                found.setdefault(log, set()).add(index)
        return found

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
                entries, reason = _entries(header, item.body, keys.get(headers.message_hash(item.leaf)))
            else:
                entries, reason = kept.rest(item)
            found.append(Opened(log, item.index, item.height, item.block_time, header, entries, reason))
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

    def _compare(self, session: Session, item: Opened) -> str | None:
        """Compare with the lines that were announced; None where they agree."""
        assert item.entries is not None
        header = item.header
        count, shown = self._manager.ingest.provisional.compare(
            header.device, header.epoch, header.first, item.entries
        )
        if count == 0:
            return None
        lines = [
            {"sequence": d.sequence, "announced": _text(d.announced), "sealed": _text(d.sealed)}
            for d in shown
        ]
        data = {"count": count, "epoch": header.epoch, "leaf": item.index, "lines": lines}
        alerts.raise_alert(session, item.log, "tamper", header.device, data)
        return PROVISIONAL


class Seals:
    """Follows the MAC chains of the devices in a piece of a log (docs/formats/journal.md)."""

    def __init__(self, session: Session, manager: Manager) -> None:
        self._session = session
        self._manager = manager
        self._chains: dict[bytes, tuple[MacChain, chain.Verifier]] = {}
        self._said: dict[bytes, claims.Said] = {}

    def agree(self, item: Opened) -> chain.Verifier.Agreement:
        """Whether a batch carries the seal that its device's chain leads to, and passes through its last
        heartbeat; goes on either way."""
        header = item.header
        found = self._chain(header.device)
        if found is None:
            return chain.Verifier.Agreement(False, True)
        if header.epoch <= found.epoch:
            return chain.Verifier.Agreement(True, True)  # judged before
        while found.epoch + 1 < header.epoch:  # only where this database is older than the ledger
            found.take(found.epoch + 1, 1, None, self._claimed(item.log, header.device, found.epoch + 1))
        said = self._said[header.device]
        claimed = said.claimed(header.epoch)
        said.settle(header.epoch)
        agreement = found.take(header.epoch, header.first, item.entries, header.seal, claimed)
        return agreement._replace(seal=agreement.seal or item.entries is None)

    def keep(self) -> None:
        """Write down where the chains stand. The keys before are gone with this."""
        for row, found in self._chains.values():
            row.epoch, row.seal = found.epoch, found.seal
            row.key = self._manager.keys.wrap(found.key, row.device)
        for said in self._said.values():
            said.keep()

    def _chain(self, device: bytes) -> chain.Verifier | None:
        if device not in self._chains:
            row = self._session.get(MacChain, device)
            if row is None:
                return None
            key = self._manager.keys.unwrap(row.key, device)
            self._chains[device] = row, chain.Verifier(key, row.epoch, row.seal)
            self._said[device] = claims.Said(self._session, device)
        return self._chains[device][1]

    def _claimed(self, log: bytes, device: bytes, epoch: int) -> bytes:
        index = self._manager.log.batch(log, device, epoch)
        return bytes(32) if index is None else headers.of_leaf(self._manager.log.leaf(log, index)).seal


def _entries(
    header: BatchHeader, body: bytes | None, key: bytes | None
) -> tuple[list[bytes] | None, str | None]:
    if body is None:
        return None, "expired"
    if key is None:
        return None, NO_KEY
    try:
        return batch.open_payload(header, body, key, root_of=merkle.root), None
    except Unreadable as error:
        return None, error.reason
    except Exception as error:  # whatever a payload does, the batches after it are opened
        return None, type(error).__name__.lower()[:60]


def _with_reason(item: Opened, reason: str | None) -> Opened:
    return Opened(item.log, item.index, item.height, item.block_time, item.header, item.entries, reason)


def _report(session: Session, item: Opened, reason: str) -> None:
    device = item.header.device
    session.merge(Fault(log=item.log, leaf=item.index, device=device, reason=reason, found_at=clock.now()))
    data: dict[str, Any] = {"reason": reason, "leaf": item.index, "epoch": item.header.epoch}
    alerts.raise_alert(session, item.log, "unreadable" if item.entries is None else "altered", device, data)


def _text(line: bytes | None) -> str | None:
    return None if line is None else line[:_SHOWN].decode("utf-8", "replace")
