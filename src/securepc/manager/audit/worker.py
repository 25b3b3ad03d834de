"""Seal what administrators did, as batches of the manager's own device, and see them onto the ledger."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from securepc.ledger import merkle
from securepc.manager import clock
from securepc.manager.audit.model import AuditBatch, AuditChain, AuditEntry
from securepc.manager.audit.service import boot_id, up
from securepc.manager.ingest.messages import Upload
from securepc.manager.ingest.opened import Provisional
from securepc.wire import batch, chain, event
from securepc.wire.keys import SigningKey
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block

if TYPE_CHECKING:
    from securepc.manager.core import Manager

logger = logging.getLogger("securepc.manager")
SEAL_AFTER = 10 * clock.SECOND
"""An act waits so long for others to be sealed with."""
_LOOK_EVERY = 0.5
_PAUSE = 5.0


class AuditWorker:
    """At `manager.audit`. One thread; killed anywhere, it goes on where it was."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._stop = threading.Event()
        self._hurry: set[bytes] = set()
        self._wake = threading.Event()
        self._announced: dict[bytes, tuple[int, int]] = {}
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Seal what is waiting, and stop."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def seal_now(self, device: bytes) -> bool:
        """Seal at once, where this is the manager's own device; False where it is another's."""
        with self._manager.database.read() as session:
            log = session.scalar(select(AuditChain.log).where(AuditChain.device == device))
        if log is None:
            return False
        self.hurry(log)
        return True

    def hurry(self, log: bytes) -> None:
        """Seal at once what is waiting for this agency's log, or comes next."""
        self._hurry.add(log)
        self._wake.set()

    def _run(self) -> None:
        while True:
            last = self._stop.is_set()
            self._wake.clear()
            try:
                for log in self._logs():
                    self._send(log)
                    while self._seal(log, at_once=last):
                        self._send(log)
            except Exception:
                logger.exception("audit entries are not on the ledger yet; tried again in %s seconds", _PAUSE)
                if not last:
                    self._stop.wait(_PAUSE)
                    continue
            if last:
                return
            self._wake.wait(_LOOK_EVERY)

    def _logs(self) -> list[bytes]:
        with self._manager.database.read() as session:
            logs = session.scalars(select(AuditChain.log)).all()
        still = self._manager.waiting
        return [log for log in logs if log not in still and not self._manager.moves.away(log)]

    def _seal(self, log: bytes, *, at_once: bool) -> bool:
        """Make the next batch of what is waiting, if it is time; whether one was made."""
        hurried = log in self._hurry
        if hurried:  # before the look: who asks after it may have written something since
            self._hurry.discard(log)
        made = False
        try:
            made = self._seal_waiting(log, at_once=at_once or hurried)
        finally:
            if hurried and not made:
                self._hurry.add(log)
        return made

    def _seal_waiting(self, log: bytes, *, at_once: bool) -> bool:
        with self._manager.database.read() as session:
            waiting = _waiting(session, log)
            row = session.get(AuditChain, log)
        if not waiting or row is None:
            return False
        self._announce(row, waiting)
        first = event.from_entry(waiting[0].entry)
        opened_at = first.at if first is not None else clock.now()
        old = clock.now() - opened_at >= SEAL_AFTER
        if not (old or at_once or len(waiting) >= batch.SEAL_AT_ENTRIES):
            return False
        with self._manager.database.write() as session:
            row = session.get(AuditChain, log)
            assert row is not None
            self._seal_batch(session, row, _fitting(waiting), opened_at)
        return True

    def _seal_batch(self, session: Session, row: AuditChain, acts: list[AuditEntry], opened_at: int) -> None:
        keys = self._manager.keys
        key = SigningKey(keys.unwrap(row.key, row.device))
        mac = chain.next_key(keys.unwrap(row.mac, row.device))
        epoch = chain.Epoch(mac, row.epoch + 1, row.sequence + 1, row.seal)
        entries = [act.entry for act in acts]
        for entry in entries:
            epoch.extend(entry)
        opening = batch.Opening(
            row.log, row.device, boot_id(), epoch.number, epoch.first, opened_at, up(), row.head
        )
        sealed = batch.seal(
            opening,
            entries,
            sealed_at=clock.now(),
            sealed_up=up(),
            mac_seal=epoch.seal(),
            key=key,
            intake=keys.log(row.log).intake.public,
            root_of=merkle.root,
        )
        session.add(
            AuditBatch(
                log=row.log,
                epoch=epoch.number,
                leaf=sealed.leaf,
                ciphertext=sealed.ciphertext,
                box=sealed.sealed_key,
            )
        )
        ids = [act.id for act in acts]
        session.execute(update(AuditEntry).where(AuditEntry.id.in_(ids)).values(epoch=epoch.number))
        row.epoch, row.sequence = epoch.number, row.sequence + len(entries)
        row.head = headers.message_hash(sealed.leaf)
        row.mac, row.seal = keys.wrap(mac, row.device), epoch.seal()

    def _send(self, log: bytes) -> None:
        """Send what is sealed, oldest first, and forget it once it is on the ledger."""
        with self._manager.database.read() as session:
            query = select(AuditBatch).where(AuditBatch.log == log).order_by(AuditBatch.epoch)
            rows = list(session.scalars(query))
        for row in rows:
            item = block.Item(row.leaf, row.ciphertext)
            transaction = block.encode_transaction(block.Transaction(log, [item]))
            upload = Upload(transaction, [row.leaf], [headers.of_leaf(row.leaf)], [row.box])
            self._manager.uploads.order(upload).result()
            with self._manager.database.write() as session:
                session.execute(
                    delete(AuditBatch).where(AuditBatch.log == log, AuditBatch.epoch == row.epoch)
                )
                session.execute(
                    delete(AuditEntry).where(AuditEntry.log == log, AuditEntry.epoch == row.epoch)
                )

    def _announce(self, row: AuditChain, waiting: list[AuditEntry]) -> None:
        """Show acts before they are sealed, like any device's provisional lines."""
        # Ids begin again once all rows are gone, and a new epoch announces what the last one left over.
        epoch, last = self._announced.get(row.log, (row.epoch, 0))
        new = [act for act in waiting if act.id > last or epoch != row.epoch]
        if not new:
            return
        self._announced[row.log] = row.epoch, new[-1].id
        first = row.sequence + 1 + waiting.index(new[0])
        lines = [act.entry for act in new]
        provisional = Provisional(row.log, row.device, boot_id(), row.epoch + 1, first, lines, clock.now())
        self._manager.opener.announce(provisional)


def _waiting(session: Session, log: bytes) -> list[AuditEntry]:
    query = (
        select(AuditEntry)
        .where(AuditEntry.log == log, AuditEntry.epoch.is_(None))
        .order_by(AuditEntry.id)
        .limit(batch.SEAL_AT_ENTRIES)
    )
    return list(session.scalars(query))


def _fitting(waiting: list[AuditEntry]) -> list[AuditEntry]:
    """As many of them as a batch should hold; at least one."""
    size = 0
    for count, act in enumerate(waiting):
        size += len(act.entry)
        if count and size > batch.SEAL_AT_BYTES:
            return waiting[:count]
    return waiting
