"""How far the contexts have been told."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class Told(Base):
    """The first leaf of an agency's log whose entries the contexts have not heard of."""

    __tablename__ = "happenings_told"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    position: Mapped[int]
