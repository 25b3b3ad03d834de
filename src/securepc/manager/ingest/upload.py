"""Batches on their way into the ledger, and the receipt that they are there.

The sealed keys are written first: a batch whose key is lost could never be opened. Uploads that arrive
together share that write, and the ledger puts them in one block.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from sqlite3 import OperationalError
from typing import TYPE_CHECKING, Any, NamedTuple

from securepc.ledger.sequencer import Committed
from securepc.ledger.state import Refused
from securepc.ledger.store import Unordered
from securepc.manager import clock
from securepc.manager.database import DatabaseFull
from securepc.manager.database.engine import is_full
from securepc.manager.ingest import messages, trees
from securepc.manager.ingest.groups import Closed, Groups
from securepc.manager.ingest.messages import Upload
from securepc.manager.ingest.refusals import by_ledger, refuse
from securepc.manager.ingest.request import Sender
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.batch import message_hash, of_leaf
from securepc.wire.signed.documents import b64encode

if TYPE_CHECKING:
    from securepc.manager.core import Manager


class _Waiting(NamedTuple):
    log: bytes
    transaction: bytes
    boxes: list[tuple[bytes, bytes]]  # (header hash, sealed key)
    ordered: Future[Committed]


class Uploads:
    """At `manager.uploads`: writes sealed keys in groups and hands transactions to the sequencer."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._lock = threading.Lock()
        self._underway: Counter[bytes] = Counter()
        """How many uploads that are not answered yet carry a batch, by header hash."""
        self._groups: Groups[_Waiting] = Groups("uploads", self._commit)

    def order(self, upload: Upload) -> Future[Committed]:
        """Put batches on the ledger, from any thread.

        The future fails as the sequencer's does, or with `DatabaseFull` when the keys could not be written.

        Raises:
            Closed: the manager is shutting down.
            Gathering: the log was restored and its successor is not open yet.
            Refused: "gap": keys of batches before these were lost with this manager's disk.
        """
        hashes = [message_hash(data) for data in upload.leaves]
        boxes = list(zip(hashes, upload.boxes, strict=True))
        first = upload.headers[0]
        self._manager.waiting.require(first.log)
        self._manager.restored.require(first.log, first.device, first.epoch)
        waiting = _Waiting(upload.headers[0].log, upload.transaction, boxes, Future())
        # Whoever asked may give up waiting and cancel: what is underway stays so until it is ordered.
        committed: Future[Committed] = Future()
        with self._lock:
            self._underway.update(hashes)
        waiting.ordered.add_done_callback(lambda _: self._over(hashes))
        waiting.ordered.add_done_callback(partial(_copy, committed))
        try:
            self._groups.add(waiting).add_done_callback(partial(_fail, waiting.ordered))
        except Closed:
            self._over(hashes)
            raise
        return committed

    def forget(self, log: bytes, device: bytes, leaves: list[bytes]) -> bytes | None:
        """Drop the keys of refused batches that are neither on the ledger nor on their way to it: the same
        batch may come again while its first try is still being refused.

        Gives the first of them whose place on the ledger another batch has, None where there is none.
        """
        lost, other = [], None
        with self._lock:  # no upload may begin in between
            for data in leaves:
                name = message_hash(data)
                idle = name not in self._underway  # asked first: it is on the ledger before it is over
                found = self._at(log, device, of_leaf(data).epoch)
                if found is not None and message_hash(found) == name:
                    continue
                if idle:
                    lost.append(name)
                if found is not None and other is None:
                    other = data
            self._manager.keys.drop_boxes(log, lost)
        return other

    def _at(self, log: bytes, device: bytes, epoch: int) -> bytes | None:
        index = self._manager.log.batch(log, device, epoch)
        return None if index is None else self._manager.log.leaf(log, index)

    def _over(self, hashes: list[bytes]) -> None:
        with self._lock:
            for name in hashes:
                self._underway[name] -= 1
                if not self._underway[name]:
                    del self._underway[name]

    def close(self) -> None:
        """Finish what was handed in."""
        self._groups.close()

    def _commit(self, group: list[_Waiting]) -> None:
        by_log: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for waiting in group:
            by_log.setdefault(waiting.log, []).extend(waiting.boxes)
        for log, boxes in by_log.items():
            self._manager.waiting.require(log)  # it may have been shut since
            try:
                self._manager.keys.put_boxes(log, boxes)
            except OperationalError as error:
                if is_full(error):
                    raise DatabaseFull(str(error)) from None
                raise
        for waiting in group:
            ordered = self._manager.sequencer.submit(waiting.transaction)
            ordered.add_done_callback(partial(_copy, waiting.ordered))


async def take(manager: Manager, sender: Sender, body: bytes, size: int, tree: str) -> bytes:
    """The receipt for an upload, as JSON; the device has the checkpoint of `size` in the tree of this name.

    Raises:
        ApiError: truncated, malformed, other-device, too-large, ahead, stopping, or what the ledger refuses.
        StoreFull: no room on the disk.
    """
    upload = await asyncio.to_thread(messages.read_upload, body, sender.log, sender.device)
    await asyncio.to_thread(_require_seen, manager, sender.log, size, tree)
    manager.presence.seen(sender.device)
    judged = manager.opener.judged(sender.log)
    try:
        committed = await asyncio.wrap_future(manager.uploads.order(upload))
    except Refused as refused:
        await asyncio.to_thread(_refused, manager, sender, upload, refused)
        raise by_ledger(refused) from None
    except (Closed, RuntimeError):
        raise refuse("stopping", retry_after=5) from None
    manager.health.count("batches_total", committed.count)
    manager.health.count("entries_total", sum(header.size for header in upload.headers))
    epochs = [header.epoch for header in upload.headers]
    manager.restored.take(sender.log, sender.device, epochs)
    again = {i: data for data, i in zip(upload.leaves, committed.indexes, strict=True) if i < judged}
    if again:
        await asyncio.to_thread(_come_again, manager, sender.log, again)
    return await asyncio.to_thread(receipt, manager, upload, committed, size, tree)


def _come_again(manager: Manager, log: bytes, leaves: dict[int, bytes]) -> None:
    """Their keys are kept with their months: the boxes that came this time are not needed, but for batches
    that were judged without a key."""
    late = manager.opener.late(log, leaves)
    names = [message_hash(data) for index, data in leaves.items() if index not in late]
    manager.keys.drop_boxes(log, names)


def _require_seen(manager: Manager, log: bytes, size: int, tree: str) -> None:
    """Order nothing for a PC that has seen more of the log than there is: this ledger may be an older one.

    Raises:
        Gathering: the log waits for its successor, and the PC is to show what it has.
        ApiError: ahead.
        Unordered: validators have the ledger, and the one beside this manager is behind the others.
    """
    manager.waiting.require(log)
    now, names = manager.log.size(log), ["", *(one.name for one in manager.log.trees(log))]
    if (tree == names[-1] and size > now) or (tree not in names and len(names) == 1):
        if manager.ordering.elsewhere:
            raise Unordered(f"the validator here has {now} leaves of the {size} that were seen elsewhere")
        raise refuse("ahead", size=now)


def receipt(manager: Manager, upload: Upload, committed: Committed, size: int, tree: str) -> bytes:
    """The proof that batches are in the log, for who knows the checkpoint of `size` in this tree of it.

    Raises:
        ApiError: malformed, where that checkpoint is beyond the log.
    """
    log = committed.log
    note = manager.log.checkpoint(log)
    now = int(note.split(b"\n", 2)[1])
    shared = trees.shared(manager.log, log, tree, now)
    if size > now and shared == now:
        raise refuse("ahead", size=now)
    proofs = manager.log.inclusions(log, committed.indexes, now)
    answer = {
        "checkpoint": note.decode("utf-8"),
        "batches": [
            {
                "epoch": header.epoch,
                "index": index,
                "proof": [b64encode(step) for step in proof],
            }
            for header, index, proof in zip(upload.headers, committed.indexes, proofs, strict=True)
        ],
        "consistency": [
            b64encode(step) for step in (manager.log.consistency(log, size, now) if size <= shared else ())
        ],
        "trees": [] if shared == now else trees.proven(manager.log, log, now),
        **_cosigned(manager, log, now),
        "voted": manager.voted.shown(log, now) if shared == now else None,
        "watermark": manager.backups.watermark(log),
    }
    return messages.encode(answer)


def _cosigned(manager: Manager, log: bytes, size: int) -> dict[str, Any]:
    """The newest checkpoint that the quorum cosigned, and that the log of `size` continues it."""
    note = manager.witnesses.cosigned(log)
    seen = int(note.split(b"\n", 2)[1]) if note else 0
    if note is None or seen > size:
        return {"cosigned": None, "since": []}
    steps = manager.log.consistency(log, seen, size)
    return {"cosigned": note.decode("utf-8"), "since": [b64encode(step) for step in steps]}


def _refused(manager: Manager, sender: Sender, upload: Upload, refused: Refused) -> None:
    """Forget the keys of what is not on the ledger; where a device said two things, put that on it."""
    second = manager.uploads.forget(sender.log, sender.device, upload.leaves)
    if refused.code == "fork" and second is not None:
        _report_fork(manager, sender, second)


def _report_fork(manager: Manager, sender: Sender, second: bytes) -> None:
    """Put the other one of two batches for one place on the ledger, once a device."""
    value = {
        "log": sender.log.hex(),
        "at": clock.now(),
        "device": sender.device.hex(),
        "leaf": b64encode(second),
    }
    key = manager.keys.log(sender.log).registrar
    try:
        manager.submit(sender.log, leaf.frame("fork", documents.encode("fork", value), key.sign)).result()
    except Refused as refused:
        if refused.code != "duplicate":
            raise


def _fail(out: Future[Committed], kept: Future[None]) -> None:
    error = kept.exception()
    if error is not None:
        with suppress(InvalidStateError):  # this one had been handed on before a later one failed
            out.set_exception(error)


def _copy(out: Future[Committed], done: Future[Committed]) -> None:
    error = done.exception()
    with suppress(InvalidStateError):  # nobody waits any more
        if error is not None:
            out.set_exception(error)
        else:
            out.set_result(done.result())
