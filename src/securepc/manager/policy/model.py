"""Policies, every version that was ever signed."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class PolicyVersion(Base):
    """A signed policy. `device` is empty for the policy of every device of the agency."""

    __tablename__ = "policies"
    __table_args__ = (UniqueConstraint("log", "epoch", "counter"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    device: Mapped[bytes] = mapped_column(Handle)
    epoch: Mapped[int]
    counter: Mapped[int]
    issued: Mapped[int]
    expires: Mapped[int]
    frame: Mapped[bytes]
    author: Mapped[str]
