"""Who signs for a log itself, and which tree of it: the leaves that say so."""

from __future__ import annotations

from securepc.ledger.log import LogReader
from securepc.ledger.state.records import LogRecord, Record, TreeRecord
from securepc.wire.signed import documents
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.documents import b64decode


def places(reader: LogReader, log: bytes, records: list[Record], size: int) -> list[int]:
    """The log's first leaf, every change of its registrar, and where it goes on after a restore, of a log
    with these records and so many leaves; rising."""
    trees = [record.leaf for record in records if isinstance(record, TreeRecord)]
    opening = documents.decode("log", leaves.split(reader.leaf(log, 0)).body)
    now = next(record for record in records if isinstance(record, LogRecord))
    if b64decode(opening["registrar"]) == now.registrar:
        return [0, *trees]
    # Changes of registrar are so rare that no index of them is kept.
    stored = reader.leaves(log, 0, size)
    changes = (one.index for one in stored if leaves.split(one.leaf).kind == "registrar")
    return sorted({0, *trees, *changes})
