"""Tables of moves."""

from __future__ import annotations

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base


class Move(Base):
    """An agency that stands still here. `state`: "leaving", to the manager of this identity key at this
    address; "gone", once that one has it; or "arriving", while it is being brought. `notice` tells its
    PCs."""

    __tablename__ = "moves"

    log: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    state: Mapped[str]
    at: Mapped[int]
    identity: Mapped[bytes]
    address: Mapped[str]
    chain: Mapped[bytes]  # the beginning of the other chain
    number: Mapped[int]  # of the notice
    notice: Mapped[bytes]
