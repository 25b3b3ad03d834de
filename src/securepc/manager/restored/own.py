"""The manager's own device after a restore: what it said since the backup is lost, so it ends, and another
one begins. What waited to be sealed is sealed by that one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.audit.model import AuditBatch, AuditChain, AuditEntry
from securepc.manager.devices.model import Device
from securepc.wire.signed import documents, leaf

if TYPE_CHECKING:
    from securepc.manager.core import Manager

REASON = "バックアップから復元 / restored from a backup"


def give_up(manager: Manager, session: Session, log: bytes) -> None:
    """Have the device revoked once the log takes again; `setup.complete_agency` makes the next one."""
    for row in session.scalars(select(Device).where(Device.log == log, Device.state == "manager")):
        value = {"log": log.hex(), "at": clock.now(), "device": row.device.hex(), "reason": REASON}
        signed = leaf.frame("revoke", documents.encode("revoke", value), manager.keys.log(log).registrar.sign)
        row.revoke, row.state = signed, "revoking"
    session.execute(delete(AuditChain).where(AuditChain.log == log))
    session.execute(delete(AuditBatch).where(AuditBatch.log == log))
    session.execute(update(AuditEntry).where(AuditEntry.log == log).values(epoch=None))
