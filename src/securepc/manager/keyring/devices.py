"""The PCs' own keys: since when each is in use, and the order to change it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from securepc.ledger.state.records import KeyRecord
from securepc.manager import clock
from securepc.manager.audit import service as audit
from securepc.manager.commands.model import Command
from securepc.manager.commands.section import ORDER_STATES
from securepc.manager.commands.service import OPEN
from securepc.manager.console.words import Word
from securepc.manager.devices.model import Device

if TYPE_CHECKING:
    from securepc.manager.core import Manager

ORDER = "rotate-key"
_LIFETIME = 90 * clock.DAY
"""A PC that was off for so long gets no order from before."""


class Line(NamedTuple):
    """A PC. `since`: its key is in use, microseconds since 1970 UTC; `order`: what became of the last order
    to change it, None where there was none."""

    device: bytes
    name: str
    since: int
    order: Word | None


def lines(manager: Manager, log: bytes) -> list[Line]:
    """The enrolled PCs of an agency, those whose key is in use longest first."""
    retired: dict[bytes, int] = {}
    for record in manager.log.records(log):
        if isinstance(record, KeyRecord):
            retired[record.device] = max(retired.get(record.device, 0), record.retired)
    with manager.database.read() as session:
        rows = list(session.scalars(select(Device).where(Device.log == log, Device.state == "enrolled")))
        query = select(Command.device, Command.state).where(Command.log == log, Command.order == ORDER)
        orders = {row[0]: row[1] for row in session.execute(query.order_by(Command.number))}
    found = []
    for row in rows:
        changed = retired.get(row.device)
        since = row.enrolled_at or row.asked_at
        if changed is not None:
            since = next(iter(manager.log.leaves(log, changed, changed + 1))).block_time
        found.append(Line(row.device, row.name, since, ORDER_STATES.get(orders.get(row.device, ""))))
    return sorted(found, key=lambda line: line.since)


def order(manager: Manager, log: bytes, devices: Iterable[bytes], *, actor: str) -> int:
    """Order these PCs to change their keys; gives how many were. Those that have such an order open, or are
    not of this agency, are passed over."""
    wanted = set(devices)
    count = 0
    with manager.database.write() as session:
        rows = session.scalars(select(Device).where(Device.log == log, Device.state == "enrolled"))
        query = select(Command.device).where(
            Command.log == log, Command.order == ORDER, Command.state.in_(OPEN)
        )
        busy = set(session.scalars(query))
        for row in rows:
            if row.device not in wanted or row.device in busy:
                continue
            manager.commands.issue(session, log, row.device, ORDER, actor=actor, lifetime=_LIFETIME)
            data = {"device": row.device.hex(), "action": ORDER, "name": row.name}
            audit.record(session, log, "admin.device", actor, data)
            count += 1
    return count
