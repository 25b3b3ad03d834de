"""What there is to see of an agency's log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from securepc.manager.ingest.model import Fault

if TYPE_CHECKING:
    from securepc.manager.core import Manager


class Summary(NamedTuple):
    """An agency's log as of the last block. Times are microseconds since 1970 UTC."""

    chain: bytes
    height: int  # of the whole chain
    block_time: int
    size: int
    root: bytes
    key: str  # C2SP verifier key of its checkpoints
    checkpoint: str  # the signed note
    judged: int  # leaves below this were opened and judged
    verdicts: int  # leaves below this are covered by verdicts on the ledger
    faults: int  # batches that do not open, or not as they should


def summary(manager: Manager, log: bytes) -> Summary:
    """Look at a log."""
    reader = manager.log
    moment = reader.snapshot(log)
    with manager.database.read() as session:
        faults = session.scalar(select(func.count()).where(Fault.log == log)) or 0
    return Summary(
        chain=reader.genesis().chain,
        height=moment.height,
        block_time=moment.block_time,
        size=moment.size,
        root=moment.root,
        key=str(reader.key(log)),
        checkpoint=moment.checkpoint.decode("utf-8"),
        judged=manager.opener.judged(log),
        verdicts=manager.judged_on_ledger(log),
        faults=faults,
    )
