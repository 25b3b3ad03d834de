"""Redactions that outlive the manager's disk.

What was redacted after the newest backup is whole again in what is restored, and PCs may send it again. The
place of the backups remembers (`backup.beside`): a restored manager shows such an entry to nobody, whenever
and wherever it turns up, and has the ledger say once more that it is redacted; then all of it is destroyed
as it was the first time.

1. `graves`: each redaction that the ledger has taken, told by device and number: places change
2. `bury`: before anything else starts, in the restored manager: the entry is hidden from then on
3. `settle`, at every round: once the entry is on a ledger that takes something, it is redacted anew
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from securepc.ledger.state import retention
from securepc.manager.refusal import Refusal
from securepc.manager.retention.acts import Acts
from securepc.manager.retention.model import RetentionAct, RetentionBuried
from securepc.manager.retention.redaction import Redactions
from securepc.manager.retention.standing import standing
from securepc.wire.signed import batch as headers
from securepc.wire.signed import documents

if TYPE_CHECKING:
    from securepc.manager.core import Manager

logger = logging.getLogger(__name__)
KIND = "redaction"
_NAME = "manager"


class Buried:
    """At `manager.retention.buried`. Thread-safe, but for `settle`."""

    def __init__(self, manager: Manager, acts: Acts, redactions: Redactions) -> None:
        self._manager = manager
        self._acts = acts
        self._redactions = redactions
        self._dug: dict[int, tuple[str, dict[str, Any]]] = {}

    def graves(self) -> list[tuple[str, dict[str, Any]]]:
        """The redactions that the ledger took, and those that it is still to take anew."""
        done = RetentionAct.kind == "redact", RetentionAct.state == "done"
        with self._manager.database.read() as session:
            ids = list(session.scalars(select(RetentionAct.id).where(*done)))
            rows = session.scalars(select(RetentionAct).where(*done, RetentionAct.id.not_in(self._dug)))
            for row in rows:
                self._dug[row.id] = self._grave(row)
        return [self._dug[number] for number in ids]

    def bury(self, grave: dict[str, Any]) -> None:
        """Hide again what one of `graves` names; may be called twice."""
        row = RetentionBuried(
            log=bytes.fromhex(grave["log"]),
            device=bytes.fromhex(grave["device"]),
            sequence=int(grave["sequence"]),
            ground=str(grave["ground"]),
            approver=str(grave["approver"]),
        )
        with self._manager.database.write() as session:
            session.merge(row)

    def hidden(self, log: bytes) -> dict[bytes, frozenset[int]]:
        """The numbers of the entries that nobody is shown any more, by device."""
        query = select(RetentionBuried.device, RetentionBuried.sequence).where(RetentionBuried.log == log)
        found: defaultdict[bytes, set[int]] = defaultdict(set)
        with self._manager.database.read() as session:
            for device, sequence in session.execute(query):
                found[device].add(sequence)
        return {device: frozenset(numbers) for device, numbers in found.items()}

    def settle(self, log: bytes) -> None:
        """Have the ledger say it anew, for what is there; forget what it has said."""
        with self._manager.database.read() as session:
            rows = list(session.scalars(select(RetentionBuried).where(RetentionBuried.log == log)))
        for row in rows:
            self._settle(row)

    def _settle(self, row: RetentionBuried) -> None:
        log, manager = row.log, self._manager
        places = manager.log.batches(log, row.device, row.sequence, row.sequence)
        if not places or places[0] >= manager.opener.judged(log):
            return
        found, index = standing(manager.log, log), places[0]
        if row.sequence in found.redacted(index):
            with manager.database.write() as session:
                session.delete(session.merge(row))
            return
        if log in manager.waiting:
            return
        wanted = {"leaf": index, "sequence": row.sequence}
        asked = any(wanted.items() <= act.items() for act in self._acts.waiting(log))
        spent = retention.Spent(found).month(index, row.device) is not None
        if asked or spent or found.holder(index, row.device) is not None:
            return
        said = {"ground": row.ground, "approver": row.approver}
        try:
            with manager.database.write() as session:
                self._redactions.prepare(session, log, index, row.sequence)
                self._acts.make(session, log, "redact", wanted | said, _NAME)
        except Refusal as refusal:
            logger.warning("entry %s.%d is redacted anew later: %s", row.device.hex(), row.sequence, refusal)

    def _grave(self, row: RetentionAct) -> tuple[str, dict[str, Any]]:
        said = documents.decode("redact", row.body)
        device = headers.of_leaf(self._manager.log.leaf(row.log, said["leaf"])).device.hex()
        value = {name: said[name] for name in ("sequence", "ground", "approver")}
        name = f"{KIND}-{row.log.hex()}-{device}-{said['sequence']}"
        return name, {"log": row.log.hex(), "device": device, **value}
