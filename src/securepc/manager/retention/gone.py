"""What is known of an entry whose content is gone: that it was there, where, since when and why it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from securepc.ledger.state import retention
from securepc.ledger.state.records import RedactionRecord, redaction_id
from securepc.manager.retention.model import RetentionRequest
from securepc.manager.retention.standing import standing
from securepc.wire.signed import batch as headers
from securepc.wire.signed.batch import BatchHeader

if TYPE_CHECKING:
    from securepc.manager.core import Manager


class Gone(NamedTuple):
    """An entry without content. `month`: it expired with this month; empty: it was redacted, and `request` is
    the line of the register. `said` is the leaf that says so, `at` its block's time in microseconds UTC."""

    month: str
    leaf: int
    header: BatchHeader
    block_time: int
    said: int
    at: int
    request: RetentionRequest | None


def find(manager: Manager, log: bytes, device: bytes, sequence: int) -> Gone | None:
    """What became of an entry; None where the agency never had it, or still has it."""
    places = manager.log.batches(log, device, sequence, sequence)
    if not places or manager.log.device(log, device) is None:
        return None
    index = places[0]
    stored = next(manager.log.leaves(log, index, index + 1))
    header = headers.of_leaf(stored.leaf)
    found = standing(manager.log, log)
    month = retention.Spent(found).month(index, device)
    if month is not None and month.expired is not None:
        at = _time(manager, log, month.expired)
        return Gone(month.month, index, header, stored.block_time, month.expired, at, None)
    record = found.registry.get(RedactionRecord, redaction_id(index, sequence))
    if record is None:
        return None
    query = select(RetentionRequest).where(
        RetentionRequest.log == log,
        RetentionRequest.batch == index,
        RetentionRequest.sequence == sequence,
        RetentionRequest.state == "approved",
    )
    with manager.database.read() as session:
        request = session.scalars(query.limit(1)).one_or_none()
    at = _time(manager, log, record.leaf)
    return Gone("", index, header, stored.block_time, record.leaf, at, request)


def _time(manager: Manager, log: bytes, index: int) -> int:
    return next(manager.log.leaves(log, index, index + 1)).block_time
