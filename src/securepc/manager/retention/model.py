"""What waits to be on the ledger, the register of holds and redactions, and how far each month is."""

from __future__ import annotations

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class RetentionAct(Base):
    """A document on its way to the ledger, signed as it is sent until it is there. `state`:
    waiting, then done (`leaf_index`) or refused (`detail`: the ledger's word)."""

    __tablename__ = "retention_acts"
    __table_args__ = (Index("ix_retention_acts_state", "state", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    kind: Mapped[str]
    body: Mapped[bytes]
    state: Mapped[str]
    leaf_index: Mapped[int | None]
    detail: Mapped[str]
    made_at: Mapped[int]
    made_by: Mapped[str]


class RetentionRequest(Base):
    """A line of the register (台帳): somebody asks for a hold, for its release, or for a redaction. `state`:
    waiting, then approved or refused; refusals stay. `act` is what an approval became."""

    __tablename__ = "retention_requests"
    __table_args__ = (Index("ix_retention_requests_log", "log", "state"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle)
    kind: Mapped[str]  # hold, release, redact
    device: Mapped[bytes | None] = mapped_column(Handle)  # of a hold: None for all PCs
    start: Mapped[int | None]  # of a hold: block times [start, stop), microseconds since 1970 UTC
    stop: Mapped[int | None]
    hold: Mapped[bytes | None] = mapped_column(Handle)
    batch: Mapped[int | None]  # of a redaction: the leaf, and the entry's number
    sequence: Mapped[int | None]
    ground: Mapped[str]
    asked_by: Mapped[str]
    asked_at: Mapped[int]
    state: Mapped[str]
    decided_by: Mapped[str]
    decided_at: Mapped[int | None]
    reason: Mapped[str]  # of a refusal
    act: Mapped[int | None]


class RetentionMonth(Base):
    """A month of an agency's log: when its end was announced and for when, and when it was seen to be gone.
    Times are microseconds since 1970 UTC."""

    __tablename__ = "retention_months"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    month: Mapped[str] = mapped_column(primary_key=True)
    announced_at: Mapped[int]
    expires_at: Mapped[int]
    gone_at: Mapped[int | None]


class RetentionRest(Base):
    """What is left of a batch once `count` of its entries are redacted: the others with their salts,
    encrypted. `key` is the key of `body`, wrapped, until it takes the place of the batch's own."""

    __tablename__ = "retention_rests"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    batch: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[bytes]
    key: Mapped[bytes | None]


class RetentionBuried(Base):
    """An entry that was redacted before the manager was restored from an older backup: it is shown to nobody,
    and redacted anew once the ledger can say so."""

    __tablename__ = "retention_buried"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    device: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ground: Mapped[str]
    approver: Mapped[str]
