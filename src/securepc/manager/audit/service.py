"""Write down what an administrator does."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.audit.model import AuditEntry
from securepc.wire import batch, event

_MAX_TEXT = 2_000


def record(
    session: Session, log: bytes, kind: str, actor: str, data: dict[str, Any], result: str = "ok"
) -> None:
    """Put an act in the outbox of an agency, in the SQL transaction of the act itself.

    Either both happen or neither; the entry reaches the ledger within a minute.

    Args:
        session: of `Database.write`.
        log: the agency's log handle.
        kind: `admin.` and a word, as docs/formats/event.md lists them: `admin.signin`, `admin.search`, …
        actor: the administrator's name of sign-in; "cli" for this machine's command line.
        data: what was done: JSON types only, and no secrets. Texts of over 2,000 characters are shortened.
        result: "ok", "blocked" or "failed".
    """
    act = event.Event(
        kind=kind,
        at=clock.now(),
        up=up(),
        boot=boot_id().hex(),
        user=actor,
        result=result,
        data={name: _shortened(value) for name, value in data.items()},
    )
    entry = event.to_entry(act)
    assert len(entry) <= batch.MAX_ENTRY, "an act is described in a few fields"
    session.add(AuditEntry(log=log, entry=entry))


@cache
def boot_id() -> bytes:
    """This machine's boot, 16 bytes."""
    return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", ""))


def up() -> int:
    """Microseconds of this machine's boot-time clock."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000


def _shortened(value: Any) -> Any:
    return value[:_MAX_TEXT] + "…" if isinstance(value, str) and len(value) > _MAX_TEXT else value
