"""The batches of a pack: signed by their devices, in the log, linked to one another, and their entries."""

from __future__ import annotations

from collections.abc import Iterator

from securepc.ledger import merkle
from securepc.verify.members import Member, Tree
from securepc.verify.verdict import Entry, NotValid
from securepc.wire.signed import batch as headers
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.batch import BatchHeader
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.evidence import Batch, Range, decode_batch
from securepc.wire.signed.leaf import CheckSignature

Redactions = frozenset[tuple[int, int]]
"""(index of the batch's leaf, sequence number) of entries that the log says were redacted."""


class Sealed:
    """A batch of the pack with its header read; `where` names it in sentences."""

    def __init__(self, number: int, line: bytes, log: bytes) -> None:
        self.where = f"batches.jsonl: line {number}"
        try:
            self.batch: Batch = decode_batch(line)
            self.index = self.batch.place.leaf_index
            self.where += f" (leaf {self.index})"
            self.parts = leaves.split(self.batch.place.leaf)
            if (self.parts.kind, self.parts.version) != (headers.KIND, 1):
                found = f"{self.parts.kind}/v{self.parts.version}"
                raise NotValid("kind", self.where, expected="batch", found=found)
            self.header: BatchHeader = headers.parse(self.parts.body)
        except Malformed as error:
            raise NotValid("malformed", self.where, detail=str(error)) from None
        if self.header.log != log:
            raise NotValid("leaf-of-other-log", self.where, kind="batch", found=self.header.log.hex())

    @property
    def device(self) -> str:
        """The handle of the device, in hex."""
        return self.header.device.hex()

    def require_signed_and_logged(self, member: Member | None, tree: Tree, check: CheckSignature) -> Member:
        """Its device; refuses a batch that the device, with its key at this place, did not put in the log."""
        if member is None:
            raise NotValid("unregistered", self.where, device=self.device)
        key = member.key_at(self.index)
        if headers.key_id(key) != self.header.key_id:
            raise NotValid("unknown-key", self.where, device=self.device, key=self.header.key_id.hex())
        if not check(key, self.parts.message, self.parts.signature):
            raise NotValid("signature", self.where, kind="batch", index=self.index)
        tree.require(self.batch.place, self.where)
        if self.header.epoch > member.epoch or self.header.last > member.sequence:
            raise NotValid("record-differs", self.where, device=self.device)
        return member

    def require_link(self, before: Sealed | None, member: Member) -> bool:
        """Refuse a batch that does not continue the one before; gives whether the link could be checked."""
        header = self.header
        if header.epoch == 1:
            linked = before is None and header.first == 1 and header.previous == member.registration
        elif before is None or header.epoch > before.header.epoch + 1:
            if before is None or header.first > before.header.last:
                return False
            linked = False
        else:
            earlier = before.header
            linked = (header.epoch, header.first) == (earlier.epoch + 1, earlier.last + 1) and (
                header.previous == headers.message_hash(before.batch.place.leaf)
            )
        if not linked:
            raise NotValid("link", self.where, device=self.device, epoch=header.epoch)
        return True

    def entries(self, redactions: Redactions) -> Iterator[Entry]:
        """The entries that are disclosed, each proven to be the one the device sealed at this sequence."""
        if self.batch.key is not None:
            yield from self._whole(self.batch.key)
            return
        if self.header.size == 0 and self.header.root != merkle.EMPTY:
            raise NotValid("entries", self.where, device=self.device)
        for item in self.batch.disclosed:
            where = f"{self.where}: entry {item.sequence}"
            if not self.header.first <= item.sequence <= self.header.last:
                raise NotValid("foreign-sequence", where, sequence=item.sequence)
            if item.redacted is not None:
                if (self.index, item.sequence) not in redactions:
                    raise NotValid("not-redacted", where, sequence=item.sequence)
                digest = item.redacted
            else:
                digest = headers.entry_leaf(item.salt, item.entry)
            rank = item.sequence - self.header.first
            try:
                merkle.verify_inclusion(rank, self.header.size, digest, item.path, self.header.root)
            except merkle.ProofError:
                raise NotValid("entry", where, device=self.device, sequence=item.sequence) from None
            yield self._entry(item.sequence, None if item.redacted is not None else item.entry)

    def _whole(self, key: bytes) -> Iterator[Entry]:
        texts = list(self.batch.entries)
        if headers.key_hash(key) != self.header.key_hash:
            raise NotValid("batch-key", self.where)
        if len(texts) != self.header.size:
            raise NotValid("count", self.where, found=len(texts), expected=self.header.size)
        if merkle.root(headers.entry_leaves(key, texts)) != self.header.root:
            raise NotValid("entries", self.where, device=self.device)
        for sequence, text in enumerate(texts, self.header.first):
            yield self._entry(sequence, text)

    def _entry(self, sequence: int, text: bytes | None) -> Entry:
        return Entry(self.header.device, sequence, self.index, self.header.sealed_at, text)


class Completeness:
    """Follows a range claim batch by batch: nothing missing, nothing twice, nothing beyond it."""

    def __init__(self, claim: Range) -> None:
        self._claim = claim
        self._next = claim.first

    def take(self, sealed: Sealed, linked: bool, entries: list[Entry]) -> None:
        """Account for one batch.

        Raises:
            NotValid: it does not belong here, or one of its entries in the range is missing.
        """
        claim, header = self._claim, sealed.header
        if header.device != claim.device or header.last < claim.first or header.first > claim.last:
            raise NotValid("outside", sealed.where)
        if self._next == claim.first and header.first <= claim.first:
            pass  # the batch at the near edge: what came before it is not claimed
        elif not linked and header.first == self._next:
            raise NotValid("missing-batch", sealed.where, device=sealed.device)
        elif not linked:
            raise NotValid("missing", sealed.where, first=self._next, last=header.first - 1)
        for entry in entries:
            if not claim.first <= entry.sequence <= claim.last:
                raise NotValid("outside", sealed.where)
            if entry.sequence != self._next:
                raise NotValid("missing", sealed.where, first=self._next, last=entry.sequence - 1)
            self._next += 1
        if self._next <= min(header.last, claim.last):
            last = min(header.last, claim.last)
            raise NotValid("missing", sealed.where, first=self._next, last=last)

    def finish(self) -> None:
        """Refuse a pack that ends before its claim does."""
        if self._next <= self._claim.last:
            raise NotValid("missing", "batches.jsonl", first=self._next, last=self._claim.last)
