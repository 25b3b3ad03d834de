"""Raise, list and close alerts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.alerts.model import Alert
from securepc.manager.devices.model import Agency


def raise_alert(
    session: Session,
    log: bytes,
    code: str,
    device: bytes = b"",
    data: dict[str, Any] | None = None,
    *,
    level: str = "alert",
    count: int = 1,
) -> None:
    """Note that something happened. The same code of the same device is one row while it is open.

    Args:
        session: of `Database.write`.
        log: the agency's log handle; empty for the whole manager.
        code: a word that `alerts.texts` has sentences for.
        data: what the sentences are filled with: JSON types only.
    """
    now = clock.now()
    row = insert(Alert).values(
        log=log,
        device=device,
        code=code,
        level=level,
        data=data or {},
        count=count,
        first_at=now,
        last_at=now,
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=["log", "code", "device"],
            index_where=Alert.closed_at.is_(None),
            set_={"count": Alert.count + count, "last_at": now, "data": row.excluded.data},
        )
    )


def close(session: Session, log: bytes, code: str, device: bytes = b"", by: str = "") -> None:
    """Note that it is over, or that somebody has seen to it; does nothing where no such alert is open."""
    session.execute(
        update(Alert)
        .where(Alert.log == log, Alert.code == code, Alert.device == device, Alert.closed_at.is_(None))
        .values(closed_at=clock.now(), closed_by=by)
    )


def logs_shown(session: Session, log: bytes) -> tuple[bytes, ...]:
    """Whose alerts an agency sees: its own, and those of the whole manager only where it runs the manager,
    as the agency does that was there first. They may name what is no other agency's business."""
    first = session.scalar(select(Agency.log).order_by(Agency.created_at, Agency.log).limit(1))
    return (log, b"") if log == first else (log,)


def open_alerts(session: Session, log: bytes, limit: int = 200) -> list[Alert]:
    """What is open for an agency, latest first."""
    query = (
        select(Alert)
        .where(Alert.log.in_(logs_shown(session, log)), Alert.closed_at.is_(None))
        .order_by(Alert.last_at.desc())
        .limit(limit)
    )
    return list(session.scalars(query))


def open_of_devices(session: Session, codes: Collection[str]) -> set[tuple[str, bytes]]:
    """(code, device) of the alerts with one of these codes that somebody is still to look at."""
    query = select(Alert.code, Alert.device).where(Alert.code.in_(codes), Alert.closed_at.is_(None))
    return {(row.code, row.device) for row in session.execute(query)}


def is_open(session: Session, log: bytes, code: str, device: bytes = b"") -> bool:
    """Whether somebody is still to look at it."""
    query = select(Alert.id).where(
        Alert.log == log, Alert.code == code, Alert.device == device, Alert.closed_at.is_(None)
    )
    return session.scalar(query) is not None
