"""The batches of a pack: signed by their devices, in the log, linked to one another, and their entries.

`judge` says what one batch says and proves by itself, so that batches may be judged in any order and by any
process (`workers`). What a batch needs of those before it is checked in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from securepc.ledger import merkle
from securepc.verify.expiry import Expiries
from securepc.verify.members import Member, Tree
from securepc.verify.verdict import Entry, NotValid
from securepc.wire.signed import batch as headers
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed import pack
from securepc.wire.signed.batch import BatchHeader
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.evidence import Batch, Disclosed, Range, read_batch
from securepc.wire.signed.leaf import CheckSignature, Leaf
from securepc.wire.signed.pack import Lines

Redactions = frozenset[tuple[int, int]]
"""(index of the batch's leaf, sequence number) of entries that the log says were redacted."""


EntriesRoot = Callable[[bytes, tuple[bytes, ...]], bytes]
"""(key of a batch, its entries, one at least) → the tree head over their salted hashes."""


def entries_root(key: bytes, entries: tuple[bytes, ...]) -> bytes:
    """The tree head over the entries of a batch under its key."""
    return merkle.root(headers.entry_leaves(key, entries))


class Ground(NamedTuple):
    """What batches are judged by: all that steps 1 to 6 found. `keep`: the entries' texts are wanted."""

    log: bytes
    tree: Tree
    members: Mapping[bytes, Member]
    redactions: Redactions
    expiries: Expiries
    check: CheckSignature
    root: EntriesRoot
    keep: bool


class Sealed(NamedTuple):
    """A batch of the pack; `where` names it in sentences.

    Where something is wrong, `wrong` says in which step it came out, and what comes after that step is empty.
    """

    where: str
    size: int  # bytes of its lines, with their line feeds
    wrong: NotValid | None
    leaf_index: int = -1
    header: BatchHeader | None = None
    hash: bytes = b""  # what the device's next batch must name
    sequences: Sequence[int] = ()  # of the entries that it proves, rising
    redacted: int = 0  # how many of them have no text
    texts: Sequence[bytes | None] = ()  # where they are kept
    expired: int | None = None  # the leaf that says so, where nothing else is left of it

    @property
    def known(self) -> BatchHeader:
        """The header, once the line could be read."""
        assert self.header is not None, "whoever asks has looked at what is wrong"
        return self.header

    @property
    def device(self) -> str:
        """The handle of the device, in hex."""
        return self.known.device.hex()

    def require(self, step: int) -> None:
        """Refuse it if a step up to this one found something wrong."""
        if self.wrong is not None and self.wrong.step <= step:
            raise self.wrong

    def require_link(self, before: Sealed | None, member: Member) -> bool:
        """Refuse a batch that does not continue the one before; gives whether the link could be checked."""
        header = self.known
        if header.epoch == 1:
            linked = before is None and header.first == 1 and header.previous == member.registration
        elif before is None or header.epoch > before.known.epoch + 1:
            if before is None or header.first > before.known.last:
                return False
            linked = False
        else:
            earlier = before.known
            linked = (header.epoch, header.first, header.previous) == (
                earlier.epoch + 1,
                earlier.last + 1,
                before.hash,
            )
        if not linked:
            raise NotValid("link", self.where, device=self.device, epoch=header.epoch)
        return True

    def entries(self) -> list[Entry]:
        """The entries that it proves, where their texts were kept."""
        header = self.known
        return [
            Entry(header.device, sequence, self.leaf_index, header.sealed_at, text)
            for sequence, text in zip(self.sequences, self.texts, strict=False)
        ]


def judge_all(ground: Ground, lines: Lines, last: bool) -> Iterator[Sealed]:
    """The batches of a part, each judged, in their order, up to the first with something wrong.

    Args:
        last: whether no other part comes after it.

    Raises:
        NotValid: the part is damaged, or not cut where it must be; all before that was right.
    """
    before = 0
    try:
        while (line := lines.next()) is not None:
            if before >= pack.PART:
                raise Malformed(f"{lines.name} is longer than a part")
            sealed = judge(ground, lines, line)
            yield sealed
            if sealed.wrong is not None:
                return
            before = lines.size
        if before < pack.PART and not last:
            raise Malformed(f"{lines.name} is shorter than a part")
    except Malformed as error:
        wrong = NotValid("malformed", lines.name, detail=str(error))
        wrong.step = 1
        raise wrong from None


def judge(ground: Ground, lines: Lines, line: bytes) -> Sealed:
    """Steps 1, 7 and 8 for a batch that begins with `line`, as far as they need no other batch. Never raises
    NotValid."""
    step, begun = 1, lines.size - len(line) - 1
    sealed = Sealed(f"{lines.name}: line {lines.number}", 0, None)
    try:
        # (1): a batch of this log in its one spelling
        try:
            batch = read_batch(line, lines.take)
            index = batch.place.leaf_index
            where = f"{sealed.where} (leaf {index})"
            sealed = sealed._replace(where=where)
            parts, header = _read(batch, where)
        except Malformed as error:
            raise NotValid("malformed", sealed.where, detail=str(error)) from None
        if header.log != ground.log:
            raise NotValid("leaf-of-other-log", where, kind="batch", found=header.log.hex())
        size = lines.size - begun
        sealed = Sealed(where, size, None, index, header, headers.message_hash(batch.place.leaf))

        # (7): signed by its device, in the log
        step = 7
        _require_signed_and_logged(sealed, batch, parts, ground)

        # (8): each entry at its place under the batch's root
        step = 8
        if batch.expired is not None:
            ground.expiries.require(index, header.device, batch.expired, where)
            return sealed._replace(expired=batch.expired)
        if batch.key is not None:
            _require_whole(sealed, batch, batch.key, ground.root)
            texts: Sequence[bytes | None] = batch.entries if ground.keep else ()
            return sealed._replace(sequences=range(header.first, header.last + 1), texts=texts)
        _require_parts(sealed, batch.disclosed, ground.redactions)
        shown = [None if item.redacted is not None else item.entry for item in batch.disclosed]
        return sealed._replace(
            sequences=tuple(item.sequence for item in batch.disclosed),
            redacted=shown.count(None),
            texts=shown if ground.keep else (),
        )
    except NotValid as wrong:
        wrong.step = step
        return sealed._replace(wrong=wrong)


def _read(batch: Batch, where: str) -> tuple[Leaf, BatchHeader]:
    parts = leaves.split(batch.place.leaf)
    if (parts.kind, parts.version) != (headers.KIND, 1):
        raise NotValid("kind", where, expected="batch", found=f"{parts.kind}/v{parts.version}")
    return parts, headers.parse(parts.body)


def _require_signed_and_logged(sealed: Sealed, batch: Batch, parts: Leaf, ground: Ground) -> None:
    """Refuse a batch that its device, with its key at this place, did not put in the log."""
    header, where = sealed.known, sealed.where
    member = ground.members.get(header.device)
    if member is None:
        raise NotValid("unregistered", where, device=sealed.device)
    key = member.key_at(sealed.leaf_index)
    if headers.key_id(key) != header.key_id:
        raise NotValid("unknown-key", where, device=sealed.device, key=header.key_id.hex())
    if not ground.check(key, parts.message, parts.signature):
        raise NotValid("signature", where, kind="batch", index=sealed.leaf_index)
    ground.tree.require(batch.place, where)
    if header.epoch > member.epoch or header.last > member.sequence:
        raise NotValid("record-differs", where, device=sealed.device)


def _require_whole(sealed: Sealed, batch: Batch, key: bytes, root: EntriesRoot) -> None:
    """Refuse a whole batch whose entries are not, under its key, what the device sealed."""
    header, texts = sealed.known, batch.entries
    if headers.key_hash(key) != header.key_hash:
        raise NotValid("batch-key", sealed.where)
    if len(texts) != header.size:
        raise NotValid("count", sealed.where, found=len(texts), expected=header.size)
    if (root(key, texts) if texts else merkle.EMPTY) != header.root:
        raise NotValid("entries", sealed.where, device=sealed.device)


def _require_parts(sealed: Sealed, disclosed: Sequence[Disclosed], redactions: Redactions) -> None:
    """Refuse entries that are not, each at its sequence, what the device sealed."""
    header = sealed.known
    if header.size == 0 and header.root != merkle.EMPTY:
        raise NotValid("entries", sealed.where, device=sealed.device)
    for item in disclosed:
        where = f"{sealed.where}: entry {item.sequence}"
        if not header.first <= item.sequence <= header.last:
            raise NotValid("foreign-sequence", where, sequence=item.sequence)
        if item.redacted is not None:
            if (sealed.leaf_index, item.sequence) not in redactions:
                raise NotValid("not-redacted", where, sequence=item.sequence)
            digest = item.redacted
        else:
            digest = headers.entry_leaf(item.salt, item.entry)
        rank = item.sequence - header.first
        try:
            merkle.verify_inclusion(rank, header.size, digest, item.path, header.root)
        except merkle.ProofError:
            raise NotValid("entry", where, device=sealed.device, sequence=item.sequence) from None


class Completeness:
    """Follows a range claim batch by batch: nothing missing, nothing twice, nothing beyond it."""

    def __init__(self, claim: Range) -> None:
        self._claim = claim
        self._next = claim.first

    def take(self, sealed: Sealed, linked: bool) -> range:
        """Account for one batch; gives the entries of the range that expired with it.

        Raises:
            NotValid: it does not belong here, or one of its entries in the range is missing.
        """
        claim, header = self._claim, sealed.known
        if header.device != claim.device or header.last < claim.first or header.first > claim.last:
            raise NotValid("outside", sealed.where)
        if self._next == claim.first and header.first <= claim.first:
            pass  # the batch at the near edge: what came before it is not claimed
        elif not linked and header.first == self._next:
            raise NotValid("missing-batch", sealed.where, device=sealed.device)
        elif not linked:
            raise NotValid("missing", sealed.where, first=self._next, last=header.first - 1)
        expired = range(0)
        if sealed.expired is not None:
            expired = range(max(header.first, claim.first), min(header.last, claim.last) + 1)
        for start, stop in _runs(sealed.sequences or expired):
            if start < claim.first or stop - 1 > claim.last:
                raise NotValid("outside", sealed.where)
            if start != self._next:
                raise NotValid("missing", sealed.where, first=self._next, last=start - 1)
            self._next = stop
        if self._next <= min(header.last, claim.last):
            last = min(header.last, claim.last)
            raise NotValid("missing", sealed.where, first=self._next, last=last)
        return expired

    def finish(self) -> None:
        """Refuse a pack that ends before its claim does."""
        if self._next <= self._claim.last:
            raise NotValid("missing", "batches.jsonl", first=self._next, last=self._claim.last)


def _runs(sequences: Sequence[int]) -> list[tuple[int, int]]:
    """Rising numbers as runs [start, stop) without a hole."""
    if isinstance(sequences, range):
        return [(sequences.start, sequences.stop)] if sequences else []
    runs: list[tuple[int, int]] = []
    for number in sequences:
        if runs and runs[-1][1] == number:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return runs
