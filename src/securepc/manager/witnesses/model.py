"""What witnesses have signed, and how they answer."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class WitnessState(Base):
    """A witness and a log. `size`: of the last checkpoint that it cosigned, as we know it; times in
    microseconds since 1970 UTC."""

    __tablename__ = "witness_states"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    witness: Mapped[str] = mapped_column(primary_key=True)  # its verifier key
    size: Mapped[int]
    signed_at: Mapped[int | None]
    asked_at: Mapped[int]
    trouble: Mapped[str]  # a word of `service.TROUBLES`, empty where it signed
    detail: Mapped[str]


class Cosigned(Base):
    """The newest checkpoint of a log that the quorum cosigned, with its lines."""

    __tablename__ = "cosigned_checkpoints"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    size: Mapped[int]
    note: Mapped[bytes]
    at: Mapped[int]
