"""Who decides the order of transactions."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

from securepc.ledger.chain import Committed

__all__ = ["Committed", "Sequencer"]


class Sequencer(Protocol):
    """Takes transactions and answers once they are durable, in the order that all readers see."""

    def submit(self, transaction: bytes) -> Future[Committed]:
        """Hand in a transaction (`wire.signed.block`), from any thread.

        The future fails with `ledger.state.Refused`, or with `ledger.store.StoreFull` or another
        `StoreError` when it could not be written: sending the same bytes again is then always safe. An
        identical batch sent again is not an error: its earlier place is the answer.
        """

    def close(self) -> None:
        """Finish what was handed in and stop. What comes later fails with `RuntimeError`."""
