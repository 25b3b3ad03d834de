"""An older state of the manager was started, and others have the ledger: it knows more of this manager than
it does itself. That shows at once, without anybody's checkpoint: what the manager says is written down here
before it goes to the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.audit.model import AuditChain
from securepc.manager.ingest.model import Opening
from securepc.manager.restored.model import RestoredLog
from securepc.manager.restored.older import OLDER_ALERT, logger
from securepc.manager.restored.rows import OLDER, new_row, open_row

if TYPE_CHECKING:
    from securepc.manager.core import Manager

NAME = "検証ノード / validators"


def note(manager: Manager) -> None:
    """Write down which of the manager's logs are such, and raise the alert for each: they wait for a word."""
    for log in manager.log.logs():
        with manager.database.write() as session:
            if open_row(session, log) is not None or not is_behind(manager, session, log):
                continue
            opening = session.get(Opening, log)
            kept = opening.position if opening is not None else 0
            row = new_row(log, clock.now(), kept)
            row.word = OLDER
            session.add(row)
            data = {"size": kept, "seen": manager.log.size(log), "name": NAME}
            alerts.raise_alert(session, log, OLDER_ALERT, data=data)
            logger.error("log %s: the ledger knows more of this manager than it does itself", log.hex())


def is_behind(manager: Manager, session: Session, log: bytes) -> bool:
    """Whether the ledger has batches of the manager's own device, or verdicts, that it has not made."""
    own = session.get(AuditChain, log)
    record = manager.log.device(log, own.device) if own is not None else None
    if own is not None and record is not None and record.epoch > own.epoch:
        return True
    if session.scalar(select(RestoredLog.log).where(RestoredLog.log == log).limit(1)) is not None:
        return False  # after a restore verdicts from before it are come by again
    opening = session.get(Opening, log)
    return manager.judged_on_ledger(log) > (opening.judged if opening is not None else 0)
