"""Ghost Drives, the manager's shares, releases, and what the drives hold by name."""

from __future__ import annotations

from sqlalchemy import JSON, Index
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class Drive(Base):
    """A PC's Ghost Drive. A destroyed one stays as a tombstone: it has no shares, and gets none of the
    generations up to `generation` again, whatever a backup brings back."""

    __tablename__ = "ghost_drives"

    device: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle, index=True)
    made_at: Mapped[int]
    generation: Mapped[int]
    rekey: Mapped[bool]  # the next release brings a new generation
    # what was seen of the PC (`decide.Sighting`)
    boot: Mapped[str]
    boot_at: Mapped[int | None]  # when it first asked in this boot
    up: Mapped[int]
    counter: Mapped[int]
    retired: Mapped[list[str]] = mapped_column(JSON)
    cloned_at: Mapped[int | None]
    known_fork: Mapped[int | None]  # its leaf on the ledger, when an administrator allowed the drive again
    # PIN
    pin: Mapped[bytes | None]  # `wire.ghost.proof_hash`
    pin_wrong: Mapped[int]
    pin_until: Mapped[int | None]
    pin_open: Mapped[bool]  # an administrator lets it be set anew
    # what administrators decided
    forbidden_at: Mapped[int | None]
    forbidden_by: Mapped[str]
    forbidden_why: Mapped[str]
    destroyed_at: Mapped[int | None]
    destroyed_by: Mapped[str]
    destroyed_why: Mapped[str]
    sheet: Mapped[int | None]  # the order that brought the emergency sheet
    sheet_at: Mapped[int | None]
    sheet_by: Mapped[str]
    sheet_used_at: Mapped[int | None]
    # what the PC said
    open_since: Mapped[int | None]
    open_network: Mapped[str]
    released_until: Mapped[int | None]
    contents_at: Mapped[int | None]
    contents_more: Mapped[int]  # files that are not listed


class ManagerShare(Base):
    """One generation of the manager's share, wrapped by the key store."""

    __tablename__ = "ghost_shares"

    device: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    generation: Mapped[int] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes]
    made_at: Mapped[int]


class Release(Base):
    """A share was asked for. `result` empty: it was released until `until`; else the word of the refusal."""

    __tablename__ = "ghost_releases"
    __table_args__ = (Index("ix_ghost_releases_device", "device", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    device: Mapped[bytes] = mapped_column(Handle)
    at: Mapped[int]
    until: Mapped[int | None]
    purpose: Mapped[str]
    network: Mapped[str]
    address: Mapped[str]
    result: Mapped[str]
    count: Mapped[int]  # the same refusal again within a minute is counted here


class Content(Base):
    """A file that a drive held when its PC last said so. Names only: the manager never sees what is in it."""

    __tablename__ = "ghost_contents"
    __table_args__ = (Index("ix_ghost_contents_device", "device", "path"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    device: Mapped[bytes] = mapped_column(Handle)
    list: Mapped[int]  # which list it belongs to; only those of a finished one count
    path: Mapped[str]
    size: Mapped[int]
    modified: Mapped[int]
    shown: Mapped[bool]
