"""Write down what an administrator does."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.audit.model import AuditEntry
from securepc.wire import event


def record(
    session: Session, log: bytes, kind: str, actor: str, data: dict[str, Any], result: str = "ok"
) -> None:
    """Put an act in the outbox of an agency, in the SQL transaction of the act itself.

    Either both happen or neither; the entry reaches the ledger within a minute.

    Args:
        session: of `Database.write`.
        log: the agency's log handle.
        kind: `admin.` and a word, as docs/formats/event.md lists them: `admin.sign-in`, `admin.search`, …
        actor: the administrator's name of sign-in; "cli" for this machine's command line.
        data: what was done: JSON types only, and no secrets.
        result: "ok", "blocked" or "failed".
    """
    act = event.Event(
        kind=kind,
        at=clock.now(),
        up=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000,
        boot=_boot_id(),
        user=actor,
        result=result,
        data=data,
    )
    session.add(AuditEntry(log=log, entry=event.to_entry(act)))


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")
