"""What proves that batches expired: the leaves that say so, and records of the registry."""

from __future__ import annotations

from collections.abc import Callable, Collection

from securepc.ledger.snapshot import Snapshot
from securepc.ledger.state.records import HoldRecord, MonthRecord, decode
from securepc.wire.signed.expiry import Expiry
from securepc.wire.signed.proofs import Placed, Proven


def prove(snapshot: Snapshot, said: Collection[int], proven: Callable[[int], Proven]) -> Expiry | None:
    """The proof for months that expired by the leaves `said`; None where there are none.

    Their records and the ones of the months after them, all holds, and the records around the holds: two that
    stand next to each other show that there is none between them.
    """
    if not said:
        return None
    registry = snapshot.registry
    before = sum(kind < HoldRecord.TYPE for kind, _, _ in registry)
    after = sum(kind <= HoldRecord.TYPE for kind, _, _ in registry)
    # The log's own record comes after the holds, and the month that says so after the one that expired.
    ranks = set(range(max(before - 1, 0), after + 1))
    for rank, (kind, _, data) in enumerate(registry):
        if kind == MonthRecord.TYPE:
            month = decode(data)
            assert isinstance(month, MonthRecord)
            if month.expired in said:
                ranks |= {rank, rank + 1}
    placed = []
    for rank in sorted(ranks):
        record, path = snapshot.at(rank)
        placed.append(Placed(record, path.index, path.size, tuple(path.hashes)))
    return Expiry(tuple(proven(index) for index in sorted(said)), tuple(placed))
