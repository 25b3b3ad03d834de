"""Contract, months, holds, redactions: what people ask for and decide, and what happens by itself in time."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from securepc.ledger.sequencer.solo import SoloSequencer
from securepc.ledger.state import retention
from securepc.ledger.state.records import ContractRecord
from securepc.ledger.store import StoreError
from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.audit import service as audit
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.manager.retention import letters
from securepc.manager.retention.acts import Acts
from securepc.manager.retention.buried import Buried
from securepc.manager.retention.carrying import Carrier
from securepc.manager.retention.kept import Kept
from securepc.manager.retention.model import RetentionAct, RetentionMonth
from securepc.manager.retention.redaction import Redactions
from securepc.manager.retention.requests import Requests
from securepc.manager.retention.standing import Standing, standing

if TYPE_CHECKING:
    from securepc.manager.core import Manager

logger = logging.getLogger(__name__)
ANNOUNCE = 45 * clock.DAY
"""So long before a month expires people are told."""
NOTICE = 30 * clock.DAY
"""So long after people were told a month expires at the earliest: nobody finds it gone without a warning."""
LOOK = 60.0
"""Seconds between two rounds."""
LEAP = "clock-leap"
NAME = "manager"
"""Who acts where nobody does: in entries and in the register."""


class Month(NamedTuple):
    """A month of an agency's log. `state`: kept, announced, due, expiring (the ledger says so, but some of
    it is still there), gone. `held`: a hold in force covers some of it. Times: microseconds UTC."""

    month: str
    leaves: int
    expires: int
    state: str
    held: bool
    announced_at: int | None
    gone_at: int | None


class Retention:
    """At `manager.retention`. Thread-safe; `round` is called by one thread at a time."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self.redactions = Redactions(manager)
        self.acts = Acts(manager)
        self.requests = Requests(manager, self.acts, self.redactions)
        self.buried = Buried(manager, self.acts, self.redactions)
        self._carrier = Carrier(manager, self.redactions)
        self._rounds = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    # -- for others

    def standing(self, log: bytes) -> Standing:
        """An agency's records, as the ledger has them now."""
        return standing(self._manager.log, log)

    def kept(self, log: bytes) -> Kept:
        """What of an agency's log is still kept, for those who open batches."""
        return Kept(log, self.standing(log), self.redactions, self.buried.hidden(log))

    def replay(self) -> None:
        """Destroy again all that the ledger says is destroyed: to be called after a restore, before anything
        else is done with the restored files. Keys and search files of an older backup hold what had to go.

        Raises:
            OSError: the disk is full or fails.
        """
        with self._rounds:
            self._carrier = Carrier(self._manager, self.redactions)
            for log in self._manager.log.logs():
                if self._manager.moves.away(log):
                    continue
                self._carrier.carry_out(log)

    # -- contract

    def months(self, log: bytes, contract: ContractRecord | None = None) -> list[Month]:
        """The months with records, the oldest first; under another contract where one is given."""
        found = self.standing(log)
        now = clock.now()
        with self._manager.database.read() as session:
            query = select(RetentionMonth).where(RetentionMonth.log == log)
            told = {row.month: row for row in session.scalars(query)}
        months = []
        for record in found.months:
            leaves = found.leaves(record)
            expires = retention.expires(record.month, contract or found.contract)
            row = told.get(record.month)
            held = any(h.start < leaves.stop and leaves.start < h.stop for h in retention.in_force(found))
            if record.expired is not None:
                state = "gone" if row is not None and row.gone_at is not None else "expiring"
            else:
                state = "due" if now >= expires else "announced" if row is not None else "kept"
            announced, gone = (row.announced_at, row.gone_at) if row is not None else (None, None)
            months.append(Month(record.month, len(leaves), expires, state, held, announced, gone))
        return months

    def set_contract(self, log: bytes, start: str, end: str, *, actor: str) -> None:
        """Say when the agency's contract began and, unless empty, which day is its last.

        Raises:
            Refusal: no such days, or the end is before the start or before today.
        """
        record = self.proposed(log, start, end)
        with self._manager.database.write() as session:
            before = self.standing(log).contract
            fields = {"start": record.start, "end": record.end}
            self.acts.make(session, log, "contract", fields, actor)
            data = {"period": _period(record), "previous": _period(before)}
            audit.record(session, log, "admin.contract", actor, data)
        self.wake()

    def proposed(self, log: bytes, start: str, end: str) -> ContractRecord:
        """The contract that a form asks for.

        Raises:
            Refusal: as `set_contract`.
        """
        first, last = retention.day(start), retention.day(end) if end else None
        if first is None or (end and last is None):
            raise Refusal(N_("Enter days as they are in the calendar."))
        if last is not None and last < first:
            raise Refusal(N_("The contract can't end before it starts."))
        if last is not None and last < retention.day_of(clock.now()):
            raise Refusal(N_("The contract's last day can't be in the past: records would expire early."))
        return ContractRecord(start, end or None, clock.now(), 0)

    # -- the clock

    def leap(self) -> tuple[int, int] | None:
        """The last block's time and the clock's, where blocks wait until somebody confirms the clock."""
        sequencer = self._manager.sequencer
        return sequencer.leap() if isinstance(sequencer, SoloSequencer) else None

    def confirm_clock(self, log: bytes, *, actor: str) -> None:
        """Somebody looked at the clock: it is right, and the ledger goes on.

        Raises:
            NotFound: the clock needs no confirmation.
        """
        leap, sequencer = self.leap(), self._manager.sequencer
        if leap is None or not isinstance(sequencer, SoloSequencer):
            raise NotFound(N_("The clock needs no confirmation."))
        with self._manager.database.write() as session:
            data = {"name": "clock", "previous": str(leap[0]), "state": str(leap[1])}
            audit.record(session, log, "admin.setting", actor, data)
            alerts.close(session, b"", LEAP, by=actor)
        sequencer.confirm(leap[1] + clock.HOUR)
        self.wake()

    # -- what happens by itself

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to do. Returns at once."""
        self._wake.set()

    def close(self) -> None:
        """Finish the round in hand, and stop."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def round(self) -> None:
        """Send what waits, announce what will expire, let expire what is due, carry out what the ledger says.

        Raises:
            StoreError, OSError: it is tried again.
        """
        with self._rounds:
            if self._is_leaping():
                return
            for log in self._manager.devices.agencies():
                if log in self._manager.log.logs():
                    self.buried.settle(log)
            self.acts.send()
            for log in self._manager.devices.agencies():
                if log in self._manager.log.logs():
                    self._announce(log)
                    if self._expire(log):
                        self.acts.send()
                    self._see_gone(log, self._carrier.carry_out(log))

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.round()
            except (StoreError, OSError) as error:
                logger.warning("retention goes on later: %s", error)
            except Exception:
                logger.exception("retention failed; it is tried again")
            self._wake.wait(LOOK)
            self._wake.clear()  # before all looks, also the one whether to stop

    def _is_leaping(self) -> bool:
        """Whether the clock is in doubt: then nothing at all is done by it."""
        leap = self.leap()
        with self._manager.database.read() as session:
            known = alerts.is_open(session, b"", LEAP)
        if (leap is not None) != known:
            with self._manager.database.write() as session:
                if leap is None:
                    alerts.close(session, b"", LEAP)
                else:
                    days = (leap[1] - leap[0]) // clock.DAY
                    alerts.raise_alert(session, b"", LEAP, data={"days": days})
        return leap is not None

    def _announce(self, log: bytes) -> None:
        """Tell people which months will expire, once each; again where that is later than they were told."""
        now = clock.now()
        found = self.standing(log)
        soon: list[tuple[str, int]] = []
        with self._manager.database.write() as session:
            for record in found.months:
                if record.expired is not None:
                    continue
                expires = retention.expires(record.month, found.contract)
                row = session.get(RetentionMonth, (log, record.month))
                if now < expires - ANNOUNCE:
                    if row is not None:  # the contract goes on after all
                        session.delete(row)
                elif row is None:
                    when = max(expires, now + NOTICE)
                    session.add(
                        RetentionMonth(
                            log=log, month=record.month, announced_at=now, expires_at=when, gone_at=None
                        )
                    )
                    soon.append((record.month, when))
            if soon:
                self._manager.mail.send(session, log, letters.SOON, letters.data(soon))
                period = ", ".join(month for month, _ in soon)
                told = {"action": "announced", "period": period, "expires": soon[0][1]}
                audit.record(session, log, "admin.retention", NAME, told)

    def _expire(self, log: bytes) -> bool:
        """Write down that those months expire whose time has come; whether there are any."""
        now = clock.now()
        found = self.standing(log)
        waiting = {act["month"] for act in self.acts.waiting(log) if act["kind"] == "expire"}
        due = []
        with self._manager.database.read() as session:
            for record in found.months:
                row = session.get(RetentionMonth, (log, record.month))
                ready = row is not None and now >= row.announced_at + NOTICE
                over = now >= retention.expires(record.month, found.contract)
                if record.expired is None and ready and over and record.month not in waiting:
                    due.append(record.month)
        if due:
            with self._manager.database.write() as session:
                for month in due:
                    self.acts.make(session, log, "expire", {"month": month}, NAME)
        return bool(due)

    def _see_gone(self, log: bytes, months: list[str]) -> None:
        """Note once that nothing is left of these months: an entry, a mail."""
        new: list[tuple[str, int]] = []
        with self._manager.database.read() as session:
            rows = {month: session.get(RetentionMonth, (log, month)) for month in months}
        if all(row is not None and row.gone_at is not None for row in rows.values()):
            return
        now = clock.now()
        with self._manager.database.write() as session:
            for month in months:
                row = session.get(RetentionMonth, (log, month))
                if row is None:  # a database that is older than the ledger
                    row = RetentionMonth(log=log, month=month, announced_at=now, expires_at=now, gone_at=None)
                    session.add(row)
                if row.gone_at is None:
                    row.gone_at = now
                    new.append((month, now))
            self._manager.mail.send(session, log, letters.GONE, letters.data(new))
            told = {"action": "expired", "period": ", ".join(month for month, _ in new)}
            audit.record(session, log, "admin.retention", NAME, told)


def refused_acts(session: Session, log: bytes) -> list[RetentionAct]:
    """What the ledger did not take, the latest first."""
    query = select(RetentionAct).where(RetentionAct.log == log, RetentionAct.state == "refused")
    return list(session.scalars(query.order_by(RetentionAct.id.desc()).limit(20)))


def _period(contract: ContractRecord | None) -> str:
    return "" if contract is None else f"{contract.start}/{contract.end or ''}"
