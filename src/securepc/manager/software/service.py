"""Read what is known of software, and decide what is to be done about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.audit import service as audit
from securepc.manager.commands.model import Command
from securepc.manager.devices.model import Device
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.manager.software import judged
from securepc.manager.software.model import (
    SoftwarePc,
    SoftwareProgram,
    SoftwareRemoval,
    SoftwareRequest,
    SoftwareViolation,
)
from securepc.wire import policy, software
from securepc.wire import support as supports
from securepc.wire.doors import Software
from securepc.wire.signed.canonical import Malformed
from securepc.wire.software import Program
from securepc.wire.support import Support

if TYPE_CHECKING:
    from securepc.manager.core import Manager

MAX_HOURS = 8_760
_LATE = 30 * clock.DAY
"""How much longer than its deadline an order is good: for PCs that are away."""


class Found(NamedTuple):
    """A program over the agency's PCs: the versions and on how many PCs each is."""

    source: str
    name: str
    title: str
    publisher: str
    versions: list[tuple[str, int]]
    pcs: int


class Ended(NamedTuple):
    """A product in a version, its support, and the PCs that have it. `program` is None for a system."""

    support: Support
    program: Program | None
    devices: list[bytes]


class Softwares:
    """At `manager.software`. Every call names the agency, and sees nothing of another."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def pcs(self, log: bytes) -> dict[bytes, SoftwarePc]:
        """What each PC has told of itself."""
        with self._manager.database.read() as session:
            rows = session.scalars(select(SoftwarePc).where(SoftwarePc.log == log))
            return {row.device: row for row in rows}

    def counts(self, log: bytes) -> dict[bytes, int]:
        """How many programs each PC has."""
        query = (
            select(SoftwareProgram.device, func.count())
            .where(SoftwareProgram.log == log)
            .group_by(SoftwareProgram.device)
        )
        with self._manager.database.read() as session:
            return {row[0]: row[1] for row in session.execute(query)}

    def programs(self, log: bytes, text: str = "", limit: int = 200) -> list[Found]:
        """The programs of an agency whose name, title or publisher holds a text, by name."""
        query = (
            select(
                SoftwareProgram.source,
                SoftwareProgram.name,
                SoftwareProgram.version,
                func.max(SoftwareProgram.title),
                func.max(SoftwareProgram.publisher),
                func.count(SoftwareProgram.device.distinct()),
            )
            .where(SoftwareProgram.log == log)
            .group_by(SoftwareProgram.source, SoftwareProgram.name, SoftwareProgram.version)
            .order_by(SoftwareProgram.name, SoftwareProgram.source, SoftwareProgram.version.desc())
        )
        if text:
            like = f"%{_escaped(text)}%"
            query = query.where(
                or_(
                    *(
                        column.like(like, escape="\\")
                        for column in (SoftwareProgram.name, SoftwareProgram.title, SoftwareProgram.publisher)
                    )
                )
            )
        found: dict[tuple[str, str], Found] = {}
        with self._manager.database.read() as session:
            for source, name, version, title, publisher, count in session.execute(query):
                key = source, name
                if key not in found and len(found) >= limit:
                    break
                one = found.setdefault(key, Found(source, name, title, publisher, [], 0))
                one.versions.append((version, count))
                found[key] = one._replace(pcs=one.pcs + count)
        return list(found.values())

    def of_device(self, log: bytes, device: bytes, text: str = "") -> list[SoftwareProgram]:
        """One PC's programs, those first that somebody wanted."""
        query = select(SoftwareProgram).where(SoftwareProgram.log == log, SoftwareProgram.device == device)
        if text:
            query = query.where(SoftwareProgram.name.like(f"%{_escaped(text)}%", escape="\\"))
        with self._manager.database.read() as session:
            return list(session.scalars(query.order_by(SoftwareProgram.auto, SoftwareProgram.name)))

    def on_pcs(self, log: bytes, source: str, name: str) -> list[SoftwareProgram]:
        """One program on every PC that has it."""
        query = select(SoftwareProgram).where(
            SoftwareProgram.log == log, SoftwareProgram.source == source, SoftwareProgram.name == name
        )
        with self._manager.database.read() as session:
            return list(session.scalars(query.order_by(SoftwareProgram.version)))

    def all_programs(self, log: bytes) -> Iterator[SoftwareProgram]:
        """Every program of every PC, for lists to take away."""
        query = select(SoftwareProgram).where(SoftwareProgram.log == log)
        query = query.order_by(SoftwareProgram.device, SoftwareProgram.name)
        with self._manager.database.read() as session:
            yield from session.scalars(query.execution_options(yield_per=1_000))

    def support(self, log: bytes, enrolled: Sequence[bytes]) -> list[Ended]:
        """Everything of which the end of support is known or ought to be, the worst first."""
        day, pcs = judged.today(), self.pcs(log)
        found: dict[tuple[str, str, str], Ended] = {}
        systems = {device: judged.system(pcs[device].states, day) for device in enrolled if device in pcs}
        for device, its in systems.items():
            if its.product:
                _add(found, its, None, device)
        query = select(SoftwareProgram).where(SoftwareProgram.log == log, SoftwareProgram.watched)
        with self._manager.database.read() as session:
            for row in session.scalars(query):
                if row.device not in systems:
                    continue
                program = Program(row.source, row.name, row.arch, row.version, row.publisher, row.title)
                support = supports.of_program(program, systems[row.device], day)
                if support is not None and not support.system:
                    _add(found, support, program, row.device)
        order = {"ended": 0, "extended": 1, "unknown": 3, "open": 4}
        return sorted(
            found.values(),
            key=lambda one: (order.get(one.support.state, 2), one.support.end, one.support.title),
        )

    def ended(self, log: bytes, device: bytes) -> list[Ended]:
        """What of one PC is out of support."""
        return [one for one in self.support(log, [device]) if one.support.state == "ended"]

    def violations(self, log: bytes, device: bytes | None = None) -> list[SoftwareViolation]:
        """What is installed and not allowed, the oldest first."""
        query = select(SoftwareViolation).where(SoftwareViolation.log == log)
        if device is not None:
            query = query.where(SoftwareViolation.device == device)
        with self._manager.database.read() as session:
            return list(session.scalars(query.order_by(SoftwareViolation.since)))

    def removals(
        self, log: bytes, device: bytes | None = None, limit: int = 100
    ) -> list[tuple[SoftwareRemoval, str]]:
        """Orders to remove and how far each is: the PC's last word or, before that, the order's delivery."""
        query = (
            select(SoftwareRemoval, Command.state)
            .outerjoin(Command, Command.number == SoftwareRemoval.number)
            .where(SoftwareRemoval.log == log)
            .order_by(SoftwareRemoval.number.desc())
            .limit(limit)
        )
        if device is not None:
            query = query.where(SoftwareRemoval.device == device)
        with self._manager.database.read() as session:
            return [
                (row, (state or "expired") if row.state == "ordered" or state == "expired" else row.state)
                for row, state in session.execute(query)
            ]

    def requests(self, log: bytes) -> list[SoftwareRequest]:
        """What people ask for: open ones first, then the latest."""
        query = (
            select(SoftwareRequest)
            .where(SoftwareRequest.log == log)
            .order_by(SoftwareRequest.state != "open", SoftwareRequest.at.desc())
            .limit(100)
        )
        with self._manager.database.read() as session:
            return list(session.scalars(query))

    def rules(self, log: bytes) -> Software:
        """The agency's rules about software."""
        try:
            return policy.read_rules(self._manager.policies.rules(log)).doors.software
        except Malformed:
            return Software()

    def change_rules(self, log: bytes, wanted: dict[str, Any], *, actor: str) -> None:
        """Sign other rules about software; what is not among `wanted` stays.

        Raises:
            Malformed: they cannot be meant.
        """
        policies = self._manager.policies
        policies.edit_door(log, "software", lambda software: {**software, **wanted}, actor=actor)

    def order(
        self, log: bytes, device: bytes, source: str, name: str, *, hours: int, remove: bool, actor: str
    ) -> int:
        """Order a PC to be rid of a program `hours` after its user was told; `remove`: the agent does it
        then.

        Raises:
            NotFound, Refusal: no such PC or program, or it is not enrolled.
        """
        if not 0 <= hours <= MAX_HOURS:
            raise Refusal(N_("Enter a whole number from 0 to %(most)d."), most=MAX_HOURS)
        with self._manager.database.write() as session:
            row = session.get(Device, device)
            if row is None or row.log != log or row.state != "enrolled":
                raise NotFound(N_("There is no such PC."))
            there = select(SoftwareProgram.id).where(
                SoftwareProgram.device == device,
                SoftwareProgram.source == source,
                SoftwareProgram.name == name,
            )
            if session.scalar(there) is None:
                raise NotFound(N_("This program is not on that PC."))
            if self._pending(session, device, source, name):
                raise Refusal(N_("It was ordered already."))
            args = {"name": name, "source": source, "hours": hours, "remove": remove}
            number = self._manager.commands.issue(
                session,
                log,
                device,
                "software.remove",
                args,
                actor=actor,
                lifetime=hours * clock.HOUR + _LATE,
            )
            now = clock.now()
            session.add(
                SoftwareRemoval(
                    number=number,
                    log=log,
                    device=device,
                    source=source,
                    name=name,
                    actor=actor,
                    issued=now,
                    hours=hours,
                    remove=remove,
                    state="ordered",
                    at=now,
                    until=None,
                    ja="",
                    en="",
                    entry=None,
                )
            )
            data = {"device": device.hex(), "action": "software.remove", "name": name}
            audit.record(session, log, "admin.device", actor, data)
        return number

    def report(self, log: bytes, device: bytes, *, actor: str) -> None:
        """Have a PC report anew."""
        with self._manager.database.write() as session:
            row = session.get(Device, device)
            if row is None or row.log != log or row.state != "enrolled":
                raise NotFound(N_("There is no such PC."))
            self._manager.commands.issue(session, log, device, "software.report", actor=actor)
            data = {"device": device.hex(), "action": "software.report"}
            audit.record(session, log, "admin.device", actor, data)

    def decide(self, log: bytes, request: int, allow: bool, *, actor: str) -> None:
        """Allow what somebody asked for, by a rule for everybody, or refuse it; the PC is told.

        Raises:
            NotFound: there is no such request, or it was decided.
        """
        with self._manager.database.read() as session:
            row = session.get(SoftwareRequest, request)
            if row is None or row.log != log or row.state != "open":
                raise NotFound(N_("There is no such request."))
        rules = self.rules(log)
        if allow:
            asked = Program(row.source, row.name)
            if any(software.fits(one, asked) for one in rules.deny):
                raise Refusal(N_("A rule forbids “%(name)s”. Change the rules first."), name=row.name)
        # Where nothing is forbidden by being on no list, a first entry would forbid everything else.
        known = any(one.name == row.name and not one.publisher for one in rules.allow)
        if allow and software.restrictive(rules) and not known:
            added = [
                {"name": one.name, "publisher": one.publisher, "reason": one.reason} for one in rules.allow
            ]
            added.append({"name": row.name, "publisher": "", "reason": row.reason[:200]})
            self.change_rules(log, {"allow": added}, actor=actor)
        with self._manager.database.write() as session:
            current = session.get(SoftwareRequest, request)
            assert current is not None
            current.state = "allowed" if allow else "refused"
            current.decided_by, current.decided_at = actor, clock.now()
            answer = "許可されました" if allow else "許可されませんでした"
            message = {"text": f"申請された「{row.name}」の利用は{answer}。"}
            device = session.get(Device, row.device)
            if device is not None and device.state == "enrolled":
                self._manager.commands.issue(session, log, row.device, "message", message, actor=actor)
            data = {"device": row.device.hex(), "action": "software.request", "name": row.name}
            data["reason"] = current.state
            audit.record(session, log, "admin.device", actor, data)
            left = select(SoftwareRequest.id).where(
                SoftwareRequest.device == row.device, SoftwareRequest.state == "open"
            )
            if session.scalar(left) is None:
                alerts.close(session, log, "software-request", row.device, by=actor)

    def look(self) -> None:
        """Raise and close what only time brings: updates that wait too long, versions whose support ended."""
        for log in self._manager.devices.agencies():
            devices = {row.device: row for row in self._manager.devices.all(log) if row.state == "enrolled"}
            ended: Counter[bytes] = Counter()
            worst: dict[bytes, str] = {}
            for one in self.support(log, list(devices)):
                if one.support.state == "ended":
                    for device in set(one.devices):
                        ended[device] += 1
                        worst.setdefault(device, f"{one.support.title} {one.support.cycle}")
            pcs = self.pcs(log)
            with self._manager.database.write() as session:
                for device, row in devices.items():
                    data = {"name": row.name, "count": ended[device], "software": worst.get(device, "")}
                    _set(session, log, "software-unsupported", device, data, bool(ended[device]))
                    states = pcs[device].states if device in pcs else {}
                    late = _updates_late(states)
                    data = {"name": row.name, "days": judged.UPDATE_DAYS}
                    _set(session, log, "software-updates", device, data, late)

    def _pending(self, session: Session, device: bytes, source: str, name: str) -> bool:
        query = select(SoftwareRemoval.number).join(Command, Command.number == SoftwareRemoval.number)
        query = query.where(
            SoftwareRemoval.device == device,
            SoftwareRemoval.source == source,
            SoftwareRemoval.name == name,
            SoftwareRemoval.state.in_(("ordered", "told", "waiting")),
            Command.state.in_(("waiting", "sent", "taken")),
        )
        return session.scalar(query) is not None


def _set(session: Session, log: bytes, code: str, device: bytes, data: dict[str, Any], on: bool) -> None:
    """An alert that stands while something is so, and is not counted up by looking."""
    if not on:
        alerts.close(session, log, code, device)
    elif not alerts.is_open(session, log, code, device):
        alerts.raise_alert(session, log, code, device, data)


def _updates_late(states: dict[str, Any]) -> bool:
    told = states.get("software.updates")
    data = judged.data_of(states, "software.updates")
    if not isinstance(told, dict) or data.get("state") not in ("pending", "stale"):
        return False
    since = told.get("since")
    return type(since) is int and since < clock.now() - judged.UPDATE_DAYS * clock.DAY


def _add(
    found: dict[tuple[str, str, str], Ended], support: Support, program: Program | None, device: bytes
) -> None:
    key = support.product, support.cycle or (program.version if program else ""), support.state
    one = found.setdefault(key, Ended(support, program, []))
    if device not in one.devices:
        one.devices.append(device)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
