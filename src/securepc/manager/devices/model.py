"""Agencies, devices, enrolment tokens."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class Agency(Base):
    """A customer. Its log's handle is its identity everywhere else; its name is only here."""

    __tablename__ = "agencies"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    name: Mapped[str]
    created_at: Mapped[int]


class EnrolmentToken(Base):
    """What lets PCs enrol. The secret itself is known to its holder only."""

    __tablename__ = "enrolment_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle, ForeignKey("agencies.log"), index=True)
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    label: Mapped[str]
    uses: Mapped[int]  # how many PCs may enrol with it
    used: Mapped[int]
    approval: Mapped[bool]  # an administrator must agree to each PC
    created_at: Mapped[int]
    created_by: Mapped[str]
    expires_at: Mapped[int]


class Device(Base):
    """A PC, from the moment it asks to be enrolled. What the ledger says of it is read from the ledger."""

    __tablename__ = "devices"

    device: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle, ForeignKey("agencies.log"), index=True)
    token: Mapped[int | None] = mapped_column(ForeignKey("enrolment_tokens.id"))
    state: Mapped[
        str
    ]  # pending → enrolling → enrolled → revoking → revoked; or refused. "manager": the manager itself
    name: Mapped[str]
    user: Mapped[str]
    info: Mapped[dict[str, Any]] = mapped_column(JSON)
    key: Mapped[bytes]
    proof: Mapped[bytes]  # that the key's holder asked, by the key itself
    agreement: Mapped[bytes]  # the device's half of K0
    register: Mapped[bytes | None]  # the leaf of its registration
    revoke: Mapped[bytes | None]  # the leaf of its revocation
    frame: Mapped[bytes | None]  # the answer to its enrolment
    asked_at: Mapped[int]
    enrolled_at: Mapped[int | None]
    decided_by: Mapped[str | None]
    # signs of life
    seen_at: Mapped[int | None]
    boot: Mapped[bytes | None]
    epoch: Mapped[int | None]
    sequence: Mapped[int | None]
    head: Mapped[bytes | None]
    up: Mapped[int | None]  # its boot-time clock at its last heartbeat, microseconds
    beat_at: Mapped[int | None]  # when that came, by the manager's clock
    clock_offset: Mapped[int | None]  # microseconds its clock is ahead of the manager's
    status: Mapped[dict[str, Any]] = mapped_column(JSON)


class DeviceAddress(Base):
    """An address that a PC's requests came from, as the manager sees it: where it is in the network, and a
    way for the police to ask a provider where that is."""

    __tablename__ = "device_addresses"

    device: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    first_at: Mapped[int]
    last_at: Mapped[int]


class CodeKey(Base):
    """The key of a device's codes, wrapped."""

    __tablename__ = "device_code_keys"

    device: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    key: Mapped[bytes]
