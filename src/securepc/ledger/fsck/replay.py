"""Replaying the chain from its genesis, block by block, and comparing every row with what it must be."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from securepc.ledger import genesis as geneses
from securepc.ledger.block import transactions_root
from securepc.ledger.fsck import brought
from securepc.ledger.fsck.ahead import Ahead
from securepc.ledger.fsck.contents import Contents
from securepc.ledger.fsck.report import Report
from securepc.ledger.fsck.votes import Votes
from securepc.ledger.genesis import Genesis
from securepc.ledger.keys import KeyStore
from securepc.ledger.state import Refused, State
from securepc.ledger.state.moves import is_adoption
from securepc.ledger.store import handovers, queries, schema
from securepc.ledger.store.arrivals import History
from securepc.wire import keys as signatures
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.block import BlockHeader, Item, Transaction
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.handovers import BlockKeys


def _unsigned(public: bytes, message: bytes, signature: bytes) -> bool:
    """Where validators vote, zeros stand in the place of signatures."""
    return not any(signature)


class Broken(Exception):
    """The replay cannot go on: what follows depends on what is missing."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class Replay:
    """One audit, inside one read transaction."""

    def __init__(
        self,
        db: sqlite3.Connection,
        path: Path,
        report: Report,
        log_keys: Mapping[bytes, Collection[bytes]] | None,
        keys: KeyStore | None,
        progress: Callable[[int, int], None],
        ahead: Ahead,
    ) -> None:
        self._db = db
        self._path = path
        self._report = report
        self._progress = progress
        self._logs = {row.no: row for row in queries.logs(db)}
        self._ahead = ahead
        self._state = State(History(db), verify=ahead.verify)
        self._contents = Contents(db, report, self._logs, log_keys, keys)
        self._place = 0

    def run(self, trusted: Genesis | None) -> None:
        """Replay all blocks, then compare what they must have led to."""
        genesis = self._genesis(trusted)
        if genesis is None:
            return
        head, time = genesis.beginning, genesis.created
        total = queries.height(self._db)
        self._contents.genesis = genesis
        self._block_keys = BlockKeys(genesis.key)
        voted = Votes(self._path, genesis, self._report) if genesis.voted else None
        try:
            self._replay(genesis, head, time, total, voted)
        finally:
            if voted is not None:
                voted.close(total)

    def _replay(self, genesis: Genesis, head: bytes, time: int, total: int, voted: Votes | None) -> None:
        for height in self._heights(genesis, total):
            try:
                header = self._block(height, genesis, head, time)
            except Broken as broken:
                self._report.wrong(f"block {height}", broken.code, broken.detail)
                self._report.not_checked.append("rest")
                return
            except sqlite3.Error as error:
                self._report.wrong(f"block {height}", "unreadable", str(error))
                self._report.not_checked.append("rest")
                return
            row = queries.block(self._db, height)
            assert row is not None
            head, time = blocks.message_hash(row), header.time
            if genesis.continues is not None and height == genesis.signed:
                self._report.expect(head, genesis.continues.head, f"block {height}", "head")
            self._block_keys = self._block_keys.after(header)
            self._report.blocks += 1
            if voted is not None and not genesis.is_signed(height):
                voted.block(header)
            self._progress(height, total)
        self._handed_over()
        self._contents.finish(self._state, head, self._place)

    def _handed_over(self) -> None:
        """The store remembers which blocks named another key."""
        try:
            known: list[int] | None = handovers.heights(self._db)
        except Malformed:
            known = None
        self._report.expect(
            known, [height for height, _ in self._block_keys.changes], "table meta", "handovers"
        )

    def _heights(self, genesis: Genesis, total: int) -> Iterable[int]:
        """Every height; where validators vote, the store has only the blocks with transactions in them."""
        if not genesis.voted:
            return range(1, total + 1)
        sql = "SELECT height FROM blocks WHERE height > ? ORDER BY height"
        rows = self._db.execute(sql, (genesis.signed,)).fetchall()
        return [*range(1, genesis.signed + 1), *(int(height) for (height,) in rows)]

    def _genesis(self, trusted: Genesis | None) -> Genesis | None:
        try:
            genesis = geneses.parse(queries.meta(self._db, "genesis"))
        except (KeyError, Malformed, TypeError) as error:
            self._report.wrong("genesis", "genesis", str(error))
            return None
        if trusted is not None and genesis != trusted:
            self._report.wrong("genesis", "other-chain")
            return None
        return genesis

    def _block(self, height: int, genesis: Genesis, previous: bytes, time: int) -> BlockHeader:
        row = self._db.execute(
            "SELECT first, layout, leaf FROM blocks WHERE height = ?", (height,)
        ).fetchone()
        if row is None:
            raise Broken("block-missing")
        first, layout, leaf = row
        where = f"block {height}"
        header = self._header(leaf, height, genesis)
        self._report.expect(header.chain, genesis.chain, where, "chain")
        self._report.expect(header.height, height, where, "height")
        self._report.expect(header.previous, previous, where, "previous")
        if header.time <= time:
            self._report.wrong(where, "time")
        self._report.expect(first, self._place, where, "first")
        transactions = self._transactions(layout)
        self._ahead.reach(self._place)
        root = transactions_root(transactions)
        self._report.expect(root, header.transactions, where, "transactions")
        if any(after.log < before.log for before, after in pairwise(transactions)):
            self._report.wrong(where, "order")
        self._state.home = genesis.beginning if genesis.is_signed(height) else b""
        self._apply(transactions, header)
        return header

    def _header(self, leaf: object, height: int, genesis: Genesis) -> BlockHeader:
        if not isinstance(leaf, bytes):
            raise Broken("block", "not a blob")
        try:
            check = signatures.verify if genesis.is_signed(height) else _unsigned
            header = blocks.parse(leaves.body_of(leaf, blocks.KIND, self._block_keys.last, check))
            if header.successor and not genesis.is_signed(height):
                raise Malformed("voted on, and hands over to a key")
            return header
        except Malformed as error:
            raise Broken("block", str(error)) from None

    def _transactions(self, layout: object) -> list[Transaction]:
        try:
            pairs = schema.unpack_layout(layout if isinstance(layout, bytes) else b"?")
        except ValueError as error:
            raise Broken("layout", str(error)) from None
        found = []
        for no, count in pairs:
            if no not in self._logs:
                raise Broken("layout", f"log number {no}")
            rows = queries.places(self._db, self._place, self._place + count)
            if len(rows) != count or not count:
                raise Broken("leaves")
            if not all(isinstance(leaf, bytes) and isinstance(body, bytes | None) for leaf, body in rows):
                raise Broken("leaves")
            for place, (leaf, body) in enumerate(rows, self._place):
                self._contents.leaf(place, leaf, body)
            found.append(Transaction(self._logs[no].log, [Item(leaf, body or b"") for leaf, body in rows]))
            self._place += count
        if not found:
            raise Broken("layout", "empty")
        return found

    def _apply(self, transactions: list[Transaction], header: BlockHeader) -> None:
        state = self._state.scratch()
        for transaction in transactions:
            known = state.log(transaction.log)
            try:
                state.apply(transaction, header.time, dropped=True)
            except Refused as refused:
                raise Broken("refused", str(refused)) from None
            if is_adoption(transaction.items[0].leaf):
                args = (self._contents, known, transaction.items[0], transaction.log)
                brought.check(self._db, self._report, *args, self._ahead.verify)
        if state.root() != header.state:
            raise Broken("state")
        counts: dict[bytes, int] = {}
        starts: dict[bytes, int] = {}
        place = self._place - sum(len(t.items) for t in transactions)
        for transaction in transactions:
            starts.setdefault(transaction.log, place)
            counts[transaction.log] = counts.get(transaction.log, 0) + len(transaction.items)
            place += len(transaction.items)
        for log in state.touched():
            self._contents.log(log, header.height, starts[log.log] - (log.size - counts[log.log]))
        state.settle()
        self._state = state
        self._report.transactions += len(transactions)
