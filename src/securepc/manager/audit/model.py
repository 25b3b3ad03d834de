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
