"""Decide requests, take openings back, note returns, read codes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.approvals.hearing import ASKED
from securepc.manager.approvals.model import IssuedCode, SeenMedium, ShutterRequest, Takeout, TakeoutFile
from securepc.manager.audit import service as audit
from securepc.manager.devices import codes
from securepc.manager.devices.model import Device
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.wire import doors, media, policy
from securepc.wire.codes import ALPHABET
from securepc.wire.signed.canonical import Malformed

if TYPE_CHECKING:
    from securepc.manager.core import Manager

OVERDUE = "takeout-overdue"
WAITS = clock.DAY
"""A request that nobody decides within this time has expired."""
_LISTED = 500


class Approvals:
    """At `manager.approvals`. Thread-safe."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def rules(self, log: bytes) -> doors.Shutter:
        """The shutter's rules for an agency."""
        try:
            return policy.read_rules(self._manager.policies.rules(log)).doors.shutter
        except Malformed:  # signed by a newer version than this
            return doors.Shutter()

    def waiting(self, log: bytes) -> list[ShutterRequest]:
        """Requests to decide, the oldest first."""
        query = (
            select(ShutterRequest)
            .where(ShutterRequest.log == log, ShutterRequest.state == "waiting")
            .order_by(ShutterRequest.asked_at)
            .limit(_LISTED)
        )
        with self._manager.database.read() as session:
            return list(session.scalars(query))

    def decided(self, log: bytes, limit: int = 30) -> list[ShutterRequest]:
        """Requests that were decided or have expired, the latest first."""
        query = (
            select(ShutterRequest)
            .where(ShutterRequest.log == log, ShutterRequest.state != "waiting")
            .order_by(ShutterRequest.id.desc())
            .limit(limit)
        )
        with self._manager.database.read() as session:
            return list(session.scalars(query))

    def approve(
        self, log: bytes, request: int, minutes: int, access: str, due: int | None, *, actor: str
    ) -> None:
        """Sign the grant that a request asks for.

        Args:
            minutes: at most what the policy allows.
            access: "read", or "write" where that was asked for.
            due: by when the medium is to be back; for "write" a week where it is None.

        Raises:
            Refusal: it was decided before, the PC was restarted, or it is more than may be given.
        """
        rules = self.rules(log)
        beat = None
        with self._manager.database.write() as session:
            row = _request(session, log, request)
            beat = self._manager.presence.last(row.device)
            if access not in ("read", "write") or (access == "write" and row.access != "write"):
                raise Refusal(N_("More than was asked for can't be given."))
            if not 1 <= minutes <= rules.longest:
                raise Refusal(N_("Enter a whole number from 1 to %(most)d."), most=rules.longest)
            if beat is None or beat.boot != row.boot:
                raise Refusal(
                    N_(
                        "The PC was restarted since, or has not been heard of. Have the person ask again, or"
                        " give a code by telephone."
                    )
                )
            now = clock.now()
            due = (due or now + 7 * clock.DAY) if access == "write" else None
            fields: dict[str, Any] = {
                "boot": row.boot.hex(),
                "until_up": beat.up + (now - beat.at) + minutes * clock.MINUTE,
                "user": row.requester or None,
                "access": access,
                "medium": {
                    "kind": row.kind,
                    "vendor": row.vendor,
                    "product": row.product,
                    "serial": row.serial,
                },
                "purpose": row.purpose or "-",
                "requester": row.requester or "-",
                "approver": actor[:100],
            }
            row.grant = self._manager.commands.grant(
                session, log, row.device, fields, actor=actor, lifetime=minutes * clock.MINUTE
            )
            _decide(session, row, "approved", actor)
            row.due_at = due
            data = {
                "device": row.device.hex(),
                "action": "approve",
                "grant": str(row.grant),
                "request": row.name,
                "medium": row.medium,
                "minutes": minutes,
                "access": access,
            }
            audit.record(session, log, "admin.shutter", actor, data)

    def refuse(self, log: bytes, request: int, reason: str, *, actor: str) -> None:
        """Refuse a request; the person at the PC is told why.

        Raises:
            Refusal: it was decided before, or the reason is missing.
        """
        if not 1 <= len(reason) <= 200:
            raise Refusal(N_("Give a reason of at most 200 characters. It is kept on the ledger."))
        with self._manager.database.write() as session:
            row = _request(session, log, request)
            _decide(session, row, "refused", actor)
            row.reason = reason
            args = {"request": row.name, "user": row.requester, "reason": reason, "approver": actor[:100]}
            self._manager.commands.issue(session, log, row.device, "shutter.refuse", args, actor=actor)
            data = {
                "device": row.device.hex(),
                "action": "refuse",
                "request": row.name,
                "medium": row.medium,
                "reason": reason,
            }
            audit.record(session, log, "admin.shutter", actor, data)

    def take_back(self, log: bytes, takeout: int, *, actor: str) -> None:
        """Order the PC to close an opening now."""
        with self._manager.database.write() as session:
            row = _takeout(session, log, takeout)
            args = {"grant": row.number}
            self._manager.commands.issue(session, log, row.device, "shutter.close", args, actor=actor)
            data = {"device": row.device.hex(), "action": "close", "grant": row.number, "medium": row.medium}
            audit.record(session, log, "admin.shutter", actor, data)

    def try_now(self, log: bytes, device: bytes, *, actor: str) -> None:
        """Order a PC to try its shutter."""
        with self._manager.database.write() as session:
            self._manager.commands.issue(session, log, device, "shutter.test", actor=actor)
            audit.record(session, log, "admin.shutter", actor, {"device": device.hex(), "action": "test"})

    def returned(self, log: bytes, takeout: int, note: str, *, actor: str) -> None:
        """The medium is back."""
        with self._manager.database.write() as session:
            row = _takeout(session, log, takeout)
            if row.returned_at is not None:
                raise Refusal(N_("It was noted as returned before."))
            row.returned_at, row.returned_by, row.note = clock.now(), actor, note[:200]
            data = {
                "device": row.device.hex(),
                "action": "return",
                "grant": row.number,
                "medium": row.medium,
                "detail": note[:200],
            }
            audit.record(session, log, "admin.shutter", actor, data)
            session.flush()
            if not session.scalar(_overdue(log, clock.now()).where(Takeout.device == row.device).limit(1)):
                alerts.close(session, log, OVERDUE, row.device, by=actor)

    def takeouts(self, log: bytes, *, outside: bool = False, limit: int = _LISTED) -> list[Takeout]:
        """The ledger, the latest first; `outside`: only media that are not back."""
        query = select(Takeout).where(Takeout.log == log)
        if outside:
            query = query.where(Takeout.due_at.is_not(None), Takeout.returned_at.is_(None))
        with self._manager.database.read() as session:
            return list(session.scalars(query.order_by(Takeout.id.desc()).limit(limit)))

    def takeout(self, log: bytes, takeout: int) -> tuple[Takeout, list[TakeoutFile]]:
        """One line with its files.

        Raises:
            NotFound: this agency has no such one.
        """
        with self._manager.database.read() as session:
            row = _takeout(session, log, takeout)
            query = select(TakeoutFile).where(TakeoutFile.takeout == row.id).order_by(TakeoutFile.id)
            return row, list(session.scalars(query))

    def media(self, log: bytes, limit: int = 200) -> list[SeenMedium]:
        """Media that were closed somewhere, the latest first."""
        query = select(SeenMedium).where(SeenMedium.log == log).order_by(SeenMedium.seen_at.desc())
        with self._manager.database.read() as session:
            return list(session.scalars(query.limit(limit)))

    def code(
        self,
        log: bytes,
        device: bytes,
        challenge: str,
        tag: str,
        minutes: int,
        access: str,
        reason: str,
        *,
        actor: str,
    ) -> str:
        """The code to read out; that it was issued is an entry.

        Raises:
            Refusal: something was mistyped, or it is more than the policy allows.
        """
        tag = "".join(tag.upper().split())
        if len(tag) != media.TAG or any(letter not in ALPHABET for letter in tag):
            raise Refusal(N_("The medium's number has four characters. Have it read out again."))
        longest = self.rules(log).longest
        if not 1 <= minutes <= longest:
            raise Refusal(N_("Enter a whole number from 1 to %(most)d."), most=longest)
        if access not in ("read", "write") or not 1 <= len(reason) <= 200:
            raise Refusal(N_("Give a reason of at most 200 characters. It is kept on the ledger."))
        with self._manager.database.write() as session:
            details = media.code_details(access, minutes, tag)
            keys = self._manager.keys
            found = codes.answer(
                session, keys, log, device, "shutter", challenge, details, actor=actor, reason=reason
            )
            session.add(
                IssuedCode(
                    log=log,
                    device=device,
                    tag=tag,
                    access=access,
                    minutes=minutes,
                    issued_at=clock.now(),
                    issued_by=actor,
                )
            )
        return found

    def look(self) -> None:
        """Called by the ticker: requests expire, media that are not back are alerts."""
        now = clock.now()
        with self._manager.database.write() as session:
            late = ShutterRequest.state == "waiting", ShutterRequest.asked_at < now - WAITS
            devices = set(
                session.execute(select(ShutterRequest.log, ShutterRequest.device).where(*late)).all()
            )
            session.execute(update(ShutterRequest).where(*late).values(state="expired", decided_at=now))
            for log, device in devices:
                _settle(session, log, device, "")
            for row in session.scalars(_overdue(None, now)):
                if not alerts.is_open(session, row.log, OVERDUE, row.device):
                    device_row = session.get(Device, row.device)
                    data = {
                        "name": device_row.name if device_row else "",
                        "medium": row.medium,
                        "requester": row.requester,
                    }
                    alerts.raise_alert(session, row.log, OVERDUE, row.device, data)


def _overdue(log: bytes | None, now: int) -> Any:
    query = select(Takeout).where(Takeout.due_at < now, Takeout.returned_at.is_(None))
    return query if log is None else query.where(Takeout.log == log)


def _request(session: Session, log: bytes, request: int) -> ShutterRequest:
    row = session.get(ShutterRequest, request)
    if row is None or row.log != log:
        raise NotFound(N_("There is no such request."))
    if row.state != "waiting":
        raise Refusal(N_("Somebody decided this request before."))
    return row


def _takeout(session: Session, log: bytes, takeout: int) -> Takeout:
    row = session.get(Takeout, takeout)
    if row is None or row.log != log:
        raise NotFound(N_("There is no such take-out."))
    return row


def _decide(session: Session, row: ShutterRequest, state: str, actor: str) -> None:
    row.state, row.decided_at, row.decided_by = state, clock.now(), actor
    session.flush()
    _settle(session, row.log, row.device, actor)


def _settle(session: Session, log: bytes, device: bytes, actor: str) -> None:
    """No alert stays open for requests that are all decided."""
    left = select(func.count()).where(ShutterRequest.device == device, ShutterRequest.state == "waiting")
    if not session.scalar(left):
        alerts.close(session, log, ASKED, device, by=actor)
