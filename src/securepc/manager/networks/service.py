"""Keeps registered networks in the policy, decides requests, remembers where PCs were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.audit import service as audit
from securepc.manager.core import Manager
from securepc.manager.devices.model import Device
from securepc.manager.happenings.service import Happening
from securepc.manager.networks import words
from securepc.manager.networks.model import Request, Sighting
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.wire import policy
from securepc.wire.doors import Networks as Rules
from securepc.wire.doors import RegisteredNetwork

UNREGISTERED = "network-unregistered"
REQUESTED = "network-request"
SEEN = ("network.registered", "network.unregistered", "location.fix")
_KEPT = 1_000
"""Sightings kept of a PC; the entries themselves are on the ledger."""
_MOST = 200
_WAITING = 50


class Here(NamedTuple):
    """Where a PC is now, as it said in its last heartbeat, and where its requests come from."""

    device: Device
    connected: bool
    networks: list[tuple[words.Seen, str]]
    cut: bool
    address: str


class Networks:
    """At `manager.networks`. Thread-safe."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    # -- the policy

    def rules(self, log: bytes) -> Rules:
        """The network guard's rules of an agency."""
        return policy.read_rules(self._manager.policies.rules(log)).doors.networks

    def switch(self, log: bytes, wanted: dict[str, bool], *, actor: str) -> None:
        """Turn `on`, `warn`, `cut_off`, `locate` on or off."""

        def change(rules: dict[str, Any]) -> dict[str, Any]:
            return {**rules, **wanted}

        self._edit(log, change, actor)

    def register(self, log: bytes, network: RegisteredNetwork, *, actor: str) -> None:
        """Register a network, or change the one of that id.

        Raises:
            Refusal: there are too many.
        """
        fields = dict(msgspec.json.decode(msgspec.json.encode(network)))

        def change(rules: dict[str, Any]) -> dict[str, Any]:
            others = [one for one in rules.get("registered", []) if one.get("id") != network.id]
            if len(others) >= _MOST:
                raise Refusal(N_("No more than %(most)d networks can be registered."), most=_MOST)
            return {**rules, "registered": [*others, fields]}

        self._edit(log, change, actor)
        self._audit(log, actor, "register", network)

    def unregister(self, log: bytes, network: str, *, actor: str) -> None:
        """Take a registration back.

        Raises:
            NotFound: there is none of that id.
        """
        found = next((one for one in self.rules(log).registered if one.id == network), None)
        if found is None:
            raise NotFound(N_("There is no such network."))

        def change(rules: dict[str, Any]) -> dict[str, Any]:
            rest = [one for one in rules.get("registered", []) if one.get("id") != network]
            return {**rules, "registered": rest}

        self._edit(log, change, actor)
        self._audit(log, actor, "unregister", found)

    def _edit(self, log: bytes, change: Callable[[dict[str, Any]], dict[str, Any]], actor: str) -> None:
        self._manager.policies.edit_door(log, "networks", change, actor=actor)

    def _audit(self, log: bytes, actor: str, action: str, network: RegisteredNetwork) -> None:
        data = {"action": action, "network": network.name or network.id, "ssid": network.ssid}
        with self._manager.database.write() as session:
            audit.record(session, log, "admin.network", actor, data)

    # -- requests

    def requests(self, log: bytes, *, waiting: bool, limit: int = 100) -> list[Request]:
        """Those that wait, the oldest first; or the decided ones, the newest first."""
        query = select(Request).where(Request.log == log)
        if waiting:
            query = query.where(Request.state == "waiting").order_by(Request.id)
        else:
            query = query.where(Request.state != "waiting").order_by(Request.decided_at.desc())
        with self._manager.database.read() as session:
            return list(session.scalars(query.limit(limit)))

    def request(self, log: bytes, number: int) -> Request:
        """One that waits.

        Raises:
            NotFound: there is none of that number, or it is decided.
        """
        with self._manager.database.read() as session:
            row = session.get(Request, number)
        if row is None or row.log != log or row.state != "waiting":
            raise NotFound(N_("This request is no longer waiting."))
        return row

    def approve(self, log: bytes, number: int, network: RegisteredNetwork, *, actor: str) -> None:
        """Register the network that was asked for, then tell the PC. If the manager dies in between, the
        request still waits, and approving it again registers the same network.

        Raises:
            NotFound, Refusal: it does not wait, or is too weak.
        """
        row = self.request(log, number)
        if not words.seen(row.data).strong:
            raise Refusal(N_("A network without strong encryption can't be registered. Refuse it."))
        self.register(log, network, actor=actor)
        self._decide(row, True, "", network.name, actor)

    def refuse(self, log: bytes, number: int, reason: str, *, actor: str) -> None:
        """Say no, with a reason that the user reads.

        Raises:
            NotFound, Refusal: it does not wait, or there is no reason.
        """
        if not 1 <= len(reason) <= 500:
            raise Refusal(N_("Give the user a reason of at most 500 characters."))
        row = self.request(log, number)
        self._decide(row, False, reason, words.seen(row.data).called, actor)

    def _decide(self, row: Request, approved: bool, reason: str, name: str, actor: str) -> None:
        args = {"approved": approved, "network": name or "-", "reason": reason, "user": row.user}
        with self._manager.database.write() as session:
            current = session.get(Request, row.id)
            if current is None or current.state != "waiting":
                raise NotFound(N_("This request is no longer waiting."))
            current.state = "approved" if approved else "refused"
            current.decided_at, current.decided_by, current.reason = clock.now(), actor, reason
            current.command = self._manager.commands.issue(
                session, row.log, row.device, "network.answer", args, actor=actor
            )
            data = {
                "action": "approve" if approved else "refuse",
                "network": name,
                "ssid": words.text(row.data, "ssid"),
                "encryption": words.text(row.data, "encryption"),
                "device": row.device.hex(),
                "requester": row.user,
                "reason": reason,
            }
            audit.record(session, row.log, "admin.network", actor, data)
            alerts.close(session, row.log, REQUESTED, row.device, by=actor)

    # -- what PCs say

    def seen(self, session: Session, happening: Happening) -> None:
        """A PC is on a network, or says where it is."""
        event = happening.event
        session.add(
            Sighting(
                log=happening.log,
                device=happening.device,
                entry=happening.id,
                at=happening.block_time,
                kind=event.kind,
                user=event.user[:200],
                data=event.data,
            )
        )
        session.flush()
        kept = (
            select(Sighting.id)
            .where(Sighting.log == happening.log, Sighting.device == happening.device)
            .order_by(Sighting.id.desc())
            .offset(_KEPT)
        )
        session.execute(delete(Sighting).where(Sighting.id.in_(kept)))
        if event.kind == "network.unregistered":
            data = _told(session, happening)
            shown = {"name": data["pc"], "network": words.seen(event.data).called}
            alerts.raise_alert(session, happening.log, UNREGISTERED, happening.device, shown)
            self._manager.mail.send(session, happening.log, UNREGISTERED, data, happening.device)

    def asked(self, session: Session, happening: Happening) -> None:
        """Somebody asks for a network to be registered."""
        event = happening.event
        known = session.scalar(select(Request.id).where(Request.entry == happening.id))
        waiting = select(func.count()).select_from(Request)
        waiting = waiting.where(Request.device == happening.device, Request.state == "waiting")
        if known is not None or (session.scalar(waiting) or 0) >= _WAITING:
            return  # a PC that asks for ever is heard no more until somebody has answered
        session.add(
            Request(
                log=happening.log,
                device=happening.device,
                entry=happening.id,
                user=event.user[:200],
                purpose=words.text(event.data, "purpose", 500),
                data=event.data,
                asked_at=happening.block_time,
                state="waiting",
            )
        )
        data = _told(session, happening)
        shown = {"name": data["pc"], "network": words.seen(event.data).called}
        alerts.raise_alert(session, happening.log, REQUESTED, happening.device, shown)
        self._manager.mail.send(session, happening.log, REQUESTED, data, happening.device)

    def history(self, log: bytes, device: bytes | None = None, limit: int = 100) -> list[Sighting]:
        """Where PCs of an agency were, the latest first."""
        query = select(Sighting).where(Sighting.log == log)
        if device is not None:
            query = query.where(Sighting.device == device)
        with self._manager.database.read() as session:
            return list(session.scalars(query.order_by(Sighting.id.desc()).limit(limit)))

    def now(self, log: bytes) -> list[Here]:
        """Where each PC of an agency is, as far as it said."""
        return [
            here_of(row, self.address(row.device))
            for row in self._manager.devices.all(log)
            if row.state == "enrolled"
        ]

    def address(self, device: bytes) -> str:
        """The address that a PC's last request came from; empty where it is not known. Not inside a
        `Database.write`."""
        found = self._manager.presence.addresses(device, 1)
        return found[0].address if found else ""


def here_of(device: Device, address: str) -> Here:
    """What a PC's last heartbeat says of its networks; whatever it sent, this answers."""
    said: Any = device.status
    for name in ("doors", "networks", "data"):
        said = said.get(name) if isinstance(said, dict) else None
    data = said if isinstance(said, dict) else {}
    listed = data.get("networks")
    found = [one for one in listed if isinstance(one, dict)][:10] if isinstance(listed, list) else []
    networks = [(words.seen(one), words.text(one, "registered")) for one in found]
    return Here(device, bool(networks), networks, data.get("cut") is True, address)


def _told(session: Session, happening: Happening) -> dict[str, Any]:
    """What a mail about an entry is made from."""
    device = session.get(Device, happening.device)
    return {
        "device": happening.device.hex(),
        "entry": happening.id,
        "at": happening.event.at,
        "user": happening.event.user[:200],
        "pc": device.name if device else happening.device.hex()[:8],
        "said": happening.event.data,
    }
