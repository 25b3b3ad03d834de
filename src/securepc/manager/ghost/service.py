"""What administrators decide about Ghost Drives, and what the PCs' entries say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.alerts.service import close, raise_alert
from securepc.manager.audit import service as audit
from securepc.manager.devices.model import Device
from securepc.manager.devices.registry import of_agency
from securepc.manager.ghost.contents import Contents
from securepc.manager.ghost.model import Drive, ManagerShare, Release
from securepc.manager.ghost.release import Releases, drive_of, share_context
from securepc.manager.happenings.service import Happening
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.wire import ghost
from securepc.wire.ghost import Share
from securepc.wire.signed.documents import b64encode

if TYPE_CHECKING:
    from securepc.manager.core import Manager

KINDS = ("ghost.mount", "ghost.hide", "ghost.disable", "ghost.emergency", "admin.ghost")
SHEET_HOURS = 8
"""How long an emergency sheet keeps a drive usable, once."""
_SHEET_LIFE = 366 * clock.DAY


class Overview(NamedTuple):
    """A PC with its drive (None: it has asked for none)."""

    device: Device
    drive: Drive | None


class Ghosts:
    """At `manager.ghosts`. What concerns another agency's device does not exist. Thread-safe."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self.releases = Releases(manager)
        self.contents = Contents(manager)

    def all(self, log: bytes) -> list[Overview]:
        """Every enrolled PC of an agency, and those whose drive is still remembered, by name."""
        with self._manager.database.read() as session:
            drives = {row.device: row for row in session.scalars(select(Drive).where(Drive.log == log))}
            query = select(Device).where(Device.log == log, Device.state != "manager")
            devices = session.scalars(query.order_by(Device.name, Device.device))
            return [
                Overview(one, drives.get(one.device))
                for one in devices
                if one.state == "enrolled" or one.device in drives
            ]

    def get(self, log: bytes, device: bytes) -> Overview | None:
        """One of them."""
        with self._manager.database.read() as session:
            row = of_agency(session, log, device)
            drive = session.get(Drive, device)
            if row is None or row.state == "manager":
                return None
            return Overview(row, drive if drive is not None and drive.log == log else None)

    def history(self, log: bytes, device: bytes, limit: int = 50) -> list[Release]:
        """When shares were released or refused, the newest first."""
        with self._manager.database.read() as session:
            query = (
                select(Release)
                .where(Release.log == log, Release.device == device)
                .order_by(Release.id.desc())
                .limit(limit)
            )
            return list(session.scalars(query))

    def forbid(self, log: bytes, device: bytes, reason: str, *, actor: str) -> None:
        """Release nothing any more, and have the PC close its drive.

        Raises:
            Refusal: no such PC, or no reason.
        """
        self._check(reason)
        with self._manager.database.write() as session:
            drive = self._drive(session, log, device)
            drive.forbidden_at, drive.forbidden_by, drive.forbidden_why = clock.now(), actor, reason
            self._order(session, drive, "ghost.forbid", {"reason": reason}, actor)
            self._act(session, drive, "forbid", actor, reason=reason)

    def allow(self, log: bytes, device: bytes, *, actor: str) -> None:
        """Release shares again: after it was forbidden, a clone was seen, or too many PINs were wrong; where
        the drive was destroyed, let the PC make a new and empty one.

        Raises:
            Refusal: no such PC.
        """
        with self._manager.database.write() as session:
            drive = self._drive(session, log, device)
            drive.forbidden_at, drive.forbidden_by, drive.forbidden_why = None, "", ""
            drive.cloned_at, drive.counter, drive.retired, drive.boot = None, 0, [], ""
            drive.known_fork = self.releases.fork(log, device)
            drive.pin_wrong, drive.pin_until = 0, None
            if drive.destroyed_at is not None:
                drive.destroyed_at, drive.destroyed_by, drive.destroyed_why = None, "", ""
                drive.pin = None
            for code in ("ghost-cloned", "ghost-pin-locked", "ghost-forbidden"):
                close(session, log, code, device, by=actor)
            self._order(session, drive, "ghost.allow", {}, actor)
            self._act(session, drive, "allow", actor)

    def open_pin(self, log: bytes, device: bytes, *, actor: str) -> None:
        """Let the PC's user set the PIN anew without the old one, on a network of the office.

        Raises:
            Refusal: no such PC.
        """
        with self._manager.database.write() as session:
            drive = self._drive(session, log, device)
            drive.pin_open, drive.pin_wrong, drive.pin_until = True, 0, None
            close(session, log, "ghost-pin-locked", device, by=actor)
            self._act(session, drive, "pin", actor)

    def rekey(self, log: bytes, device: bytes, *, actor: str) -> None:
        """Have the next opening use a new share, and forget the one that may be known.

        Raises:
            Refusal: no such PC.
        """
        with self._manager.database.write() as session:
            drive = self._drive(session, log, device)
            drive.rekey = True
            self._act(session, drive, "rekey", actor)

    def destroy(self, log: bytes, device: bytes, reason: str, *, actor: str) -> None:
        """Destroy the manager's share, for ever, and have the PC do the same with its own.

        Raises:
            Refusal: no such PC, or no reason.
        """
        self._check(reason)
        with self._manager.database.write() as session:
            drive = self._drive(session, log, device)
            self._bury(session, drive, drive.generation, actor, reason)
            self._order(session, drive, "ghost.destroy", {"reason": reason}, actor)
            self._act(session, drive, "destroy", actor, reason=reason, generation=drive.generation)

    def sheet(self, log: bytes, device: bytes, *, actor: str) -> str:
        """A new emergency sheet's code: it is shown once and kept nowhere here. A sheet before it is void.

        Raises:
            Refusal: no such PC, or it has no drive.
        """
        with self._manager.database.write() as session:
            drive = self._drive(session, log, device)
            row = session.get(ManagerShare, (device, drive.generation))
            if row is None or drive.destroyed_at is not None:
                raise Refusal(N_("This PC has no Ghost Drive yet."))
            secret = self._manager.keys.unwrap(row.wrapped, share_context(device, row.generation))
            code = ghost.new_code()
            blob = ghost.seal_sheet(code, Share(row.generation, secret), log, device)
            args = {"blob": b64encode(blob), "hours": SHEET_HOURS, "generation": row.generation}
            drive.sheet = self._order(session, drive, "ghost.sheet", args, actor, lifetime=_SHEET_LIFE)
            drive.sheet_at, drive.sheet_by, drive.sheet_used_at = clock.now(), actor, None
            self._act(session, drive, "sheet", actor)
        return code

    def heard(self, session: Session, happening: Happening) -> None:
        """An entry about a drive. Replayed after a restore, these bring destructions back."""
        data, kind = happening.event.data, happening.event.kind
        if kind == "admin.ghost":
            self._replayed(session, happening)
            return
        drive = session.get(Drive, happening.device)
        if drive is None or drive.log != happening.log:
            return
        if kind == "ghost.mount":
            drive.open_since, drive.open_network = happening.event.at, _text(data.get("network"))
        elif kind == "ghost.hide":
            drive.open_since, drive.open_network = None, ""
        elif kind == "ghost.disable" and data.get("reason") == "destroyed":
            drive.open_since, drive.open_network = None, ""
            generation = data.get("generation")
            if type(generation) is int:
                self._bury(session, drive, generation, "", "")
        elif kind == "ghost.emergency":
            drive.sheet_used_at = happening.event.at
            drive.rekey = True
            known = self._manager.devices.find(happening.device)
            name = {"name": known.name if known else ""}
            raise_alert(session, happening.log, "ghost-emergency", happening.device, name)

    def graves(self) -> list[tuple[str, dict[str, Any]]]:
        """The shares that were destroyed, ever: a restored manager destroys them again."""
        with self._manager.database.read() as session:
            rows = session.scalars(select(Drive).where(Drive.destroyed_at.is_not(None)))
            return [
                (
                    f"ghost-{row.device.hex()}-{row.generation}",
                    {
                        "log": row.log.hex(),
                        "device": row.device.hex(),
                        "generation": row.generation,
                        "by": row.destroyed_by,
                        "why": row.destroyed_why,
                    },
                )
                for row in rows
            ]

    def bury(self, grave: dict[str, Any]) -> None:
        """Destroy again what one of `graves` names; may be called twice."""
        log, device = bytes.fromhex(grave["log"]), bytes.fromhex(grave["device"])
        with self._manager.database.write() as session:
            if of_agency(session, log, device) is not None:  # else it has no shares here either
                drive = drive_of(session, log, device, clock.now())
                self._bury(session, drive, int(grave["generation"]), _text(grave["by"]), _text(grave["why"]))

    def _replayed(self, session: Session, happening: Happening) -> None:
        """What an administrator did, by the manager's own entry: already done, except after a restore."""
        data = happening.event.data
        author = of_agency(session, happening.log, happening.device)
        target, generation = data.get("device"), data.get("generation")
        if author is None or author.state != "manager" or data.get("action") != "destroy":
            return
        if not isinstance(target, str) or type(generation) is not int:
            return
        try:
            device = bytes.fromhex(target)
        except ValueError:
            return
        row = of_agency(session, happening.log, device)
        if row is None:
            return
        drive = drive_of(session, happening.log, device, clock.now())
        gone = session.scalar(
            select(ManagerShare.generation).where(
                ManagerShare.device == device, ManagerShare.generation <= generation
            )
        )
        if gone is not None or drive.generation < generation:
            self._bury(session, drive, generation, happening.event.user, _text(data.get("reason")))

    def _bury(self, session: Session, drive: Drive, generation: int, actor: str, reason: str) -> None:
        """No share up to this generation exists any more, and none of them is made again."""
        session.execute(
            delete(ManagerShare).where(
                ManagerShare.device == drive.device, ManagerShare.generation <= generation
            )
        )
        if drive.generation > generation:
            return  # a newer drive was made since
        drive.generation = generation
        drive.sheet = drive.sheet_at = None
        drive.open_since, drive.released_until, drive.open_network = None, None, ""
        if drive.destroyed_at is None and (actor or reason):
            drive.destroyed_at, drive.destroyed_by, drive.destroyed_why = clock.now(), actor, reason

    def _drive(self, session: Session, log: bytes, device: bytes) -> Drive:
        row = of_agency(session, log, device)
        if row is None or row.state == "manager":
            raise NotFound(N_("There is no such PC."))
        return drive_of(session, log, device, clock.now())

    def _order(
        self, session: Session, drive: Drive, order: str, args: dict[str, Any], actor: str, **more: int
    ) -> int:
        return self._manager.commands.issue(
            session, drive.log, drive.device, order, args, actor=actor, **more
        )

    def _act(self, session: Session, drive: Drive, action: str, actor: str, **more: Any) -> None:
        data = {"device": drive.device.hex(), "action": action, **more}
        audit.record(session, drive.log, "admin.ghost", actor, data)

    def _check(self, reason: str) -> None:
        if not 1 <= len(reason) <= 200:
            raise Refusal(N_("Give a reason of at most 200 characters. It is kept on the ledger."))


def _text(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""
