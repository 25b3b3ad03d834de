"""Orders to devices."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Index
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class Command(Base):
    """A command or grant. `state`: waiting (no PC has fetched it) → sent → taken (the PC has it on its disk)
    → done or failed, by the PC's own entry; or expired."""

    __tablename__ = "commands"
    __table_args__ = (Index("ix_commands_device", "device", "state"),)

    number: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle, index=True)
    device: Mapped[bytes] = mapped_column(Handle)
    order: Mapped[str]  # "grant" for grants
    args: Mapped[dict[str, Any]] = mapped_column(JSON)
    frame: Mapped[bytes]
    actor: Mapped[str]
    issued: Mapped[int]
    expires: Mapped[int]
    state: Mapped[str]
    sent_at: Mapped[int | None]
    taken_at: Mapped[int | None]
    done_at: Mapped[int | None]
    result: Mapped[dict[str, Any]] = mapped_column(JSON)  # the fields of the PC's entry
    entry: Mapped[str | None]  # that entry
