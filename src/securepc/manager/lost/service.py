"""Report a PC lost, release it, and remember what it said of its lock and its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.alerts.service import close, raise_alert
from securepc.manager.audit import service as audit
from securepc.manager.commands.model import Command
from securepc.manager.devices import codes
from securepc.manager.devices.registry import of_agency
from securepc.manager.happenings.service import Happening
from securepc.manager.lost.model import LockEvent, LostCase, Sighting
from securepc.manager.refusal import N_, NotFound, Refusal

if TYPE_CHECKING:
    from securepc.manager.core import Manager

KINDS = (
    "lock.command",
    "lock.self",
    "lock.soon",
    "lock.done",
    "lock.failed",
    "lock.ended",
    "lock.refused",
    "lock.released",
)
GHOST = ("close", "forbid", "destroy")
PURPOSE, DETAILS = "lock", "release"
"""What a release code is for: docs/formats/codes.md."""
_MOST = 5_000
"""Entries of a PC that are kept here; all of them are on the ledger."""
_DEGREES = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,9})?")
_ALERTS = {"lock.self": "lock-self", "lock.failed": "lock-failed", "lock.refused": "lock-refused"}


class Standing(NamedTuple):
    """A PC as far as its lock goes. `phase`: `free`; or with an open case `ordered` (not delivered yet),
    `sent`, `failed`, `locked`; `self` where it locked itself; `releasing` where its release is on the way.
    Locked is only what the PC has seen: `seen` is the entry that says so."""

    phase: str
    case: LostCase | None
    order: Command | None
    release: Command | None
    seen: LockEvent | None
    ghost: Command | None = None
    """The order to forbid or destroy its Ghost Drive."""


class Lost:
    """At `manager.lost`. What concerns another agency's device does not exist. Thread-safe."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def standing(self, log: bytes, device: bytes) -> Standing:
        """How a PC stands now."""
        with self._manager.database.read() as session:
            return standing(session, log, device)

    def report(
        self, log: bytes, device: bytes, reason: str, *, ghost: str, location: bool, actor: str
    ) -> int:
        """Report a PC lost: it is locked as soon as the order reaches it. Gives the case's number.

        Args:
            ghost: `close` its Ghost Drive; also `forbid` it, so that no share of its key is released; or
                `destroy` the share, for ever.

        Raises:
            Refusal: no such PC, no reason, or it is reported lost already.
        """
        reason = _reason(reason)
        if ghost not in GHOST:
            raise Refusal(N_("Choose what becomes of the Ghost Drive."))
        with self._manager.database.write() as session:
            row = of_agency(session, log, device)
            if row is None or row.state != "enrolled":
                raise NotFound(N_("There is no such PC."))
            if _open_case(session, log, device) is not None:
                raise Refusal(N_("This PC is reported lost already."))
            args = {
                "reason": reason,
                "approver": actor,
                "location": location,
                "ghost": "destroy" if ghost == "destroy" else "close",
            }
            number = self._manager.commands.issue(session, log, device, "lock", args, actor=actor)
            case = LostCase(
                log=log,
                device=device,
                reason=reason,
                ghost=ghost,
                ghost_done=ghost == "close",
                location=location,
                opened_by=actor,
                opened_at=clock.now(),
                lock_order=number,
                closed_by="",
                closed_at=None,
                closed_why="",
                unlock_order=None,
            )
            session.add(case)
            session.flush()
            raise_alert(session, log, "lost", device, {"name": row.name, "reason": reason})
            data = {"device": device.hex(), "action": "report", "reason": reason, "ghost": ghost}
            audit.record(session, log, "admin.lost", actor, data)
        self.finish()
        return case.id

    def release(self, log: bytes, device: bytes, reason: str, *, actor: str) -> None:
        """Order a PC to be released, and close its case.

        Raises:
            Refusal: no such PC, no reason, or it is not locked.
        """
        reason = _reason(reason)
        with self._manager.database.write() as session:
            found = standing(session, log, device)
            if of_agency(session, log, device) is None:
                raise NotFound(N_("There is no such PC."))
            if found.phase in ("free", "releasing"):
                raise Refusal(N_("This PC is not locked."))
            args = {"approver": actor, "reason": reason}
            number = self._manager.commands.issue(session, log, device, "unlock", args, actor=actor)
            if found.case is not None:
                found.case.closed_by, found.case.closed_at = actor, clock.now()
                found.case.closed_why, found.case.unlock_order = reason, number
            close(session, log, "lost", device, by=actor)
            data = {"device": device.hex(), "action": "release", "reason": reason}
            audit.record(session, log, "admin.lost", actor, data)

    def locate(self, log: bytes, device: bytes, *, actor: str) -> None:
        """Order a PC to say where it is, once. Only a PC that is reported lost, or locked itself: nobody's
        PC is followed around.

        Raises:
            Refusal: it is neither.
        """
        with self._manager.database.write() as session:
            if standing(session, log, device).phase == "free":
                raise Refusal(N_("Only a PC that is reported lost can be located."))
            self._manager.commands.issue(session, log, device, "locate", actor=actor)
            data = {"device": device.hex(), "action": "locate"}
            audit.record(session, log, "admin.lost", actor, data)

    def code(self, log: bytes, device: bytes, challenge: str, reason: str, *, actor: str) -> str:
        """The release code for the number that a locked PC shows.

        Raises:
            Refusal: no such PC, no reason, a mistyped number, or a PC without codes.
        """
        reason = _reason(reason)
        with self._manager.database.write() as session:
            if of_agency(session, log, device) is None:
                raise NotFound(N_("There is no such PC."))
            keys = self._manager.keys
            return codes.answer(
                session, keys, log, device, PURPOSE, challenge, DETAILS, actor=actor, reason=reason
            )

    def events(self, log: bytes, device: bytes, since: int = 0, limit: int = 500) -> list[LockEvent]:
        """What a PC said of its lock, the newest first; `since`: microseconds of block time."""
        with self._manager.database.read() as session:
            query = (
                select(LockEvent)
                .where(LockEvent.log == log, LockEvent.device == device, LockEvent.received >= since)
                .order_by(LockEvent.id.desc())
                .limit(limit)
            )
            return list(session.scalars(query))

    def places(self, log: bytes, device: bytes, limit: int = 100) -> list[Sighting]:
        """Where a PC was, the newest first."""
        with self._manager.database.read() as session:
            query = (
                select(Sighting)
                .where(Sighting.log == log, Sighting.device == device)
                .order_by(Sighting.at.desc(), Sighting.id.desc())
                .limit(limit)
            )
            return list(session.scalars(query))

    def cases(self, log: bytes, device: bytes) -> list[LostCase]:
        """A PC's cases, the newest first."""
        with self._manager.database.read() as session:
            query = (
                select(LostCase)
                .where(LostCase.log == log, LostCase.device == device)
                .order_by(LostCase.id.desc())
            )
            return list(session.scalars(query))

    def finish(self) -> None:
        """Have the Ghost Drives of reported PCs forbidden or destroyed; also what a killed manager left."""
        with self._manager.database.read() as session:
            rows = list(session.scalars(select(LostCase).where(LostCase.ghost_done.is_(False))))
        for row in rows:
            ghosts = self._manager.ghosts
            act = ghosts.destroy if row.ghost == "destroy" else ghosts.forbid
            act(row.log, row.device, row.reason, actor=row.opened_by)
            with self._manager.database.write() as session:
                case = session.get(LostCase, row.id)
                assert case is not None
                case.ghost_done = True

    def heard(self, session: Session, happening: Happening) -> None:
        """An entry of a PC about its lock."""
        event = happening.event
        mine = (LockEvent.device == happening.device, LockEvent.log == happening.log)
        if (session.scalar(select(func.count()).where(*mine)) or 0) >= _MOST and event.kind == "lock.ended":
            return
        session.add(
            LockEvent(
                log=happening.log,
                device=happening.device,
                kind=event.kind,
                at=event.at,
                received=happening.block_time,
                user=event.user[:100],
                data={name: _short(value) for name, value in list(event.data.items())[:20]},
                entry=happening.id,
            )
        )
        row = of_agency(session, happening.log, happening.device)
        data = {"name": row.name if row else "", "detail": _short(event.data.get("observed", ""))}
        if code := _ALERTS.get(event.kind):
            raise_alert(session, happening.log, code, happening.device, data)
        if event.kind in ("lock.done", "lock.released"):
            close(session, happening.log, "lock-failed", happening.device)
        if event.kind == "lock.released":
            close(session, happening.log, "lock-self", happening.device)
            self._released(session, happening)

    def _released(self, session: Session, happening: Happening) -> None:
        """A case ends with the release that its PC has seen, by whichever way."""
        case = _open_case(session, happening.log, happening.device)
        if case is not None and happening.event.data.get("how") == "code":
            case.closed_at, case.closed_why = happening.block_time, "code"
            close(session, happening.log, "lost", happening.device)

    def located(self, session: Session, happening: Happening) -> None:
        """An entry of a PC about its place."""
        data = happening.event.data
        mine = (Sighting.device == happening.device, Sighting.log == happening.log)
        if (session.scalar(select(func.count()).where(*mine)) or 0) >= _MOST:
            oldest = session.scalars(select(Sighting).where(*mine).order_by(Sighting.id).limit(1)).first()
            session.delete(oldest)
        accuracy = data.get("accuracy")
        why = data.get("no_position")
        session.add(
            Sighting(
                log=happening.log,
                device=happening.device,
                at=happening.event.at,
                received=happening.block_time,
                latitude=_degrees(data.get("latitude"), 90),
                longitude=_degrees(data.get("longitude"), 180),
                accuracy=accuracy if type(accuracy) is int and 0 <= accuracy < 10**9 else None,
                source=_short(data.get("source", ""))[:40],
                network=_short(data.get("network", "")),
                why={name: _short(why.get(name, "")) for name in ("ja", "en")}
                if isinstance(why, dict)
                else {},
                entry=happening.id,
            )
        )


def standing(session: Session, log: bytes, device: bytes) -> Standing:
    """How a PC stands, in one consistent view."""
    last = session.scalars(
        select(LostCase)
        .where(LostCase.log == log, LostCase.device == device)
        .order_by(LostCase.id.desc())
        .limit(1)
    ).first()
    case = last if last is not None and last.closed_at is None else None
    seen = session.scalars(
        select(LockEvent)
        .where(
            LockEvent.log == log,
            LockEvent.device == device,
            LockEvent.kind.in_(("lock.command", "lock.self", "lock.done", "lock.failed", "lock.released")),
        )
        .order_by(LockEvent.id.desc())
        .limit(1)
    ).first()
    order = session.get(Command, case.lock_order) if case else None
    release = session.get(Command, last.unlock_order) if last and last.unlock_order else None
    locked = seen is not None and seen.kind != "lock.released"
    if case is None:
        if not locked:
            return Standing("free", None, None, release, seen)
        assert seen is not None
        if release is not None and release.state in ("waiting", "sent", "taken"):
            return Standing("releasing", None, None, release, seen)
        phase = {"lock.done": "self", "lock.failed": "failed"}.get(seen.kind, "sent")
        return Standing(phase, None, None, release, seen)
    assert order is not None
    ghost = session.scalars(
        select(Command)
        .where(
            Command.device == device,
            Command.number >= case.lock_order,
            Command.order.in_(("ghost.forbid", "ghost.destroy")),
        )
        .order_by(Command.number.desc())
        .limit(1)
    ).first()
    if seen is None or not locked or _number(seen) < case.lock_order:
        states = {"waiting": "ordered", "expired": "failed", "failed": "failed"}
        return Standing(states.get(order.state, "sent"), case, order, release, seen, ghost)
    phase = {"lock.done": "locked", "lock.failed": "failed"}.get(seen.kind, "sent")
    return Standing(phase, case, order, release, seen, ghost)


def _number(event: LockEvent) -> int:
    """The number of the order that an entry answers."""
    number = event.data.get("command_id")
    return int(number) if isinstance(number, str) and number.isdecimal() and len(number) <= 16 else 0


def _open_case(session: Session, log: bytes, device: bytes) -> LostCase | None:
    return session.scalars(
        select(LostCase).where(LostCase.log == log, LostCase.device == device, LostCase.closed_at.is_(None))
    ).first()


def _reason(text: str) -> str:
    text = text.strip()
    if not 1 <= len(text) <= 200:
        raise Refusal(N_("Give a reason of at most 200 characters. It is kept on the ledger."))
    return text


def _degrees(value: Any, most: int) -> str:
    """A number of degrees in text, or nothing."""
    text = value if isinstance(value, str) and _DEGREES.fullmatch(value) else ""
    return text if text and abs(float(text)) <= most else ""


def _short(value: Any) -> str:
    return value[:300] if isinstance(value, str) else ""
