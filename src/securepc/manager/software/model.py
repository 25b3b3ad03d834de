"""Software and state of PCs. All of it can be made anew from the ledger, but for what administrators
decided."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Index
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class SoftwarePc(Base):
    """How far a PC's inventory is known. `states`: kind of entry → {"data", "at", "entry", "since"}."""

    __tablename__ = "software_pcs"

    device: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle, index=True)
    whole_at: Mapped[int | None]  # block time of the last whole inventory
    changed_at: Mapped[int | None]
    in_step: Mapped[bool]  # what is here is what the PC says it has
    asked_at: Mapped[int | None]  # when it was last told to report anew
    unseen: Mapped[list[Any]] = mapped_column(JSON)
    states: Mapped[dict[str, Any]] = mapped_column(JSON)


class SoftwareProgram(Base):
    """A program on a PC. `watched`: a rule about ends of support names it."""

    __tablename__ = "software_programs"
    __table_args__ = (
        Index("ix_software_programs_key", "device", "source", "name", "arch", unique=True),
        Index("ix_software_programs_name", "log", "name"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    device: Mapped[bytes] = mapped_column(Handle)
    source: Mapped[str]
    name: Mapped[str]
    arch: Mapped[str]
    version: Mapped[str]
    publisher: Mapped[str]
    title: Mapped[str]
    auto: Mapped[bool]
    watched: Mapped[bool]
    first_at: Mapped[int]


class SoftwarePart(Base):
    """A part of an inventory that is not whole yet."""

    __tablename__ = "software_parts"

    device: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True)
    report: Mapped[str]
    parts: Mapped[int]
    rows: Mapped[list[Any]] = mapped_column(JSON)


class SoftwareViolation(Base):
    """What is installed and not allowed, as the PC says; goes when the program goes."""

    __tablename__ = "software_violations"

    device: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle, index=True)
    version: Mapped[str]
    rule: Mapped[str]
    action: Mapped[str]
    since: Mapped[int]
    until: Mapped[int | None]
    entry: Mapped[str]


class SoftwareRemoval(Base):
    """An order to remove something, and the last that its PC said of it. `state`: ordered → told → waiting
    → gone or failed."""

    __tablename__ = "software_removals"

    number: Mapped[int] = mapped_column(primary_key=True)  # of the command
    log: Mapped[bytes] = mapped_column(Handle, index=True)
    device: Mapped[bytes] = mapped_column(Handle)
    source: Mapped[str]
    name: Mapped[str]
    actor: Mapped[str]
    issued: Mapped[int]
    hours: Mapped[int]
    remove: Mapped[bool]
    state: Mapped[str]
    at: Mapped[int]
    until: Mapped[int | None]
    ja: Mapped[str]
    en: Mapped[str]
    entry: Mapped[str | None]


class SoftwareRequest(Base):
    """Somebody at a PC asks that a program be allowed. `state`: open, allowed, refused."""

    __tablename__ = "software_requests"

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle, index=True)
    device: Mapped[bytes] = mapped_column(Handle)
    user: Mapped[str]
    source: Mapped[str]
    name: Mapped[str]
    reason: Mapped[str]
    at: Mapped[int]
    entry: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str]
    decided_by: Mapped[str | None]
    decided_at: Mapped[int | None]
