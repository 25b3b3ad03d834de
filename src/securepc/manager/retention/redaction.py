"""Taking one entry out: what is left of its batch, before, and after the ledger says so."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from securepc.ledger import merkle
from securepc.manager.ingest.opened import REDACTED
from securepc.manager.refusal import N_, Refusal
from securepc.manager.retention import rests
from securepc.manager.retention.model import RetentionRest
from securepc.manager.retention.rests import Piece
from securepc.manager.retention.standing import standing
from securepc.wire import batch as sealing
from securepc.wire.signed import batch as headers

if TYPE_CHECKING:
    from securepc.manager.core import Manager

logger = logging.getLogger(__name__)


class Redactions:
    """At `manager.retention.redactions`. Reading is thread-safe.

    1. `prepare` writes the rest down with its key, in the SQL transaction of the approval.
    2. The ledger takes the redaction; from then on the payload may be dropped anywhere.
    3. `carry_out`: the rest's key takes the batch key's place, the search forgets the text. May be repeated.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def read(self, log: bytes, index: int, leaf: bytes, count: int) -> list[Piece]:
        """What is left of a batch of which so many entries are redacted.

        Raises:
            KeyError: it is not here, or its key was destroyed.
            rests.Unfit: it was changed.
        """
        with self._manager.database.read() as session:
            row = session.get(RetentionRest, (log, index, count))
        if row is None:
            raise KeyError(index)
        return rests.unseal(headers.of_leaf(leaf), self._key(row, leaf), row.body)

    def entries(self, log: bytes, index: int, leaf: bytes, count: int) -> list[bytes] | None:
        """The entries that are left, `REDACTED` in the place of the others; None where they can't be read."""
        try:
            return [
                REDACTED if piece.entry is None else piece.entry
                for piece in self.read(log, index, leaf, count)
            ]
        except (KeyError, ValueError):
            return None

    def prepare(self, session: Session, log: bytes, index: int, sequence: int) -> None:
        """Step 1, inside a `database.write()`.

        Raises:
            Refusal: the batch can't be read, or the entry is redacted already.
        """
        leaf = self._manager.log.leaf(log, index)
        header = headers.of_leaf(leaf)
        query = select(RetentionRest).where(RetentionRest.log == log, RetentionRest.batch == index)
        row = session.scalars(query.order_by(RetentionRest.count.desc()).limit(1)).one_or_none()
        if row is not None and row.key is not None:
            raise Refusal(N_("Another entry of the same batch is being redacted. Try again in a minute."))
        try:
            if row is None:
                kept = self._whole(log, index, leaf)
            else:
                kept = rests.unseal(header, self._key(row, leaf), row.body)
        except (KeyError, ValueError):
            raise Refusal(N_("The batch of this entry can't be read: nothing can be taken out.")) from None
        place = sequence - header.first
        if not 0 <= place < len(kept) or kept[place].entry is None:
            raise Refusal(N_("This entry is redacted already."))
        key, body = rests.seal(rests.without(kept, place))
        wrapped = self._manager.keys.wrap(key, _context(log, index))
        count = row.count + 1 if row is not None else 1
        session.add(RetentionRest(log=log, batch=index, count=count, body=body, key=wrapped))

    def carry_out(self, log: bytes, index: int, count: int) -> None:
        """Step 3 for one batch that was judged.

        Raises:
            OSError: the search files can't be written.
        """
        leaf = self._manager.log.leaf(log, index)
        with self._manager.database.read() as session:
            query = select(RetentionRest).where(RetentionRest.log == log, RetentionRest.batch == index)
            rows = list(session.scalars(query.order_by(RetentionRest.count)))
        for row in rows:
            if row.key is not None and row.count <= count:
                before, after = (rests.key_name(leaf, count) for count in (row.count - 1, row.count))
                try:
                    self._manager.keys.replace(log, before, after, self._key(row, leaf))
                except KeyError:
                    # A key store from before, or after: the batch's own key must not stay in any case.
                    logger.error("leaf %d: its key is not here; the rest can't be read", index)
        self._manager.keys.drop_boxes(log, [rests.key_name(leaf, 0)])
        gone = standing(self._manager.log, log).redacted(index)
        self._manager.search.redact(log, headers.of_leaf(leaf), index, gone)
        with self._manager.database.write() as session:
            older = RetentionRest.log == log, RetentionRest.batch == index, RetentionRest.count < count
            session.execute(delete(RetentionRest).where(*older))
            row_ = session.get(RetentionRest, (log, index, count))
            if row_ is not None:
                row_.key = None

    def _key(self, row: RetentionRest, leaf: bytes) -> bytes:
        if row.key is not None:
            return self._manager.keys.unwrap(row.key, _context(row.log, row.batch))
        return self._manager.keys.batch_key(row.log, rests.key_name(leaf, row.count))

    def _whole(self, log: bytes, index: int, leaf: bytes) -> list[Piece]:
        body = self._manager.log.body(log, index)
        if body is None:
            raise KeyError(index)
        key = self._manager.keys.batch_key(log, headers.message_hash(leaf))
        entries = sealing.open_payload(headers.of_leaf(leaf), body, key, root_of=merkle.root)
        return rests.pieces(key, entries)


def _context(log: bytes, index: int) -> bytes:
    return b"rest" + log + index.to_bytes(8, "big")
