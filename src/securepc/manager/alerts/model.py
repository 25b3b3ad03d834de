"""Alerts: one row for what keeps happening, with a count."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class Alert(Base):
    """`level` is "alert" (look at this) or "notice" (a request that was refused)."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_open", "log", "code", "device", unique=True, sqlite_where=text("closed_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)  # empty: of the whole manager
    device: Mapped[bytes] = mapped_column(Handle)  # empty: of no device
    code: Mapped[str]
    level: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSON)  # of the last time
    count: Mapped[int]
    first_at: Mapped[int]
    last_at: Mapped[int]
    closed_at: Mapped[int | None]
    closed_by: Mapped[str | None]
