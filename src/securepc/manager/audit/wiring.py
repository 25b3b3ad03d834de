"""Adds the audit of administrators to a manager."""

from __future__ import annotations

from securepc.manager.audit.worker import AuditWorker
from securepc.manager.core import Manager


def attach(manager: Manager) -> None:
    """`manager.audit`."""
    manager.audit = AuditWorker(manager)
    manager.on_start(manager.audit.start)
    manager.on_close(manager.audit.close)
