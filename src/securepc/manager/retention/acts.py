"""Documents of the registrar on their way to the ledger: written down with what caused them, sent until they
are there. Whether one is there the ledger's records say, so that a lost answer does no harm."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from securepc.ledger.state import Refused
from securepc.ledger.state.records import HoldRecord, MonthRecord, RedactionRecord, redaction_id
from securepc.manager import clock
from securepc.manager.retention.model import RetentionAct, RetentionRest
from securepc.manager.retention.standing import Standing, standing
from securepc.wire.signed import documents, leaf

if TYPE_CHECKING:
    from securepc.manager.core import Manager

logger = logging.getLogger(__name__)
_PATIENCE = 60.0
"""Seconds until an answer that does not come is asked for again."""


class Acts:
    """Used on the thread of `Retention.round`; `make` from any, inside a `database.write()`."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def make(
        self, session: Session, log: bytes, kind: str, fields: dict[str, Any], actor: str
    ) -> RetentionAct:
        """Write a document down; it is sent once the session is committed."""
        value = {"log": log.hex(), "at": clock.now(), **fields}
        row = RetentionAct(
            log=log,
            kind=kind,
            body=documents.encode(kind, value),
            state="waiting",
            leaf_index=None,
            detail="",
            made_at=clock.now(),
            made_by=actor,
        )
        session.add(row)
        session.flush()
        return row

    def waiting(self, log: bytes) -> list[dict[str, Any]]:
        """The documents that are not on the ledger yet."""
        with self._manager.database.read() as session:
            rows = session.scalars(_waiting().where(RetentionAct.log == log))
            return [documents.decode(row.kind, row.body) | {"kind": row.kind} for row in rows]

    def send(self) -> int:
        """Put what waits on the ledger, in the order in which it was written; gives how many were settled.

        Raises:
            StoreError: the ledger takes nothing now; all that is left waits.
        """
        with self._manager.database.read() as session:
            rows = list(session.scalars(_waiting()))
        for row in rows:
            self._send(row)
        return len(rows)

    def _send(self, row: RetentionAct) -> None:
        document = documents.decode(row.kind, row.body)
        index = _landed(standing(self._manager.log, row.log), row.kind, document)
        if index is None:
            sign = self._manager.keys.log(row.log).registrar.sign
            try:
                placed = self._manager.submit(row.log, leaf.frame(row.kind, row.body, sign))
                index = placed.result(_PATIENCE).first_index
            except Refused as refused:
                logger.error("a %s was refused: %s", row.kind, refused)
                self._settle(row, "refused", None, str(refused))
                return
        self._settle(row, "done", index, "")

    def _settle(self, row: RetentionAct, state: str, index: int | None, detail: str) -> None:
        with self._manager.database.write() as session:
            found = session.get(RetentionAct, row.id)
            assert found is not None
            found.state, found.leaf_index, found.detail = state, index, detail
            if row.kind == "redact" and state == "refused":
                _forget_rest(session, row)


def _forget_rest(session: Session, row: RetentionAct) -> None:
    """What was prepared for a redaction that is not to be."""
    batch = documents.decode("redact", row.body)["leaf"]
    query = select(RetentionRest).where(RetentionRest.log == row.log, RetentionRest.batch == batch)
    for rest in session.scalars(query.where(RetentionRest.key.is_not(None))):
        session.delete(rest)


def _waiting() -> Any:
    return select(RetentionAct).where(RetentionAct.state == "waiting").order_by(RetentionAct.id)


def _landed(log: Standing, kind: str, document: dict[str, Any]) -> int | None:
    """The leaf that says what a document says; None where the ledger does not have it."""
    match kind:
        case "contract":
            known = log.contract
            return known.leaf if known is not None and known.at == document["at"] else None
        case "hold" | "release":
            hold = log.registry.get(HoldRecord, document["hold"])
            return None if hold is None else hold.placed if kind == "hold" else hold.released
        case "expire":
            month = log.registry.get(MonthRecord, document["month"])
            return month.expired if month is not None else None
        case "redact":
            record = log.registry.get(RedactionRecord, redaction_id(document["leaf"], document["sequence"]))
            return record.leaf if record is not None else None
    raise ValueError(kind)
