"""Tables of the networks context. Times are microseconds since 1970 UTC. The registered networks themselves
stand in the policy."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class Sighting(Base):
    """A PC said on which network or at which place it is. `kind` is the entry's, `data` what it said."""

    __tablename__ = "network_sightings"
    __table_args__ = (Index("ix_network_sightings_of", "log", "device", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    device: Mapped[bytes] = mapped_column(Handle)
    entry: Mapped[str] = mapped_column(String(60))
    at: Mapped[int] = mapped_column(BigInteger)  # block time
    kind: Mapped[str] = mapped_column(String(60))
    user: Mapped[str] = mapped_column(String(200))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


class Request(Base):
    """Somebody at a PC asks for a network to be registered. `state`: waiting, approved, refused."""

    __tablename__ = "network_requests"
    __table_args__ = (Index("ix_network_requests_open", "log", "state"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    device: Mapped[bytes] = mapped_column(Handle)
    entry: Mapped[str] = mapped_column(String(60), unique=True)
    user: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(String(500))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    asked_at: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(10))
    decided_at: Mapped[int | None] = mapped_column(BigInteger)
    decided_by: Mapped[str | None] = mapped_column(String(200))
    reason: Mapped[str | None] = mapped_column(String(500))
    command: Mapped[int | None] = mapped_column(BigInteger)
