"""Verification, in this order. Whatever fails first ends it, named with its step and its place.

1. *The file* is a pack in its one spelling: the zip's frame, evidence.json, every batch.
2. *The checkpoint* is of the log that the evidence is about, and signed by that log's key in the policy.
3. *Outsiders*: every cosignature by a witness of the policy is valid, and they make up its quorum. A time
   stamp is over an earlier checkpoint of the log that this one continues; with certificates to trust, it is
   by one of their authorities.
4. *The block*: its state root covers the log's record, and the record has the checkpoint's size and root.
   With a genesis to trust, the block is of that chain and signed by its key, or more than two thirds of the
   votes are for it, from the genesis' validators (or pinned ones) on; without, this is named.
5. *Who registers devices*: the log's first leaf and every change of registrar are in the log, each signed
   by the registrar before. Where the log changed its keeper, it goes on right where it was left.
6. *The devices*: each one's record is in the registry that the log's record commits to; its registration,
   key rotations, revocation and fork are in the log, rightly signed, and lead to that record.
7. *Each batch* is signed by the key its device had at that place of the log, not after a revocation; it is
   in the log under the checkpoint; and it continues the device's batch before it, where that is in the pack.
8. *Each entry* stands, with its salt, at its place under its batch's root; what is redacted the log names.
   Of a batch without content the log says that its month expired, and its registry that no hold keeps it.
9. *The claim*: a range has every entry from first to last exactly once, or as expired, and none besides.
"""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import note
from securepc.ledger.checkpoint import Checkpoint, Cosignature
from securepc.ledger.note import NoteError
from securepc.verify import blocks, ed25519, moves, stamps, workers
from securepc.verify.batches import Completeness, EntriesRoot, Ground, Redactions, Sealed, entries_root
from securepc.verify.expiry import Expiries
from securepc.verify.members import Member, Registrars, Tree, read_record, read_signed, require_inclusion
from securepc.verify.stamps import CheckStamp
from securepc.verify.trust import Trust
from securepc.verify.verdict import Block, Entry, Expired, NotValid, Stamp, Verdict, Votes
from securepc.wire.signed import documents, evidence
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode
from securepc.wire.signed.evidence import Evidence
from securepc.wire.signed.leaf import CheckSignature
from securepc.wire.signed.pack import Deflate, Reader

Progress = Callable[[int, int], None]
"""(done, total)"""

_LOG_RECORD = documents.record(
    {
        "log": documents.handle,
        "registry": documents.HASH,
        "root": documents.HASH,
        "size": documents.integer,
    }
)


def check(
    stream: BinaryIO,
    trust: Trust,
    verify: CheckSignature = ed25519.verify,
    *,
    stamped: CheckStamp | None = None,
    deflate: Deflate = zlib,
    root: EntriesRoot = entries_root,
    keep: bool = True,
    workers: int = 1,
    progress: Progress = lambda done, total: None,
) -> Verdict:
    """Judge the evidence pack in a seekable stream.

    Args:
        verify: (public key, message, signature) → is it valid; pure RFC 8032 unless one is given.
        stamped: judges time stamps, where there is a library for it.
        deflate: unpacks; Python's own unless one is given.
        root: hashes the entries of a batch; with Python's own hashlib unless one is given.
        keep: whether the verdict has the entries themselves; without them memory does not grow with the pack.
        workers: how many processes may judge the batches of a large pack; the verdict is the same.
        progress: called with the bytes of batches that are judged, and all of them.

    Raises:
        NotValid: the evidence does not hold; says what is wrong and where.
        OSError: the stream cannot be read.
    """
    return _Check(trust, verify, stamped, deflate, root, keep, workers, progress).run(stream)


class _Check:
    def __init__(
        self,
        trust: Trust,
        verify: CheckSignature,
        stamped: CheckStamp | None,
        deflate: Deflate,
        root: EntriesRoot,
        keep: bool,
        workers: int,
        progress: Progress,
    ) -> None:
        self._trust = trust
        self._verify = verify
        self._stamped = stamped
        self._deflate = deflate
        self._root = root
        self._keep = keep
        self._workers = workers
        self._progress = progress
        self._step = 0
        self._covered: int | None = None  # leaves that the time stamp covers
        self._not_checked: list[tuple[str, dict[str, object]]] = []
        self._remarks: list[tuple[str, dict[str, object]]] = []

    def run(self, stream: BinaryIO) -> Verdict:
        try:
            return self._run(stream)
        except NotValid as wrong:
            # What was found ahead of its turn knows its step itself.
            wrong.step = wrong.step or self._step
            raise

    def _run(self, stream: BinaryIO) -> Verdict:
        # (1): the file is a pack in its one spelling
        self._step = 1
        with _malformed_in("the zip"):
            reader = Reader(stream, self._deflate)
        with _malformed_in("evidence.json"):
            content = evidence.decode(reader.evidence)

        # (2): the checkpoint is this log's, and signed by its key
        self._step = 2
        checkpoint = self._checkpoint(reader.checkpoint, content.log)
        tree = Tree(content.log, checkpoint.size, checkpoint.root)

        # (3): outsiders have seen the checkpoint, as the policy asks
        self._step = 3
        cosignatures = self._witnesses(reader.checkpoint)
        stamp = self._stamp(content, checkpoint)

        # (4): the block's state covers the log as the checkpoint has it
        self._step = 4
        block, votes, registry = self._block(content, checkpoint)

        # (5): who registers devices
        self._step = 5
        registrars = Registrars(content.registrars, tree, self._verify)
        origin = checkpoints.origin_of(content.log, registrars.tree)
        if checkpoint.origin != origin:
            raise NotValid("other-log", "checkpoint.txt", found=checkpoint.origin, expected=origin)
        if registrars.follows:
            self._remarks.append(("follows", registrars.follows))
        for move in moves.told(content.moves, registry, tree, registrars, self._verify):
            self._remarks.append(("moved", move._asdict()))

        # (6): the devices and their keys
        self._step = 6
        members = self._members(content, registry, tree, registrars)
        redactions = self._redactions(content, tree, registrars)
        expiries = Expiries(content.expiry, registry, tree, registrars, self._verify)

        # (7), (8), (9): the batches, one after the other
        how = (self._verify, self._root, self._keep)
        ground = Ground(content.log, tree, members, redactions, expiries, *how)
        found = self._batches(reader, content, ground)
        if found.redacted:
            self._remarks.append(("redacted", {"count": found.redacted}))
        for gone in found.expired:
            self._remarks.append(("expired", gone._asdict() | {"device": gone.device.hex()}))
        if found.expired:
            self._not_checked.append(("retention", {}))
        self._name_what_no_pack_can_show(content, bool(cosignatures or votes), bool(stamp))
        return Verdict(
            checkpoint=checkpoint,
            block=block,
            block_signed=self._trust.genesis is not None,
            votes=votes,
            cosignatures=cosignatures,
            stamp=stamp,
            claim=content.claim,
            batches=found.batches,
            total=found.total,
            redacted=found.redacted,
            expired=tuple(found.expired),
            entries=tuple(found.entries),
            not_checked=tuple(self._not_checked),
            remarks=tuple(self._remarks),
        )

    def _checkpoint(self, data: bytes, log: bytes) -> Checkpoint:
        where = "checkpoint.txt"
        with _malformed_in(where):
            checkpoint = checkpoints.parse(note.parse(data).text)
        # (5) sees whether the log really has a tree of that name.
        expected = checkpoints.origin_of(log)
        if checkpoint.origin.startswith(expected + "/"):
            expected = checkpoints.origin_of(log, checkpoint.origin.removeprefix(expected + "/"))
        if checkpoint.origin != expected:
            raise NotValid("other-log", where, found=checkpoint.origin, expected=expected)
        keys = [key for key in self._trust.policy.logs if key.name == expected]
        if not keys:
            raise NotValid("unknown-log", where, origin=expected)
        try:
            note.verify(data, keys, self._verify)
        except NoteError as error:
            raise NotValid("checkpoint-signature", where, detail=str(error)) from None
        return checkpoint

    def _witnesses(self, data: bytes) -> tuple[Cosignature, ...]:
        policy = self._trust.policy
        try:
            found = checkpoints.cosignatures(note.parse(data), policy.witnesses.values(), self._verify)
        except NoteError as error:
            raise NotValid("cosignature", "checkpoint.txt", detail=str(error)) from None
        if not policy.satisfied(frozenset(cosignature.key for cosignature in found)):
            names = ", ".join(cosignature.key.name for cosignature in found) or "0"
            raise NotValid("quorum", "checkpoint.txt", cosigned=names)
        unread = [key.name for key in policy.witnesses.values() if key.algorithm != note.COSIGNATURE]
        if unread:
            self._not_checked.append(("unread-witnesses", {"names": ", ".join(unread)}))
        return found

    def _stamp(self, content: Evidence, checkpoint: Checkpoint) -> Stamp | None:
        if content.stamp is None:
            return None
        self._covered = stamps.covered(content.stamp, checkpoint)
        if self._stamped is None or not self._trust.authorities:
            self._not_checked.append(("stamp-tool" if self._stamped is None else "stamp-trust", {}))
            return None
        stamp = stamps.judge(content.stamp, self._covered, self._trust.authorities, self._stamped)
        if stamp.expires < time.time() * 1_000_000:
            self._remarks.append(("stamp-old", {}))
        return stamp

    def _block(self, content: Evidence, checkpoint: Checkpoint) -> tuple[Block, Votes | None, bytes]:
        """The block, who voted for it, and the registry root that it covers."""
        if content.votes:
            block, state, votes = blocks.voted(content.votes, self._trust, self._verify)
        else:
            block, state = blocks.signed(content.block, content.handovers, self._trust, self._verify)
            votes = None
        if self._trust.genesis is None:
            self._not_checked.append(("votes" if content.votes else "block", {}))

        where = "evidence.json: record"
        placed = content.record
        require_inclusion(
            "record-not-in-block", placed.rank, placed.size, placed.record, placed.path, state, where
        )
        record = read_record(placed, _LOG_RECORD, where)
        if record["log"] != content.log.hex():
            raise NotValid("leaf-of-other-log", where, kind="record", found=record["log"])
        recorded = (record["size"], b64decode(record["root"]))
        if recorded != (checkpoint.size, checkpoint.root):
            raise NotValid("rolled-back", where, size=checkpoint.size, recorded=record["size"])
        return block, votes, b64decode(record["registry"])

    def _members(
        self, content: Evidence, registry: bytes, tree: Tree, registrars: Registrars
    ) -> dict[bytes, Member]:
        members: dict[bytes, Member] = {}
        last = b""
        for device in content.devices:
            member = Member(device, registry, tree, registrars, self._verify)
            if member.handle <= last:
                raise NotValid("malformed", member.where, detail="devices are not in rising order")
            members[member.handle] = member
            last = member.handle
            handle = member.handle.hex()
            if member.forked is not None:
                self._remarks.append(("forked", {"device": handle, "index": member.forked}))
            if member.revoked is not None:
                self._remarks.append(("revoked", {"device": handle, "index": member.revoked}))
        return members

    def _redactions(self, content: Evidence, tree: Tree, registrars: Registrars) -> Redactions:
        found = set()
        for place in content.redactions:
            leaf = read_signed(place, ("redact",), tree, "evidence.json: redactions")
            leaf.require_signature(registrars.at(leaf.leaf_index), self._verify)
            found.add((leaf.fields["leaf"], leaf.fields["sequence"]))
        return frozenset(found)

    def _batches(self, reader: Reader, content: Evidence, ground: Ground) -> _Found:
        before: dict[bytes, Sealed] = {}
        complete = Completeness(content.claim) if content.claim is not None else None
        found = _Found()
        unlinked: dict[str, int] = {}
        last = done = 0
        spread = workers.spread(reader, ground, self._workers)
        with contextlib.closing(spread) as judged:
            for found.batches, sealed in enumerate(judged, 1):
                # (1): a batch in its one spelling, in the order of the log
                self._step = 1
                sealed.require(1)
                if found.batches > 1 and sealed.leaf_index <= last:
                    raise NotValid("order", sealed.where)
                last = sealed.leaf_index
                if self._covered is not None and last >= self._covered:
                    raise NotValid("stamp-short", sealed.where, index=last, size=self._covered)

                # (7): signed by its device, in the log, and linked to the batch before it
                self._step = 7
                sealed.require(7)
                device = sealed.known.device
                linked = sealed.require_link(before.get(device), ground.members[device])
                if not linked:
                    unlinked[sealed.device] = unlinked.get(sealed.device, 0) + 1
                before[device] = sealed._replace(sequences=(), texts=())

                # (8): each entry at its place under the batch's root
                self._step = 8
                sealed.require(8)
                # Only where all is claimed to be there, one wants to know of what is gone.
                told = complete is not None and (sealed.expired is not None or not sealed.known.size)
                if not sealed.sequences and not told:
                    raise NotValid("nothing", sealed.where)
                found.total += len(sealed.sequences)
                found.redacted += sealed.redacted
                found.entries += sealed.entries()

                # (9): nothing is missing from a range
                self._step = 9
                if complete is not None:
                    found.lapse(sealed, complete.take(sealed, linked), ground.expiries)
                done += sealed.size
                self._progress(done, reader.size)
        self._step = 9
        if complete is not None:
            complete.finish()
        unused = ground.expiries.unused(found.said)
        if unused is not None:
            raise NotValid("malformed", "evidence.json: expiry", detail=f"nothing went with leaf {unused}")
        if not found.total and not found.expired:
            raise NotValid("nothing", "batches.jsonl")
        idle = [handle.hex() for handle in ground.members if handle not in before]
        if idle:
            raise NotValid("malformed", "evidence.json: devices", detail=f"no batch is of {idle[0]}")
        for handle, batches in unlinked.items():
            self._not_checked.append(("links", {"device": handle, "batches": batches}))
        return found

    def _name_what_no_pack_can_show(self, content: Evidence, vouched: bool, stamped: bool) -> None:
        if not vouched:
            self._not_checked.append(("outsiders-stamped" if stamped else "outsiders", {}))
        if content.claim is None:
            self._not_checked.append(("selection", {}))
        self._not_checked += [("clock", {}), ("collection", {})]
        if self._trust.unused:
            self._not_checked.append(("unused", {"names": ", ".join(self._trust.unused)}))


class _Found:
    """What the batches add up to."""

    def __init__(self) -> None:
        self.batches = self.total = self.redacted = 0
        self.entries: list[Entry] = []
        self.expired: list[Expired] = []
        self.said: set[int] = set()

    def lapse(self, sealed: Sealed, numbers: range, expiries: Expiries) -> None:
        """Take note of the entries that expired with a batch, as one with those before them."""
        if sealed.expired is None:
            return
        self.said.add(sealed.expired)
        if not numbers:
            return
        first, last = numbers[0], numbers[-1]
        if self.expired:
            before = self.expired[-1]
            if (before.last + 1, before.said) == (first, sealed.expired):
                self.expired[-1] = before._replace(last=last)
                return
        lapsed = expiries[sealed.expired]
        device = sealed.known.device
        self.expired.append(Expired(device, first, last, lapsed.month, lapsed.on, sealed.expired))


@contextmanager
def _malformed_in(where: str, step: int = 0) -> Iterator[None]:
    try:
        yield
    except (Malformed, NoteError) as error:
        wrong = NotValid("malformed", where, detail=str(error))
        wrong.step = step
        raise wrong from None
