"""Requests for opening the shutter, and the ledger of what was taken out (持出管理台帳)."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class ShutterRequest(Base):
    """What a person at a PC asked for. `state`: waiting → approved or refused; or expired. Everything about
    the medium and the person is the PC's word. `grant` names the order that an approval became."""

    __tablename__ = "shutter_requests"
    __table_args__ = (
        UniqueConstraint("device", "entry", name="uq_shutter_requests_entry"),
        Index("ix_shutter_requests_log", "log", "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    device: Mapped[bytes] = mapped_column(Handle)
    entry: Mapped[str]
    name: Mapped[str]
    asked_at: Mapped[int]
    boot: Mapped[bytes]
    requester: Mapped[str]
    purpose: Mapped[str]
    kind: Mapped[str]
    medium: Mapped[str]
    vendor: Mapped[str]
    product: Mapped[str]
    serial: Mapped[str]
    minutes: Mapped[int]
    access: Mapped[str]
    state: Mapped[str]
    decided_at: Mapped[int | None]
    decided_by: Mapped[str | None]
    reason: Mapped[str | None]
    grant: Mapped[int | None]
    due_at: Mapped[int | None]


class Takeout(Base):
    """An opening, from the PC's entry that it saw the medium open. `due_at`: the medium is to be back by
    then; None where nothing could be written to it. `number` is the grant's, as the PC names it."""

    __tablename__ = "takeouts"
    __table_args__ = (
        UniqueConstraint("device", "number", name="uq_takeouts_number"),
        Index("ix_takeouts_log", "log", "opened_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    device: Mapped[bytes] = mapped_column(Handle)
    number: Mapped[str]
    requester: Mapped[str]
    approver: Mapped[str]
    purpose: Mapped[str]
    access: Mapped[str]
    kind: Mapped[str]
    medium: Mapped[str]
    vendor: Mapped[str]
    product: Mapped[str]
    serial: Mapped[str]
    opened_at: Mapped[int]
    until: Mapped[int | None]
    closed_at: Mapped[int | None]
    closed_why: Mapped[str | None]
    closed_seen: Mapped[bool | None]  # whether the PC read back that it is closed
    reads: Mapped[int]
    writes: Mapped[int]
    deletes: Mapped[int]
    size: Mapped[int]
    due_at: Mapped[int | None]
    returned_at: Mapped[int | None]
    returned_by: Mapped[str | None]
    note: Mapped[str | None]
    entry: Mapped[str]


class TakeoutFile(Base):
    """A file that was written, read, deleted or renamed (`to`) on an open medium."""

    __tablename__ = "takeout_files"

    id: Mapped[int] = mapped_column(primary_key=True)
    takeout: Mapped[int] = mapped_column(ForeignKey("takeouts.id"), index=True)
    act: Mapped[str]
    path: Mapped[str]
    to: Mapped[str]
    size: Mapped[int | None]
    sha256: Mapped[str]
    at: Mapped[int]
    user: Mapped[str]
    entry: Mapped[str]


class SeenMedium(Base):
    """A medium that was closed on a PC, so that it can be registered, and recognised on the telephone."""

    __tablename__ = "shutter_media"
    __table_args__ = (
        UniqueConstraint("log", "tag", "kind", "vendor", "product", "serial", name="uq_shutter_media"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle, index=True)
    tag: Mapped[str]
    kind: Mapped[str]
    name: Mapped[str]
    vendor: Mapped[str]
    product: Mapped[str]
    serial: Mapped[str]
    device: Mapped[bytes] = mapped_column(Handle)  # where it was seen last
    seen_at: Mapped[int]


class IssuedCode(Base):
    """A code that was read out: who is the approver of the opening that it becomes."""

    __tablename__ = "shutter_codes"

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    device: Mapped[bytes] = mapped_column(Handle, index=True)
    tag: Mapped[str]
    access: Mapped[str]
    minutes: Mapped[int]
    issued_at: Mapped[int]
    issued_by: Mapped[str]
