"""The outbox of what administrators do, and the batches made of it."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from securepc.manager.database import Base, Handle


class AuditEntry(Base):
    """One act, as the exact bytes of its entry, until it is on the ledger."""

    __tablename__ = "audit_outbox"

    id: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[bytes] = mapped_column(Handle, index=True)
    entry: Mapped[bytes]
    epoch: Mapped[int | None]  # the batch that it was sealed in


class AuditChain(Base):
    """The manager's own device in an agency's log: its keys (wrapped) and where its record stands."""

    __tablename__ = "audit_chains"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    device: Mapped[bytes] = mapped_column(Handle)
    key: Mapped[bytes]  # seed of its Ed25519 key
    epoch: Mapped[int]
    sequence: Mapped[int]
    head: Mapped[bytes]  # what the next batch names as its predecessor
    mac: Mapped[bytes]  # the journal's MAC key of `epoch`
    seal: Mapped[bytes]  # of `epoch`


class AuditBatch(Base):
    """A sealed batch that is not known to be on the ledger yet; these exact bytes are sent."""

    __tablename__ = "audit_batches"

    log: Mapped[bytes] = mapped_column(Handle, primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    leaf: Mapped[bytes]
    ciphertext: Mapped[bytes]
    box: Mapped[bytes]
