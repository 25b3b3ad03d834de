"""Cases of lost PCs, what the PCs said of their locks, and where they were."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Index
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class LostCase(Base):
    """A PC that an administrator reported lost. `ghost`: what was to become of its Ghost Drive (`close`,
    `forbid`, `destroy`); `ghost_done` once that was decided there. Open until `closed_at`."""

    __tablename__ = "lost_cases"
    __table_args__ = (Index("ix_lost_cases_device", "device", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    device: Mapped[bytes] = mapped_column(Handle)
    reason: Mapped[str]
    ghost: Mapped[str]
    ghost_done: Mapped[bool]
    location: Mapped[bool]
    opened_by: Mapped[str]
    opened_at: Mapped[int]
    lock_order: Mapped[int]  # number of the order `lock`
    closed_by: Mapped[str]
    closed_at: Mapped[int | None]
    closed_why: Mapped[str]
    unlock_order: Mapped[int | None]


class LockEvent(Base):
    """An entry `lock.…` of a PC."""

    __tablename__ = "lost_events"
    __table_args__ = (Index("ix_lost_events_device", "device", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    device: Mapped[bytes] = mapped_column(Handle)
    kind: Mapped[str]
    at: Mapped[int]  # by the PC's clock
    received: Mapped[int]  # block time
    user: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    entry: Mapped[str]


class Sighting(Base):
    """An entry `location.fix` of a PC. Degrees are texts, as the PC sent them."""

    __tablename__ = "lost_places"
    __table_args__ = (Index("ix_lost_places_device", "device", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    device: Mapped[bytes] = mapped_column(Handle)
    at: Mapped[int]
    received: Mapped[int]
    latitude: Mapped[str]
    longitude: Mapped[str]
    accuracy: Mapped[int | None]  # metres
    source: Mapped[str]
    network: Mapped[str]
    why: Mapped[dict[str, Any]] = mapped_column(JSON)  # ja, en: why there is no position
    entry: Mapped[str]
