"""What transactions do to the state: the same for proposing, for judging a proposal and for carrying it out.

Deterministic: it depends on nothing but the state, the transactions in their order, and the block's time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from securepc.ledger import charter
from securepc.ledger.abci import again
from securepc.ledger.state import Refused, State
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.block import Item, Transaction
from securepc.wire.signed.canonical import Malformed

_ROUNDS = 8


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
        """Put one into the block that is being made, in the order of the logs.

        Raises:
            Refused: not acceptable here; nothing has changed.
        """
        log = _parse(encoded).log
        if log < self._last:
            raise Refused("malformed", "not in the order of the logs")
        self.taken.append(self.put(encoded, self._time))
        self._last = log

    def put(self, encoded: bytes, time: int) -> Judged:
        """Put one on the state at a time.

        Raises:
            Refused: not acceptable here; nothing has changed.
        """
        try:
            plain, opened = self._without_charter(_parse(encoded))
        except Malformed as error:
            raise Refused("malformed", str(error)) from None
        self.state.apply(plain, time)
        return Judged(plain, opened)

    def _without_charter(self, transaction: Transaction) -> tuple[Transaction, bytes | None]:
        first = transaction.items[0]
        if leaves.split(first.leaf).kind != "log":
            return transaction, None
        key = charter.read(first.body, first.leaf, self._authority)
        return Transaction(transaction.log, [Item(first.leaf, b""), *transaction.items[1:]]), key


def _parse(encoded: bytes) -> Transaction:
    try:
        return blocks.parse_transaction(again.plain(encoded))
    except Malformed as error:
        raise Refused("malformed", str(error)) from None


def by_log(encoded: Iterable[bytes]) -> list[list[bytes]]:
    """Transactions in the order in which a block has them: by log, and within a log as they came."""
    found: dict[bytes, list[bytes]] = {}
    for data in encoded:
        try:
            found.setdefault(_parse(data).log, []).append(data)
        except Refused:
            continue
    return [found[log] for log in sorted(found)]


def acceptable(judge: Judge, encoded: Sequence[bytes], limit: int) -> list[bytes]:
    """The transactions that can follow each other in a block of at most `limit` bytes in protobuf.

    Those of a log may have come here by several ways, one before what it builds on: what is refused is
    tried again after the others, a few times.
    """
    chosen: list[bytes] = []
    size = 0
    for left in by_log(encoded):
        for _ in range(_ROUNDS):
            refused = []
            for data in left:
                cost = len(data) + _overhead(len(data))
                if size + cost > limit:
                    continue
                try:
                    judge.take(data)
                except Refused:
                    refused.append(data)
                    continue
                chosen.append(data)
                size += cost
            if len(refused) in (0, len(left)):
                break
            left = refused
    return chosen


def _overhead(length: int) -> int:
    """Tag and length of a bytes field below 16 in protobuf."""
    size = 2
    while length := length >> 7:
        size += 1
    return size
