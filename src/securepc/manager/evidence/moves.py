"""What tells that a log changed its keeper: the leaves that say so, and the registry's record."""

from __future__ import annotations

from collections.abc import Callable

from securepc.ledger.log import LogReader
from securepc.ledger.snapshot import Snapshot
from securepc.ledger.state import moves
from securepc.ledger.state.records import MoveRecord
from securepc.wire.signed.moves import Moves
from securepc.wire.signed.proofs import Placed, Proven


def tell(reader: LogReader, snapshot: Snapshot, proven: Callable[[int], Proven]) -> Moves | None:
    """The log's moves; None where it is with its first keeper."""
    found = snapshot.record(MoveRecord, "")
    if found is None:
        return None
    record, path = found
    # Moves are so rare that no index of them is kept.
    stored = reader.leaves(snapshot.log, 0, snapshot.size)
    adopted = [one.index for one in stored if moves.is_adoption(one.leaf)]
    # The last leaf in the chain before is the one with which the log left it.
    places = [place for index in adopted for place in (index - 1, index)]
    return Moves(tuple(map(proven, places)), Placed(record, path.index, path.size, tuple(path.hashes)))
