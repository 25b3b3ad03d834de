"""What the opener must remember."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class MacChain(Base):
    """Where the check of a device's journal stands: epoch, that epoch's key (wrapped) and its seal."""

    __tablename__ = "mac_chains"

    device: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    epoch: Mapped[int]
    key: Mapped[bytes]
    seal: Mapped[bytes]


class Opening(Base):
    """How far a log has been opened and judged.

    Leaves below `judged` are covered by verdicts, the last of which, `verdict`, may not be on the ledger
    yet; `opened` counts the batches in [judged, position) that opened and agree with their headers.
    """

    __tablename__ = "openings"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    position: Mapped[int]
    judged: Mapped[int]
    opened: Mapped[int]
    verdict: Mapped[bytes | None]


class Fault(Base):
    """A batch that does not open, or not as it should: its reason, for ever."""

    __tablename__ = "faults"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    leaf: Mapped[int] = mapped_column(primary_key=True)
    device: Mapped[bytes] = mapped_column(Handle)
    reason: Mapped[str]
    found_at: Mapped[int]


class Claim(Base):
    """What a device said last of an epoch while it was open: its batch must pass through it."""

    __tablename__ = "heartbeat_claims"

    device: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    boot: Mapped[bytes]
    sequence: Mapped[int]
    head: Mapped[bytes]
    at: Mapped[int]
