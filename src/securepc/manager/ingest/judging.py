"""Judge one batch: does it agree with its header, its journal's seal, with what was announced? Pure, so that
it can be done in any process (`workers`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from securepc.ledger import merkle
from securepc.manager.ingest.opened import Opened
from securepc.wire import batch, chain
from securepc.wire.batch import Unreadable
from securepc.wire.shapes import prepared
from securepc.wire.signed import batch as headers
from securepc.wire.signed.batch import BatchHeader

NO_KEY = "key"
"""There is no key for the payload."""
_SHOWN = 20


@prepared
class Work(msgspec.Struct, frozen=True, array_like=True):
    """A batch, and all that it takes to judge it.

    `chain`: its epoch's MAC key and the seal before it; None where none is known. `again`: its seal was
    judged before. `said`: the sequence number and the tag that a heartbeat named. `announced`: lines, each
    with its number.
    """

    log: bytes
    index: int
    height: int
    block_time: int
    leaf: bytes
    body: bytes | None
    key: bytes | None
    chain: tuple[bytes, bytes] | None = None
    again: bool = False
    said: tuple[int, bytes] | None = None
    announced: list[tuple[int, bytes]] = []


class Difference(NamedTuple):
    """A line that was announced; `sealed` is what the batch has in its place, None where it has nothing."""

    sequence: int
    announced: bytes
    sealed: bytes | None


@prepared
class Finding(msgspec.Struct, frozen=True, array_like=True):
    """What was found: `reason` why a batch has no entries, None where it opens; whether it carries the `seal`
    that its chain leads to, and passes through what a heartbeat said (`head`); how many announced lines were
    sealed otherwise (`differing`), and the first 20 of them."""

    reason: str | None
    seal: bool
    head: bool
    differing: int
    shown: list[Difference]


def judge(work: Work) -> tuple[Finding, Opened]:
    """Open a batch and judge it; the batch as followers get it, without a verdict yet."""
    header = headers.of_leaf(work.leaf)
    entries, reason = open_batch(header, work.body, work.key)
    seal, head = _agrees(work, header, entries)
    found = differences(work.announced, header.first, entries) if entries is not None else []
    opened = Opened(work.log, work.index, work.height, work.block_time, header, entries, reason)
    return Finding(reason, seal, head, len(found), found[:_SHOWN]), opened


def bare(work: Work, finding: Finding) -> Opened:
    """A batch that was judged elsewhere, without its entries."""
    header = headers.of_leaf(work.leaf)
    return Opened(work.log, work.index, work.height, work.block_time, header, None, finding.reason)


def differences(
    announced: Sequence[tuple[int, bytes]], first: int, entries: Sequence[bytes]
) -> list[Difference]:
    """The announced lines that are not what was sealed from the number `first` on."""
    last = first + len(entries) - 1
    found = []
    for sequence, line in announced:
        sealed = entries[sequence - first] if first <= sequence <= last else None
        # What is announced crosses as text: bytes that are not UTF-8 became U+FFFD on the way.
        if sealed != line and (sealed is None or sealed.decode("utf-8", "replace").encode() != line):
            found.append(Difference(sequence, line, sealed))
    return found


def _agrees(work: Work, header: BatchHeader, entries: list[bytes] | None) -> chain.Agreement:
    if work.again or (entries is None and work.chain is not None):
        return chain.Agreement(True, True)
    if work.chain is None:
        return chain.Agreement(False, True)
    key, before = work.chain
    epoch = chain.Epoch(key, header.epoch, header.first, before)
    return chain.judge(epoch, entries or [], header.seal, work.said)


def open_batch(
    header: BatchHeader, body: bytes | None, key: bytes | None
) -> tuple[list[bytes] | None, str | None]:
    """The entries of a batch, or why there are none."""
    if body is None:
        return None, "expired"
    if key is None:
        return None, NO_KEY
    try:
        return batch.open_payload(header, body, key, root_of=merkle.root), None
    except Unreadable as error:
        return None, error.reason
    except Exception as error:  # whatever a payload does, the batches after it are opened
        return None, type(error).__name__.lower()[:60]
