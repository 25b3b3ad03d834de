"""What validators voted of each log, for PCs: the newest snapshot of which the votes are known.

The votes for a block come a second or two after it. A snapshot is taken, kept until its votes are there, and
then shown with every receipt until there is a newer one.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from securepc.ledger.log import LogReader
from securepc.ledger.snapshot import Snapshot
from securepc.wire.signed import proofs, votes
from securepc.wire.signed.documents import b64encode
from securepc.wire.signed.proofs import Placed


class _Of(NamedTuple):
    size: int
    value: dict[str, Any]


class VotedLogs:
    """At `manager.voted`. Thread-safe; one thread calls `look`."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._taken: dict[bytes, Snapshot] = {}
        self._known: dict[bytes, _Of] = {}

    def look(self, logs: list[bytes]) -> None:
        """Take snapshots of logs that grew, and see whether those taken before have their votes by now."""
        for log in filter(set(self._reader.logs()).__contains__, logs):
            taken = self._taken.get(log)
            if taken is not None and (found := self._reader.votes(taken.height)) is not None:
                record = Placed(
                    taken.log_record,
                    taken.state_path.index,
                    taken.state_path.size,
                    tuple(taken.state_path.hashes),
                )
                value = {
                    "record": proofs.write_record(record),
                    "votes": [votes.write(one) for one in found],
                }
                with self._lock:
                    self._known[log] = _Of(taken.size, value)
                del self._taken[log]
                taken = None
            known = self._known.get(log)
            if taken is None and self._reader.size(log) > (known.size if known is not None else 0):
                self._taken[log] = self._reader.snapshot(log)

    def shown(self, log: bytes, size: int) -> dict[str, Any] | None:
        """For a receipt whose checkpoint has this size: the record, the votes, and the consistency proof
        from the record's size on; None where there is nothing yet."""
        with self._lock:
            known = self._known.get(log)
        if known is None or known.size > size:
            return None
        steps = self._reader.consistency(log, known.size, size)
        return {**known.value, "since": [b64encode(step) for step in steps]}
