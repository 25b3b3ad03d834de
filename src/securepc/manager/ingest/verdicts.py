"""The manager's word on what it opened, as leaves of the log: at most one a minute, at once for bad news."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from securepc.ledger.sequencer import Committed
from securepc.manager import clock
from securepc.manager.ingest.model import Fault, Opening
from securepc.wire.signed import documents, leaf

if TYPE_CHECKING:
    from securepc.manager.core import Manager

logger = logging.getLogger("securepc.manager")
EVERY = 60.0
_PAUSE = 5.0
"""Seconds before a verdict that the ledger did not take is sent again."""
MOST_FAULTS = 150
"""Faults without a verdict above which nothing more is judged; a verdict names 300 at most."""


def sign_anew(manager: Manager, log: bytes) -> None:
    """The verdict that is not on the ledger yet, by the registrar of now."""
    with manager.database.write() as session:
        row = session.get(Opening, log)
        if row is not None and row.verdict is not None:
            body = leaf.split(row.verdict).body
            row.verdict = leaf.frame("verdict", body, manager.keys.log(log).registrar.sign)


class Verdicts:
    """Makes verdicts and sees them onto the ledger. Used on the opener's thread.

    A verdict is signed and written down with the position it covers in one transaction; those bytes are
    sent until the ledger has them, so that a killed manager never says two things of the same leaves.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._idle: set[bytes] = set()
        self._due: dict[bytes, float] = {}
        self._retry: dict[bytes, float] = {}
        self._sent: dict[bytes, Future[Committed]] = {}
        self._said: dict[bytes, int] = {}
        """How far the ledger's verdicts went when this process first judged something of a log."""

    def limit(self, log: bytes, position: int, end: int) -> int:
        """How far to judge at once: to the end of what verdicts on the ledger cover already, where a restored
        manager comes by it again, or to `end`."""
        if log not in self._said:
            self._said[log] = self._manager.judged_on_ledger(log)
        return min(end, self._said[log]) if position < self._said[log] else end

    def expect(self, log: bytes) -> None:
        """Batches of this log were judged."""
        self._idle.discard(log)

    def look(self, log: bytes) -> None:
        """Make the next verdict of a log if one is due, and send what is not on the ledger yet."""
        if log in self._idle or log in self._manager.waiting:
            return
        sent = self._sent.get(log)
        if sent is not None:
            if not sent.done():
                return
            del self._sent[log]
            self._arrived(log, sent)
        with self._manager.database.read() as session:
            row = session.get(Opening, log)
            faults = self._faults(session, row) if row is not None else []
        if row is None or not (row.verdict or row.opened or faults):
            self._idle.add(log)
            return
        if row.verdict is None and row.judged < row.position <= self._said.get(log, 0):
            self._pass(log)
            return
        if row.verdict is not None:
            if time.monotonic() >= self._retry.get(log, 0.0):
                self._send(log, row.verdict)
        elif faults or (row.opened and time.monotonic() >= self._due.get(log, 0.0)):
            self._send(log, self._make(log))

    def _pass(self, log: bytes) -> None:
        """The ledger has a verdict on all that was judged: this manager's word before it was restored."""
        with self._manager.database.write() as session:
            row = session.get(Opening, log)
            assert row is not None
            row.judged, row.opened = row.position, 0

    def full(self, log: bytes) -> bool:
        """Whether there are so many faults without a verdict that judging has to wait for one."""
        with self._manager.database.read() as session:
            row = session.get(Opening, log)
            return row is not None and len(self._faults(session, row)) > MOST_FAULTS

    def _make(self, log: bytes) -> bytes:
        with self._manager.database.write() as session:
            row = session.get(Opening, log)
            assert row is not None
            faults = self._faults(session, row)
            value = {
                "log": log.hex(),
                "at": clock.now(),
                "from": row.judged,
                "to": row.position,
                "opened": row.opened,
                "unreadable": [{"leaf": fault.leaf, "reason": fault.reason} for fault in faults],
            }
            key = self._manager.keys.log(log).registrar
            row.verdict = leaf.frame("verdict", documents.encode("verdict", value), key.sign)
            row.judged, row.opened = row.position, 0
            return row.verdict

    def _faults(self, session: Session, row: Opening) -> list[Fault]:
        query = (
            select(Fault)
            .where(Fault.log == row.log, Fault.leaf >= row.judged, Fault.leaf < row.position)
            .order_by(Fault.leaf)
        )
        return list(session.scalars(query))

    def _send(self, log: bytes, verdict: bytes) -> None:
        self._due[log] = time.monotonic() + EVERY
        self._sent[log] = self._manager.submit(log, verdict)

    def _arrived(self, log: bytes, sent: Future[Committed]) -> None:
        error = sent.exception()
        if error is not None and not self._on_ledger(log):
            logger.error("a verdict is not on the ledger yet: %s", error)
            self._retry[log] = time.monotonic() + _PAUSE
            return
        with self._manager.database.write() as session:
            row = session.get(Opening, log)
            assert row is not None
            row.verdict = None

    def _on_ledger(self, log: bytes) -> bool:
        """Whether the ledger's verdicts cover what ours do: the answer was lost, the verdict was not."""
        with self._manager.database.read() as session:
            row = session.get(Opening, log)
        return row is not None and self._manager.judged_on_ledger(log) >= row.judged
