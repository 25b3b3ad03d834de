"""What transactions do to the state: the same for proposing, for judging a proposal and for carrying it out.

Deterministic: it depends on nothing but the state, the transactions in their order, and the block's time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from securepc.ledger import charter
from securepc.ledger.state import Refused, State
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.block import Item, Transaction
from securepc.wire.signed.canonical import Malformed


class Judged(NamedTuple):
    """A transaction as the state took it, and the checkpoint key of the log that it opens, if any."""

    transaction: Transaction
    opened: bytes | None


class Judge:
    """Takes transactions one after the other on a scratch copy of the state."""

    def __init__(self, state: State, authority: bytes, time: int) -> None:
        """`authority`: the genesis' key; `time`: the block's, microseconds since 1970 UTC."""
        self.state = state.scratch()
        self._authority = authority
        self._time = time
        self._last = b""
        self.taken: list[Judged] = []

    def take(self, encoded: bytes) -> None:
        """Put one on the state.

        Raises:
            Refused: not acceptable here; nothing has changed.
        """
        try:
            transaction = blocks.parse_transaction(encoded)
            if transaction.log < self._last:
                raise Refused("malformed", "not in the order of the logs")
            plain, opened = self._without_charter(transaction)
        except Malformed as error:
            raise Refused("malformed", str(error)) from None
        self.state.apply(plain, self._time)
        self._last = transaction.log
        self.taken.append(Judged(plain, opened))

    def _without_charter(self, transaction: Transaction) -> tuple[Transaction, bytes | None]:
        first = transaction.items[0]
        if leaves.split(first.leaf).kind != "log":
            return transaction, None
        key = charter.read(first.body, first.leaf, self._authority)
        return Transaction(transaction.log, [Item(first.leaf, b""), *transaction.items[1:]]), key


def in_order(encoded: Iterable[bytes]) -> list[bytes]:
    """Transactions in the order in which a block has them: by log, and within a log as they came."""
    parsed: list[tuple[bytes, int, bytes]] = []
    for number, data in enumerate(encoded):
        try:
            parsed.append((blocks.parse_transaction(data).log, number, data))
        except Malformed:
            continue
    return [data for _, _, data in sorted(parsed)]


def acceptable(judge: Judge, encoded: Sequence[bytes], limit: int) -> list[bytes]:
    """The transactions that can follow each other in a block of at most `limit` bytes in protobuf."""
    chosen: list[bytes] = []
    size = 0
    for data in in_order(encoded):
        cost = len(data) + _overhead(len(data))
        if size + cost > limit:
            continue
        try:
            judge.take(data)
        except Refused:
            continue
        chosen.append(data)
        size += cost
    return chosen


def _overhead(length: int) -> int:
    """Tag and length of a bytes field below 16 in protobuf."""
    size = 2
    while length := length >> 7:
        size += 1
    return size
