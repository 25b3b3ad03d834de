"""The leaves that a log had before it came to this chain, audited: by the same rules, up to the proven
state."""

from __future__ import annotations

import sqlite3

from securepc.ledger.fsck.contents import Contents
from securepc.ledger.fsck.report import Report
from securepc.ledger.state import LogState, Refused, State, moves
from securepc.ledger.store import queries, retired
from securepc.ledger.store.arrivals import Arrival, History, replay
from securepc.wire import keys
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.block import Item
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.leaf import CheckSignature


def check(
    db: sqlite3.Connection,
    report: Report,
    contents: Contents,
    known: LogState | None,
    item: Item,
    log: bytes,
    verify: CheckSignature,
) -> None:
    """Audit what an `adopt` (`item`, which the rules accepted) brought beyond what was known of the log."""
    adopted = moves.read(item.body)
    wanted = moves.proven(adopted, log)
    row = queries.log(db, log)
    state = State(History(db), [known.copy()] if known is not None else [], verify)
    start, time = known.size if known is not None else 0, 0
    where = f"log {log.hex()} leaves {start}–{wanted.size}"
    try:
        for run in queries.runs(db, row.no, start, wanted.size):
            block = queries.block(db, run.height)
            if block is None or run.height >= 0:
                report.wrong(where, "block-missing")
                return
            items = queries.places(db, run.start + run.shift, run.stop + run.shift)
            if len(items) != run.stop - run.start:
                report.wrong(where, "leaves")
                return
            arrival = Arrival(block, retired.key_at(db, row, run.stop), b"", items)
            if arrival.time <= time or not _signed(arrival, adopted):
                report.wrong(where, "block", "time or signature")
            time = arrival.time
            for place, (leaf, body) in enumerate(items, run.start + run.shift):
                contents.leaf(place, leaf, body)
            replay(state, log, arrival)
            now = state.log(log)
            assert now is not None
            contents.log(now, run.height, run.shift)
            contents.brought(len(items))
            state.settle()
    except (Malformed, Refused) as error:
        report.wrong(where, "refused", str(error))
        return
    now = state.log(log)
    if now is None or now.record() != wanted.record():
        report.wrong(where, "adopted")


def _signed(arrival: Arrival, proof: moves.Proof) -> bool:
    """Blocks of the chain that the log came from last are signed by its key. Of chains before that one the
    genesis is in a proof further down, which the replay reads."""
    header = blocks.parse(leaves.split(arrival.block).body)
    if header.chain != proof.genesis.chain:
        return True
    key = moves.block_keys(proof).at(header.height)
    return leaves.signed_by(arrival.block, blocks.KIND, key, keys.verify)
