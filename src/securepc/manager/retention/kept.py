"""What of an agency's log is still kept, for those who open batches: as the ledger's records say just now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from securepc.ledger.log import StoredLeaf
from securepc.ledger.state import retention
from securepc.ledger.state.logs import month_of
from securepc.manager.ingest.opened import EXPIRED, REDACTED, Opened
from securepc.manager.retention.rests import Piece
from securepc.manager.retention.standing import Standing
from securepc.wire.signed import batch as headers
from securepc.wire.signed.batch import BatchHeader

if TYPE_CHECKING:
    from securepc.manager.retention.redaction import Redactions


class Kept:
    """One look at the records; make a new one for the next piece of the log."""

    def __init__(
        self,
        log: bytes,
        found: Standing,
        redactions: Redactions,
        hidden: Mapping[bytes, frozenset[int]] = MappingProxyType({}),
    ) -> None:
        """`hidden`: numbers of entries by device that nobody is shown (`retention.buried`)."""
        self._log = log
        self._hidden = hidden
        self._found = found
        self._spent = retention.Spent(found)
        self._counts = found.redactions()
        self._redactions = redactions

    def expired(self, index: int, device: bytes) -> str:
        """The month with which a batch expired; empty while it is kept."""
        month = self._spent.month(index, device)
        return month.month if month is not None else ""

    def redacted(self, index: int) -> int:
        """How many entries of a batch were redacted."""
        return self._counts[index]

    def is_whole(self, item: StoredLeaf) -> bool:
        """Whether a batch is neither expired nor redacted."""
        return not self._counts[item.index] and not self.expired(item.index, _device(item))

    def rest(self, item: StoredLeaf) -> tuple[list[bytes] | None, str | None]:
        """The entries that are left of a batch that is not whole, and why there are none."""
        if self.expired(item.index, _device(item)):
            return None, EXPIRED
        entries = self._redactions.entries(self._log, item.index, item.leaf, self._counts[item.index])
        return (entries, None) if entries is not None else (None, "redacted")

    def hides(self, index: int, header: BatchHeader) -> set[int]:
        """Which of a batch's entries nobody is shown, although the ledger does not say so yet."""
        hidden = self._hidden.get(header.device, frozenset())
        mine = {one for one in hidden if header.first <= one <= header.last}
        return mine and mine - set(self._found.redacted(index))

    def shown(self, item: Opened) -> Opened:
        """What was opened, as it may be handed on."""
        gone = self.hides(item.index, item.header)
        if not gone or item.entries is None:
            return item
        first = item.header.first
        entries = [REDACTED if first + i in gone else entry for i, entry in enumerate(item.entries)]
        return replace(item, entries=entries)

    def pieces(self, index: int, leaf: bytes) -> list[Piece]:
        """What is left of a batch of which entries were redacted.

        Raises:
            KeyError, rests.Unfit: it can't be read.
        """
        return self._redactions.read(self._log, index, leaf, self._counts[index])

    def period(self, item: StoredLeaf) -> str:
        """Where the key of a batch belongs: the month of its block's time, or the hold that keeps it."""
        hold = self._found.holder(item.index, _device(item))
        return month_of(item.block_time) if hold is None else f"hold/{hold.hold.hex()}"


def _device(item: StoredLeaf) -> bytes:
    return headers.of_leaf(item.leaf).device
