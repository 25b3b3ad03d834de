"""Name, move and revoke devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from securepc.ledger.state import Refused
from securepc.manager import clock
from securepc.manager.audit import service as audit
from securepc.manager.devices import tokens
from securepc.manager.devices.model import Agency, Device
from securepc.manager.devices.registry import Registry, of_agency
from securepc.wire.signed import documents, leaf

if TYPE_CHECKING:
    from securepc.manager.core import Manager

MAX_NAME = 100


class Devices(Registry):
    """At `manager.devices`. What concerns another agency's device does not exist: None or False."""

    def __init__(self, manager: Manager) -> None:
        super().__init__(manager.database)
        self._manager = manager

    def all(self, log: bytes) -> list[Device]:
        """An agency's devices, by name."""
        with self._manager.database.read() as session:
            query = select(Device).where(Device.log == log, Device.state != "manager")
            return list(session.scalars(query.order_by(Device.name, Device.device)))

    def get(self, log: bytes, device: bytes) -> Device | None:
        """One device of an agency."""
        with self._manager.database.read() as session:
            return of_agency(session, log, device)

    def names(self, log: bytes) -> dict[bytes, str]:
        """The names of an agency's devices, the manager's own among them."""
        with self._manager.database.read() as session:
            rows = session.execute(select(Device.device, Device.name).where(Device.log == log))
            return {row.device: row.name for row in rows}

    def agency(self, log: bytes) -> Agency | None:
        """One agency."""
        with self._manager.database.read() as session:
            return session.get(Agency, log)

    def rename(self, log: bytes, device: bytes, name: str, user: str, *, actor: str) -> bool:
        """Give a device another name and user for people to read; both may be changed at any time.

        Raises:
            ValueError: no name, or over 100 characters.
        """
        name, user = name.strip(), user.strip()
        if not 1 <= len(name) <= MAX_NAME or len(user) > MAX_NAME:
            raise ValueError("a device's name has 1 to 100 characters")
        with self._manager.database.write() as session:
            row = of_agency(session, log, device)
            if row is None:
                return False
            row.name, row.user = name, user
            data = {"device": device.hex(), "action": "rename", "name": name}
            audit.record(session, log, "admin.device", actor, data)
        self.forget(device)
        return True

    def new_token(
        self, log: bytes, *, label: str, uses: int, lifetime: int, approval: bool, actor: str
    ) -> str:
        """A new enrolment token; `lifetime` in microseconds.

        Raises:
            ValueError: uses or lifetime out of range.
        """
        with self._manager.database.write() as session:
            return tokens.create(
                session,
                log,
                address=self._manager.address,
                identity=self._manager.keys.identity.public,
                label=label,
                uses=uses,
                lifetime=lifetime,
                approval=approval,
                actor=actor,
            )

    def revoke(self, log: bytes, device: bytes, reason: str, *, actor: str) -> bool:
        """Take nothing more from a device. Its word so far stays on the ledger.

        Raises:
            ValueError: no reason, or over 200 characters.
        """
        if not 1 <= len(reason) <= 200:
            raise ValueError("a reason has 1 to 200 characters")
        with self._manager.database.write() as session:
            row = of_agency(session, log, device)
            if row is None or row.state not in ("enrolled", "revoking"):
                return False
            if row.state == "enrolled":
                value = {"log": log.hex(), "at": clock.now(), "device": device.hex(), "reason": reason}
                key = self._manager.keys.log(log).registrar
                row.revoke = leaf.frame("revoke", documents.encode("revoke", value), key.sign)
                row.state = "revoking"
                data = {"device": device.hex(), "action": "revoke", "reason": reason}
                audit.record(session, log, "admin.device", actor, data)
        self.forget(device)
        self._carry_out(row)
        return True

    def sign_anew(self, log: bytes) -> None:
        """Revocations that are not on the ledger yet, by the registrar of now."""
        sign = self._manager.keys.log(log).registrar.sign
        with self._manager.database.write() as session:
            for row in session.scalars(select(Device).where(Device.log == log, Device.state == "revoking")):
                assert row.revoke is not None
                row.revoke = leaf.frame("revoke", leaf.split(row.revoke).body, sign)

    def resume(self) -> None:
        """Finish the revocations that were begun before the manager was last stopped, where they can be."""
        with self._manager.database.read() as session:
            rows = list(session.scalars(select(Device).where(Device.state == "revoking")))
        for row in rows:
            if row.log not in self._manager.waiting and not self._manager.moves.away(row.log):
                self._carry_out(row)

    def _carry_out(self, row: Device) -> None:
        assert row.revoke is not None
        try:
            self._manager.submit(row.log, row.revoke).result()
        except Refused:
            record = self._manager.log.device(row.log, row.device)
            if record is None or record.revoked is None:
                raise
        with self._manager.database.write() as session:
            current = session.get(Device, row.device)
            assert current is not None
            current.state = "revoked"
        self.forget(row.device)
