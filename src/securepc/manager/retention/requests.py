"""The register (台帳): who asks for a hold, its end or a redaction, on what ground, and who decided."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from securepc.ledger.state import retention
from securepc.ledger.state.records import HoldRecord
from securepc.manager import clock
from securepc.manager.accounts.model import Account
from securepc.manager.audit import service as audit
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.manager.retention import letters
from securepc.manager.retention.acts import Acts
from securepc.manager.retention.model import RetentionAct, RetentionRequest
from securepc.manager.retention.redaction import Redactions
from securepc.manager.retention.standing import standing
from securepc.wire.signed import batch as headers

if TYPE_CHECKING:
    from securepc.manager.core import Manager

GROUND = 500
"""Most characters of a ground; it is on the ledger for ever."""
REASON = 200


class Requests:
    """At `manager.retention.requests`. Thread-safe. Every act is an entry; refusals stay in the register."""

    def __init__(self, manager: Manager, acts: Acts, redactions: Redactions) -> None:
        self._manager = manager
        self._acts = acts
        self._redactions = redactions

    def all(self, log: bytes, *, waiting: bool = False, kind: str = "") -> list[RetentionRequest]:
        """The register, the latest first; or what waits for a decision, the oldest first."""
        query = select(RetentionRequest).where(RetentionRequest.log == log)
        if kind:
            query = query.where(RetentionRequest.kind == kind)
        if waiting:
            query = query.where(RetentionRequest.state == "waiting").order_by(RetentionRequest.id)
        else:
            query = query.order_by(RetentionRequest.id.desc())
        with self._manager.database.read() as session:
            return list(session.scalars(query.limit(500)))

    def acts(self, log: bytes) -> dict[int, RetentionAct]:
        """What approvals became, by id."""
        query = select(RetentionAct).where(RetentionAct.log == log).order_by(RetentionAct.id.desc())
        with self._manager.database.read() as session:
            return {row.id: row for row in session.scalars(query.limit(1_000))}

    def ask_hold(
        self, log: bytes, device: bytes | None, start: int, stop: int, ground: str, *, actor: str
    ) -> int:
        """Ask that what came in [start, stop) (block time, microseconds) is kept: of one PC, or of all.

        Raises:
            Refusal: there is nothing of the kind, or the ground is missing.
        """
        _need_ground(ground)
        self._leaves(log, device, start, stop)
        return self._add(
            log, "hold", ground, actor, device=device, start=start, stop=stop, hold=secrets.token_bytes(16)
        )

    def ask_release(self, log: bytes, hold: bytes, ground: str, *, actor: str) -> int:
        """Ask that a hold ends; what has expired meanwhile goes then.

        Raises:
            Refusal: it is not in force, somebody asked before, or the ground is missing.
        """
        _need_ground(ground)
        record = standing(self._manager.log, log).registry.get(HoldRecord, hold.hex())
        if record is None or record.released is not None:
            raise NotFound(N_("There is no such hold."))
        if any(row.hold == hold for row in self.all(log, waiting=True, kind="release")):
            raise Refusal(N_("Somebody asked for this before."))
        return self._add(log, "release", ground, actor, hold=hold, device=record.device)

    def ask_redaction(self, log: bytes, device: bytes, sequence: int, ground: str, *, actor: str) -> int:
        """Ask that the text of one entry is destroyed for ever.

        Raises:
            NotFound: the agency has no such entry on its ledger.
            Refusal: it expired, is under a hold, was redacted or asked for before; or the ground is missing.
        """
        _need_ground(ground)
        places = self._manager.log.batches(log, device, sequence, sequence)
        if not places or self._manager.log.device(log, device) is None:
            raise NotFound(N_("There is no such entry on the ledger."))
        found = standing(self._manager.log, log)
        if retention.Spent(found).month(places[0], device) is not None:
            raise Refusal(N_("This entry has expired: its content is gone already."))
        if found.holder(places[0], device) is not None:
            raise Refusal(N_("This entry is under a hold. Nothing of it can be destroyed."))
        if sequence in found.redacted(places[0]):
            raise Refusal(N_("This entry is redacted already."))
        waiting = self.all(log, waiting=True, kind="redact")
        if any((row.batch, row.sequence) == (places[0], sequence) for row in waiting):
            raise Refusal(N_("Somebody asked for this before."))
        return self._add(log, "redact", ground, actor, device=device, batch=places[0], sequence=sequence)

    def approve(self, log: bytes, request: int, *, actor: str) -> None:
        """Say yes: it goes to the ledger, and is carried out from there.

        Raises:
            Refusal: it was decided before; or a second person has to, where there is one.
        """
        with self._manager.database.write() as session:
            row = _waiting(session, log, request)
            if row.asked_by == actor and self.approvers(session, log) > 1:
                raise Refusal(N_("Another administrator than the one who asked has to approve it."))
            said = {"ground": row.ground, "approver": actor[:100]}
            fields: dict[str, Any] = {}
            if row.kind == "hold":
                assert row.hold is not None and row.start is not None and row.stop is not None
                leaves = self._leaves(log, row.device, row.start, row.stop)
                device = row.device.hex() if row.device is not None else None
                fields = {"hold": row.hold.hex(), "device": device, "from": leaves.start, "to": leaves.stop}
            elif row.kind == "release":
                assert row.hold is not None
                fields = {"hold": row.hold.hex()}
            else:
                assert row.batch is not None and row.sequence is not None
                fields = {"leaf": row.batch, "sequence": row.sequence}
                self._redactions.prepare(session, log, row.batch, row.sequence)
            row.act = self._acts.make(session, log, row.kind, fields | said, actor).id
            row.state, row.decided_by, row.decided_at = "approved", actor, clock.now()
            _record(session, row, "approved", actor)
        self._manager.retention.wake()

    def refuse(self, log: bytes, request: int, reason: str, *, actor: str) -> None:
        """Say no; it stays in the register.

        Raises:
            Refusal: it was decided before, or the reason is missing.
        """
        if not 1 <= len(reason) <= REASON:
            raise Refusal(N_("Give a reason of at most 200 characters. It is kept on the ledger."))
        with self._manager.database.write() as session:
            row = _waiting(session, log, request)
            row.state, row.decided_by, row.decided_at, row.reason = "refused", actor, clock.now(), reason
            _record(session, row, "refused", actor)

    def approvers(self, session: Session, log: bytes) -> int:
        """How many people may approve."""
        query = select(func.count()).where(
            Account.log == log, Account.disabled_at.is_(None), Account.role.in_(("admin", "owner"))
        )
        return session.scalar(query) or 0

    def _add(self, log: bytes, kind: str, ground: str, actor: str, **values: Any) -> int:
        with self._manager.database.write() as session:
            row = RetentionRequest(
                log=log,
                kind=kind,
                ground=ground,
                asked_by=actor,
                asked_at=clock.now(),
                state="waiting",
                decided_by="",
                reason="",
                **values,
            )
            session.add(row)
            session.flush()
            _record(session, row, "requested", actor)
            data = {"kind": kind, "by": actor, "ground": ground}
            self._manager.mail.send(session, log, letters.ASKED, data)
            return row.id

    def _leaves(self, log: bytes, device: bytes | None, start: int, stop: int) -> range:
        """The leaves of a period that can still be held, as few as possible.

        Raises:
            Refusal: there are none.
        """
        found = standing(self._manager.log, log)
        first, end = self._first_at(log, start, found.size), self._first_at(log, stop, found.size)
        for gone in retention.expired(found):
            if gone.start <= first < gone.stop or first <= gone.start < end:
                first = gone.stop
        places = [
            index
            for index, leaf in self._manager.log.batch_leaves(log, first, end)
            if device is None or headers.of_leaf(leaf).device == device
        ]
        if not places:
            raise Refusal(N_("Nothing was recorded in this period that could still be kept."))
        return range(places[0], places[-1] + 1)

    def _first_at(self, log: bytes, time: int, size: int) -> int:
        """The first leaf of a block at or after a time: block time only rises."""
        low, high = 0, size
        while low < high:
            middle = (low + high) // 2
            if next(self._manager.log.leaves(log, middle, middle + 1)).block_time < time:
                low = middle + 1
            else:
                high = middle
        return low


def _need_ground(ground: str) -> None:
    if not 1 <= len(ground) <= GROUND:
        raise Refusal(N_("Give the ground in at most 500 characters. It is kept on the ledger."))


def _waiting(session: Session, log: bytes, request: int) -> RetentionRequest:
    row = session.get(RetentionRequest, request)
    if row is None or row.log != log:
        raise NotFound(N_("There is no such request."))
    if row.state != "waiting":
        raise Refusal(N_("Somebody decided this request before."))
    return row


def _record(session: Session, row: RetentionRequest, action: str, actor: str) -> None:
    """The entry of a step of a request."""
    reason = row.reason if action == "refused" else row.ground
    if row.kind == "redact":
        assert row.device is not None
        entry = f"{row.device.hex()}.{row.sequence}"
        told = {"action": action, "entry": entry, "reason": reason, "requester": row.asked_by}
        audit.record(session, row.log, "admin.redact", actor, told)
        return
    what = action if row.kind == "hold" else f"release {action}"
    told = {"action": what, "reason": reason, "requester": row.asked_by}
    if row.device is not None:
        told["device"] = row.device.hex()
    if row.start is not None and row.stop is not None:
        told["period"] = f"{_day(row.start)}/{_day(row.stop - 1)}"
    audit.record(session, row.log, "admin.hold", actor, told)


def _day(time: int) -> str:
    return retention.day_of(time).isoformat()
