"""What PCs tell of their software and state, written down. A PC's word is hostile: what is not as it should
be is left out, and a PC can only speak of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.devices.model import Device
from securepc.manager.happenings.service import Happening
from securepc.manager.software import judged
from securepc.manager.software.model import (
    SoftwarePart,
    SoftwarePc,
    SoftwareProgram,
    SoftwareRemoval,
    SoftwareRequest,
    SoftwareViolation,
)
from securepc.wire import software
from securepc.wire.software import MAX_PARTS, MAX_PROGRAMS, Program

INVENTORY = ("software.inventory", "software.installed", "software.updated", "software.removed")
STATES = (
    "software.updates",
    "software.antivirus",
    "software.encryption",
    "software.firewall",
    "software.accounts",
    "software.hardware",
)
REMOVAL_STATES = ("told", "waiting", "gone", "failed")
_MAX_OPEN = 500
"""Violations and open requests that are kept of one PC."""

Ask = Callable[[Session, bytes, bytes], int]
"""(session, log, device): order the PC to report anew."""


class Follow:
    """Listeners for `manager.happenings`."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def inventory(self, session: Session, happening: Happening) -> None:
        """A part of a whole inventory, or one change."""
        pc = _pc(session, happening)
        if happening.event.kind == "software.inventory":
            _part(session, happening, pc)
            return
        data = happening.event.data
        name, source = text(data, "software"), text(data, "source", 20)
        if not name or not source:
            return
        pc.changed_at = happening.block_time
        arch, version = text(data, "arch", 20), text(data, "version", 120)
        row = session.scalar(
            select(SoftwareProgram).where(
                SoftwareProgram.device == happening.device,
                SoftwareProgram.source == source,
                SoftwareProgram.name == name,
                SoftwareProgram.arch == arch,
            )
        )
        if happening.event.kind == "software.removed":
            if row is not None:
                session.delete(row)
            gone(session, happening.log, happening.device, source, name)
        elif row is not None:
            row.version = version
            row.watched = judged.watched(_program(row))
        else:
            program = Program(source, name, arch, version, text(data, "publisher", 120))
            session.execute(insert(SoftwareProgram), [_values(happening, program)])

    def confirmed(self, session: Session, happening: Happening) -> None:
        """What the list must have become; where it has not, the PC reports anew, once a day at most."""
        pc = _pc(session, happening)
        rows = session.scalars(select(SoftwareProgram).where(SoftwareProgram.device == happening.device))
        pc.in_step = software.digest(map(_program, rows)) == happening.event.data.get("report")
        now = clock.now()
        if not pc.in_step and (pc.asked_at is None or pc.asked_at < now - clock.DAY):
            pc.asked_at = now
            self._ask(session, happening.log, happening.device)

    def state(self, session: Session, happening: Happening) -> None:
        """A part of the PC's state."""
        pc = _pc(session, happening)
        kind, data = happening.event.kind, dict(happening.event.data)
        before = pc.states.get(kind, {})
        same = before.get("data", {}).get("state") == data.get("state")
        since = before.get("since") if same else happening.block_time
        told = {"data": data, "at": happening.block_time, "since": since, "entry": happening.id}
        pc.states = {**pc.states, kind: told}
        name = session.scalar(select(Device.name).where(Device.device == happening.device)) or ""
        judged.alert(session, happening.log, happening.device, name, kind, data)

    def violation(self, session: Session, happening: Happening) -> None:
        """Something is installed that is not allowed."""
        data = happening.event.data
        name, source = text(data, "software"), text(data, "source", 20)
        of_pc = select(SoftwareViolation).where(SoftwareViolation.device == happening.device)
        if not name or len(list(session.scalars(of_pc))) >= _MAX_OPEN:
            return
        until = data.get("until")
        session.merge(
            SoftwareViolation(
                device=happening.device,
                source=source,
                name=name,
                log=happening.log,
                version=text(data, "version", 120),
                rule=text(data, "rule"),
                action=text(data, "action", 20),
                since=happening.block_time,
                until=until if type(until) is int and 0 < until < 2**53 else None,
                entry=happening.id,
            )
        )
        _alert(session, happening, "software-violation", {"software": name})

    def stray(self, session: Session, happening: Happening) -> None:
        """A program that is not allowed was started."""
        exe = text(happening.event.data, "exe", 500)
        _alert(session, happening, "software-stray", {"exe": exe, "user": happening.event.user[:100]})

    def removal(self, session: Session, happening: Happening) -> None:
        """How far an order to remove is."""
        data = happening.event.data
        number, state = text(data, "command_id", 16), text(data, "state", 20)
        row = session.get(SoftwareRemoval, int(number)) if number.isdecimal() else None
        if row is None or row.device != happening.device or state not in REMOVAL_STATES:
            return
        until = data.get("until")
        row.state, row.at, row.entry = state, happening.block_time, happening.id
        row.until = until if type(until) is int and 0 < until < 2**53 else row.until
        row.ja, row.en = text(data, "ja", 500), text(data, "en", 500)

    def finished(self, session: Session, happening: Happening) -> None:
        """An order was answered: where it failed before anything else was said of it."""
        data = happening.event.data
        number = text(data, "command_id", 16)
        row = session.get(SoftwareRemoval, int(number)) if number.isdecimal() else None
        if row is None or row.device != happening.device:
            return
        row.state = "gone" if happening.event.kind == "command.done" else "failed"
        row.at, row.entry = happening.block_time, happening.id
        if row.state == "failed":
            row.ja = text(data, "ja", 500) or text(data, "reason", 500)
            row.en = text(data, "en", 500) or text(data, "reason", 500)
            _alert(session, happening, "software-removal", {"software": row.name, "ja": row.ja, "en": row.en})

    def request(self, session: Session, happening: Happening) -> None:
        """Somebody asks for a program."""
        data = happening.event.data
        name = text(data, "software")
        open_ = select(SoftwareRequest.id).where(
            SoftwareRequest.device == happening.device, SoftwareRequest.state == "open"
        )
        known = select(SoftwareRequest.id).where(SoftwareRequest.entry == happening.id)
        if not name or session.scalar(known) or len(list(session.scalars(open_))) >= _MAX_OPEN:
            return
        session.add(
            SoftwareRequest(
                log=happening.log,
                device=happening.device,
                user=happening.event.user[:100],
                source=text(data, "source", 20),
                name=name,
                reason=text(data, "reason", 500),
                at=happening.block_time,
                entry=happening.id,
                state="open",
            )
        )
        _alert(session, happening, "software-request", {"software": name, "user": happening.event.user[:100]})


def text(data: dict[str, Any], name: str, limit: int = 200) -> str:
    """A text of an entry, cut where it is too long; empty where it is none."""
    value = data.get(name)
    return value[:limit] if isinstance(value, str) else ""


def gone(session: Session, log: bytes, device: bytes, source: str, name: str) -> None:
    """A program is no longer there: nor is what was wrong with it."""
    session.execute(
        delete(SoftwareViolation).where(
            SoftwareViolation.device == device,
            SoftwareViolation.source == source,
            SoftwareViolation.name == name,
        )
    )
    left = select(SoftwareViolation.name).where(SoftwareViolation.device == device).limit(1)
    if session.scalar(left) is None:
        alerts.close(session, log, "software-violation", device)


def _part(session: Session, happening: Happening, pc: SoftwarePc) -> None:
    data, device = happening.event.data, happening.device
    report, part, parts = text(data, "report", 64), data.get("part"), data.get("parts")
    found = data.get("programs")
    if type(part) is not int or type(parts) is not int or not isinstance(found, list):
        return
    if not 1 <= part <= parts <= MAX_PARTS or len(report) != 64:
        return
    session.execute(delete(SoftwarePart).where(SoftwarePart.device == device, SoftwarePart.report != report))
    session.merge(SoftwarePart(device=device, part=part, report=report, parts=parts, rows=found))
    session.flush()
    kept = list(session.scalars(select(SoftwarePart).where(SoftwarePart.device == device)))
    if len(kept) != parts:
        return
    rows = [row for one in sorted(kept, key=lambda one: one.part) for row in one.rows]
    programs = {one.key: one for one in map(software.read_row, rows[:MAX_PROGRAMS]) if one is not None}
    session.execute(delete(SoftwarePart).where(SoftwarePart.device == device))
    _replace(session, happening, programs)
    unseen = data.get("unseen")
    pc.unseen = [
        [str(one)[:500] for one in pair[:2]]
        for pair in (unseen if isinstance(unseen, list) else [])[:20]
        if isinstance(pair, list) and len(pair) >= 2
    ]
    pc.whole_at = pc.changed_at = happening.block_time
    pc.in_step = software.digest(programs.values()) == report


def _replace(session: Session, happening: Happening, programs: dict[Any, Program]) -> None:
    """The whole list as it is now; what stays keeps when it was first seen."""
    query = select(SoftwareProgram).where(SoftwareProgram.device == happening.device)
    before = {(row.source, row.name, row.arch): row for row in session.scalars(query)}
    changed = []
    for key, row in before.items():
        new = programs.get(key)
        if new is None:
            session.delete(row)
            gone(session, happening.log, happening.device, row.source, row.name)
        elif new != _program(row):
            changed.append({"id": row.id, **new._asdict(), "watched": judged.watched(new)})
    session.flush()
    if changed:
        session.execute(update(SoftwareProgram), changed)
    new_ones = [_values(happening, one) for key, one in programs.items() if key not in before]
    if new_ones:
        session.execute(insert(SoftwareProgram), new_ones)


def _values(happening: Happening, program: Program) -> dict[str, Any]:
    return {
        "log": happening.log,
        "device": happening.device,
        **program._asdict(),
        "watched": judged.watched(program),
        "first_at": happening.block_time,
    }


def _program(row: SoftwareProgram) -> Program:
    return Program(row.source, row.name, row.arch, row.version, row.publisher, row.title, row.auto)


def _pc(session: Session, happening: Happening) -> SoftwarePc:
    row = session.get(SoftwarePc, happening.device)
    if row is None:
        row = SoftwarePc(
            device=happening.device,
            log=happening.log,
            whole_at=None,
            changed_at=None,
            in_step=False,
            asked_at=None,
            unseen=[],
            states={},
        )
        session.add(row)
        session.flush()
    return row


def _alert(session: Session, happening: Happening, code: str, data: dict[str, Any]) -> None:
    name = session.scalar(select(Device.name).where(Device.device == happening.device)) or ""
    alerts.raise_alert(session, happening.log, code, happening.device, {"name": name, **data})
