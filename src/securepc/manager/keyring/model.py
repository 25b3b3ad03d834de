"""Tables of the keys."""

from __future__ import annotations

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base


class KeyNotice(Base):
    """What an agency's PCs are told of the manager's keys (docs/formats/notices.md)."""

    __tablename__ = "key_notices"

    log: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[int]
    frame: Mapped[bytes]
    name: Mapped[str] = mapped_column(server_default="")  # of the key that changed; empty before it was kept
