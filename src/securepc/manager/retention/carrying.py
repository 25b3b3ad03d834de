"""Carry out what the ledger says of an agency's log: keep what is held, destroy what expired or was redacted.

Level-triggered: each step looks at the ledger's records, does what is missing and may be repeated. The
transaction always comes first: killed at any instant, the next start finds in the ledger what is to be done.

1. The keys of held batches move to their hold, before any month's key is destroyed.
2. Redacted batches: the key of what is left takes the place of the batch's.
3. Expired months: rows leave the search files, then the key of the month is destroyed, then stray boxes.
4. Released holds: keys go to another hold, or back to a month that is kept, or are destroyed.
5. A month counts as gone once key, rows and bodies were looked for and not found.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from securepc.ledger.state import retention
from securepc.ledger.state.records import HoldRecord, MonthRecord
from securepc.manager.retention import rests
from securepc.manager.retention.redaction import Redactions
from securepc.manager.retention.standing import Standing, standing
from securepc.wire.signed import batch as headers

if TYPE_CHECKING:
    from securepc.manager.core import Manager

logger = logging.getLogger(__name__)


class Carrier:
    """Used on one thread at a time."""

    def __init__(self, manager: Manager, redactions: Redactions) -> None:
        self._manager = manager
        self._redactions = redactions
        self._done: set[tuple[bytes, str, object]] = set()
        """What was done since the start, so that a round costs nothing where nothing is new."""

    def carry_out(self, log: bytes) -> list[str]:
        """Do what is to be done for an agency; gives the expired months of which nothing is left that no hold
        keeps.

        Raises:
            OSError: the disk is full or fails; all of it is tried again.
        """
        found = standing(self._manager.log, log)
        judged = self._manager.opener.judged(log)
        for hold in retention.in_force(found):
            if hold.stop <= judged:
                self._once(log, "hold", hold.hold, partial(self._keep, found, log, hold))
        for batch, count in found.redactions().items():
            if batch < judged:
                redact = partial(self._redactions.carry_out, log, batch, count)
                self._once(log, "redact", (batch, count), redact)
        for month in found.expired:
            if found.leaves(month).stop <= judged:
                self._once(log, "month", month.month, partial(self._destroy, found, log, month))
        for hold in found.holds:
            if hold.released is not None and hold.stop <= judged:
                self._once(log, "release", hold.hold, partial(self._let_go, found, log, hold))
        return [month.month for month in found.expired if self._is_gone(found, log, month)]

    def _once(self, log: bytes, what: str, which: object, do: Callable[[], None]) -> None:
        if (log, what, which) not in self._done:
            do()
            self._done.add((log, what, which))

    def _keep(self, found: Standing, log: bytes, hold: HoldRecord) -> None:
        """1. Move the keys of what a hold covers to it."""
        batches = self._batches(found, log, hold.start, hold.stop, hold.device)
        mine = [name for name, _, holder in batches if holder == hold]
        if mine:
            self._manager.keys.rewrap(log, _period(hold), mine)

    def _destroy(self, found: Standing, log: bytes, month: MonthRecord) -> None:
        """3. Destroy what a month leaves behind."""
        leaves = found.leaves(month)
        for hold in retention.in_force(found):
            if hold.start < leaves.stop and leaves.start < hold.stop:
                self._keep(found, log, hold)  # again: this key store may be older than the hold
        self._manager.search.expire(log, month.month, retention.in_force(found))
        if month.month in self._manager.keys.months(log):
            self._manager.keys.destroy_month(log, month.month)
            free = [n for n, _, holder in self._batches(found, log, leaves.start, leaves.stop) if not holder]
            self._manager.keys.drop_boxes(log, free)
            logger.info("the key of %s of %s is destroyed", month.month, log.hex())

    def _let_go(self, found: Standing, log: bytes, hold: HoldRecord) -> None:
        """4. Nothing stays with a hold that was released."""
        if _period(hold) not in self._manager.keys.months(log):
            return
        expired = {month.month for month in found.expired}
        months = retention.Spent(found)
        homes: dict[str, list[bytes]] = {}
        for name, index, holder in self._batches(found, log, hold.start, hold.stop, hold.device):
            month = months.of_leaf(index)
            if holder is not None:
                homes.setdefault(_period(holder), []).append(name)
            elif month is not None and month.month not in expired:
                homes.setdefault(month.month, []).append(name)
        for home, names in homes.items():
            self._manager.keys.rewrap(log, home, names)
        self._manager.keys.destroy_month(log, _period(hold))
        for month in found.expired:
            leaves = found.leaves(month)
            if hold.start < leaves.stop and leaves.start < hold.stop:
                self._manager.search.expire(log, month.month, retention.in_force(found))

    def _is_gone(self, found: Standing, log: bytes, month: MonthRecord) -> bool:
        """5. Look again, at what is there and not at what was done."""
        if (log, "month", month.month) not in self._done or month.month in self._manager.keys.months(log):
            return False
        if (log, "gone", month.month) not in self._done:
            leaves = found.leaves(month)
            free = [part for part in retention.expired(found) if part.start in leaves]
            if any(self._manager.log.has_bodies(log, part.start, part.stop) for part in free):
                return False
            self._done.add((log, "gone", month.month))
        return True

    def _batches(
        self, found: Standing, log: bytes, start: int, stop: int, device: bytes | None = None
    ) -> Iterator[tuple[bytes, int, HoldRecord | None]]:
        """The batches in [start, stop), of one device or of all: what its key goes by, its leaf, and the hold
        in force that keeps it."""
        counts = found.redactions()
        for index, leaf in self._manager.log.batch_leaves(log, start, stop):
            of = headers.of_leaf(leaf).device
            if device is None or device == of:
                yield rests.key_name(leaf, counts[index]), index, found.holder(index, of)


def _period(hold: HoldRecord) -> str:
    return f"hold/{hold.hold.hex()}"
