"""Have checkpoints cosigned: in the background after the log has grown, at once where evidence is made.

A round takes one snapshot of a log and shows it to every witness at the same time. What the quorum signed is
kept: it is the checkpoint that is handed out, and the one on whose strength PCs may forget.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from securepc.ledger.log import LogReader
from securepc.ledger.snapshot import Snapshot
from securepc.manager import clock
from securepc.manager.alerts.service import close, raise_alert
from securepc.manager.database import Database
from securepc.manager.witnesses.client import Line, NoCosignature, Witness
from securepc.manager.witnesses.model import Cosigned, WitnessState

logger = logging.getLogger(__name__)
ALERTS = {"other-history": "witness-history", "ahead": "witness-ahead"}
SILENT_ALERT = "witness-silent"
_FRESH = clock.DAY
"""So often a log that does not grow is cosigned anew."""
_SILENT = clock.DAY
_SECONDS = 8.0


class Round(NamedTuple):
    """A snapshot whose checkpoint carries the cosignatures that came, and whether they are the quorum."""

    snapshot: Snapshot
    enough: bool


class Witnesses:
    """At `manager.witnesses`. Thread-safe."""

    def __init__(
        self,
        reader: LogReader,
        database: Database,
        witnesses: Sequence[Witness],
        quorum: int,
        seconds: float,
        waits: Callable[[bytes], bool] = lambda log: False,
        contradicted: Callable[[bytes, Witness], None] = lambda log, witness: None,
    ) -> None:
        """`seconds`: between two rounds of a log that grows. `waits`: whether a log was restored and is not
        to be shown to anybody yet. `contradicted` is told of a witness that signed more, or something
        else."""
        self._waits = waits
        self._contradicted = contradicted
        self.witnesses = tuple(witnesses)
        self.quorum = quorum
        self._reader = reader
        self._database = database
        self._seconds = seconds
        self._locks: defaultdict[bytes, threading.Lock] = defaultdict(threading.Lock)
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(max(1, 2 * len(witnesses)), thread_name_prefix="witness")
        self._thread = threading.Thread(target=self._run, name="witnesses", daemon=True)

    def start(self) -> None:
        """Begin with rounds in the background, where there are witnesses."""
        if self.witnesses:
            self._thread.start()

    def close(self) -> None:
        """End; a round that is going on ends with its requests."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2 * _SECONDS)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def snapshot(self, log: bytes) -> Round:
        """A snapshot of now, cosigned now: what evidence is made of.

        Where witnesses do not answer within seconds, it carries what came.
        """
        if not self.witnesses or self._waits(log):
            return Round(self._reader.snapshot(log), self.quorum == 0)
        return self._round(log)

    def cosigned(self, log: bytes) -> bytes | None:
        """The newest checkpoint that the quorum cosigned, as a note with its lines; None before the first."""
        with self._database.read() as session:
            row = session.get(Cosigned, log)
            return None if row is None else row.note

    def begin_anew(self, session: Session, log: bytes) -> None:
        """Forget what was cosigned of a log: it goes on under another origin, as a log of its own."""
        for model in (WitnessState, Cosigned):
            session.execute(delete(model).where(model.log == log))

    def states(self, log: bytes) -> dict[str, WitnessState]:
        """What is known of each witness: verifier key → state."""
        with self._database.read() as session:
            rows = session.scalars(select(WitnessState).where(WitnessState.log == log))
            return {row.witness: row for row in rows}

    # In the background.

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            for log in self._reader.logs():
                if self._stopping.is_set():
                    return
                try:
                    if not self._waits(log) and self._due(log):
                        self._round(log)
                except Exception:
                    logger.exception("a round of witnesses failed")

    def _due(self, log: bytes) -> bool:
        states, size, now = self.states(log), self._reader.size(log), clock.now()
        for witness in self.witnesses:
            state = states.get(str(witness.key))
            if state is None or state.size != size or (state.signed_at or 0) < now - _FRESH:
                return True
        return False

    def _round(self, log: bytes) -> Round:
        with self._locks[log]:
            snapshot = self._reader.snapshot(log)
            states = self.states(log)
            waiting = [
                self._pool.submit(self._ask, log, witness, snapshot, states.get(str(witness.key)))
                for witness in self.witnesses
            ]
            answers = [one.result() for one in waiting]
            lines = b"".join(one.text for one in answers if isinstance(one, Line))
            signed = snapshot._replace(checkpoint=snapshot.checkpoint + lines)
            enough = sum(isinstance(one, Line) for one in answers) >= self.quorum
            self._remember(log, signed, enough, answers)
        for witness, answer in zip(self.witnesses, answers, strict=True):
            if isinstance(answer, NoCosignature) and answer.trouble in ALERTS:
                self._contradicted(log, witness)
        return Round(signed, enough)

    def _ask(
        self, log: bytes, witness: Witness, snapshot: Snapshot, state: WitnessState | None
    ) -> Line | NoCosignature:
        def consistency(old: int) -> list[bytes]:
            return self._reader.consistency(log, old, snapshot.size)

        try:
            known = min(state.size if state else 0, snapshot.size)
            return witness.cosign(snapshot.checkpoint, snapshot.size, known, consistency, _SECONDS)
        except NoCosignature as none:
            return none
        except Exception as error:
            logger.exception("asking %s", witness.name)
            return NoCosignature("garbled", f"{type(error).__name__}: {error}"[:200])

    def _remember(
        self, log: bytes, signed: Snapshot, enough: bool, answers: Sequence[Line | NoCosignature]
    ) -> None:
        now = clock.now()
        with self._database.write() as session:
            for witness, answer in zip(self.witnesses, answers, strict=True):
                self._remember_one(session, log, witness, signed.size, answer, now)
            if enough and self.quorum:
                row = session.get(Cosigned, log)
                if row is None:
                    session.add(Cosigned(log=log, size=signed.size, note=signed.checkpoint, at=now))
                elif row.size <= signed.size:
                    row.size, row.note, row.at = signed.size, signed.checkpoint, now

    def _remember_one(
        self,
        session: Session,
        log: bytes,
        witness: Witness,
        size: int,
        answer: Line | NoCosignature,
        now: int,
    ) -> None:
        key = str(witness.key)
        row = session.get(WitnessState, (log, key))
        if row is None:
            row = WitnessState(
                log=log, witness=key, size=0, signed_at=None, asked_at=now, trouble="", detail=""
            )
            session.add(row)
        began = row.signed_at or (row.asked_at if row.trouble else now)
        if isinstance(answer, Line):
            row.size, row.signed_at, row.asked_at, row.trouble, row.detail = size, now, now, "", ""
            for code in (*ALERTS.values(), SILENT_ALERT):
                close(session, log, code, _mark(witness))
            return
        data = {"name": witness.name, "detail": answer.detail}
        if answer.size is not None:
            row.size = answer.size
        if answer.trouble in ALERTS:
            raise_alert(session, log, ALERTS[answer.trouble], _mark(witness), data)
        elif now - began > _SILENT:
            raise_alert(session, log, SILENT_ALERT, _mark(witness), data)
        if row.signed_at is not None or not row.trouble:
            row.asked_at = now
        row.trouble, row.detail = answer.trouble, answer.detail


def _mark(witness: Witness) -> bytes:
    """What tells alerts of one witness from those of another, where those of a PC have its handle."""
    return witness.key.id.ljust(16, b"\0")
