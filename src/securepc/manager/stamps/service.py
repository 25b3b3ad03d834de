"""Have checkpoints stamped: every so often in the background, and at once where somebody asks for it.

1. the log's newest checkpoint is shown to the authority: a hash of its text
2. what comes back is verified against the configured certificates, and kept with the certificates it brings
3. in the same SQL transaction goes an entry with its SHA-256: the next stamp then covers this one, so that a
   stamp whose certificate expires is shown by later ones to be from before
"""

from __future__ import annotations

import hashlib
import logging
import threading

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import note
from securepc.ledger.log import LogReader
from securepc.manager import clock
from securepc.manager.alerts.service import close, raise_alert
from securepc.manager.audit import service as audit
from securepc.manager.database import Database
from securepc.manager.stamps import client
from securepc.manager.stamps.client import NoStamp
from securepc.manager.stamps.model import Stamp, StampAttempt

logger = logging.getLogger(__name__)
LATE_ALERT = "stamp-late"
_LATE = 3 * clock.DAY
"""So long without a stamp is an alarm."""
_LOOK = 1.0
_PAUSES = (1, 5, 15, 60)
"""Minutes before what failed once, twice, … is tried again."""
BACKGROUND = "manager"
"""Who asked, in entries, where nobody did."""


class Stamps:
    """At `manager.stamps`. Thread-safe."""

    def __init__(
        self, reader: LogReader, database: Database, url: str, authorities: bytes, hours: float
    ) -> None:
        """`url` empty: no authority is asked. `authorities`: PEM; `hours` between two stamps of a log."""
        self.url = url
        self._authorities = authorities
        self._reader = reader
        self._database = database
        self._every = int(hours * 3_600_000_000)
        self._one_at_a_time = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stamps", daemon=True)

    @property
    def is_configured(self) -> bool:
        """Whether there is an authority to ask."""
        return bool(self.url)

    def start(self) -> None:
        """Begin to ask in the background, where there is somebody to ask."""
        if self.is_configured:
            self._thread.start()

    def close(self) -> None:
        """End; a request that is under way is not waited for long."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def stamp(self, log: bytes, actor: str) -> Stamp:
        """Have the newest checkpoint stamped now; the one there is where the log has not grown since.

        Raises:
            NoStamp: none came; it is remembered why.
        """
        with self._one_at_a_time:
            signed = note.parse(self._reader.checkpoint(log)).text
            text, size = signed.encode("utf-8"), checkpoints.parse(signed).size
            with self._database.read() as session:
                known = session.get(Stamp, (log, size))
            if known is not None and known.text == text:
                return known
            try:
                answer = client.stamp(self.url, text, self._authorities)
            except NoStamp as none:
                self._missed(log, none)
                raise
            said = answer.stamped
            made = Stamp(
                log=log,
                size=size,
                time=said.time,
                authority=said.authority,
                expires=said.expires,
                text=text,
                response=answer.response,
            )
            self._keep(made, actor)
            return made

    def newest(self, log: bytes, limit: int = 1) -> list[Stamp]:
        """The newest stamps, newest first."""
        with self._database.read() as session:
            query = select(Stamp).where(Stamp.log == log).order_by(Stamp.size.desc()).limit(limit)
            return list(session.scalars(query))

    def one(self, log: bytes, size: int) -> Stamp | None:
        """The stamp over the checkpoint of this size."""
        with self._database.read() as session:
            return session.get(Stamp, (log, size))

    def covering(self, log: bytes, leaf: int, size: int) -> Stamp | None:
        """The earliest stamp that covers this leaf and that a checkpoint of `size` leaves continues."""
        with self._database.read() as session:
            query = select(Stamp).where(Stamp.log == log, Stamp.size > leaf, Stamp.size <= size)
            for row in session.scalars(query.order_by(Stamp.size)):
                # A log that was restored from a backup may have grown another way than what was stamped.
                if checkpoints.parse(row.text.decode("utf-8")).root == self._reader.root(log, row.size):
                    return row
        return None

    def attempt(self, log: bytes) -> StampAttempt | None:
        """How the last time went."""
        with self._database.read() as session:
            return session.get(StampAttempt, log)

    def late(self) -> bool:
        """Whether some log has had no stamp for days, although there is somebody to ask."""
        if not self.is_configured:
            return False
        with self._database.read() as session:
            first = session.scalar(select(func.min(StampAttempt.since)))
        return first is not None and clock.now() - first > _LATE

    # In the background.

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK):
            for log in self._reader.logs():
                if self._stopping.is_set():
                    return
                try:
                    if self._due(log):
                        self.stamp(log, BACKGROUND)
                except NoStamp as none:
                    logger.warning("no time stamp (%s): %s", none.trouble, none.detail)
                except Exception:
                    logger.exception("asking for a time stamp failed")

    def _due(self, log: bytes) -> bool:
        known, now = self.attempt(log), clock.now()
        if known is None:
            return True
        if known.failed:
            pause = _PAUSES[min(known.failed, len(_PAUSES)) - 1] * clock.MINUTE
            return now >= known.at + pause or now < known.at
        if now < known.since + self._every and now >= known.since:
            return False
        stamped = self.newest(log)
        # Nothing new, nothing to stamp; in practice each stamp brings an entry of its own.
        return not stamped or stamped[0].size < self._reader.size(log)

    def _keep(self, made: Stamp, actor: str) -> None:
        now = clock.now()
        with self._database.write() as session:
            session.merge(made)
            row = _attempt(session, made.log, now)
            row.since, row.at, row.failed, row.trouble, row.detail = now, now, 0, "", ""
            close(session, made.log, LATE_ALERT)
            data = {
                "authority": made.authority,
                "stamped": made.time,
                "count": made.size,
                "sha256": hashlib.sha256(made.response).hexdigest(),
            }
            audit.record(session, made.log, "admin.stamp", actor, data)

    def _missed(self, log: bytes, none: NoStamp) -> None:
        now = clock.now()
        with self._database.write() as session:
            row = _attempt(session, log, now)
            row.at, row.failed, row.trouble, row.detail = now, row.failed + 1, none.trouble, none.detail
            if now - row.since > _LATE:
                raise_alert(session, log, LATE_ALERT, data={"detail": none.detail})


def _attempt(session: Session, log: bytes, now: int) -> StampAttempt:
    row = session.get(StampAttempt, log)
    if row is None:
        row = StampAttempt(log=log, since=now, at=now, failed=0, trouble="", detail="")
        session.add(row)
    return row
