"""An older state of the manager was started without a restore: told where administrators look."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from securepc.ledger.checkpoint import Checkpoint
from securepc.manager.alerts import service as alerts
from securepc.manager.audit import service as audit

if TYPE_CHECKING:
    from securepc.manager.core import Manager

logger = logging.getLogger("securepc.manager")
OLDER_ALERT = "older-state"
_NAME = "manager"
"""Who acts where nobody does."""


def tell(manager: Manager, session: Session, log: bytes, name: str, seen: Checkpoint) -> None:
    """Raise the alert, which is mailed, and put an entry in the outbox: it reaches the ledger once that takes
    again.

    Args:
        name: of the PC or witness that showed `seen`, for people.
    """
    size = manager.log.size(log)
    alerts.raise_alert(session, log, OLDER_ALERT, data={"size": size, "seen": seen.size, "name": name})
    data = {"name": "older state", "previous": str(size), "state": str(seen.size)}
    audit.record(session, log, "admin.setting", _NAME, data, result="failed")
    logger.error("log %s has %d leaves, and %s has seen %d of it", log.hex(), size, name, seen.size)
