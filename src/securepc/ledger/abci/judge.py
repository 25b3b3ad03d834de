"""What transactions do to the state: the same for proposing, for judging a proposal and for carrying it out.

Deterministic: it depends on nothing but the state, the transactions in their order, and the block's time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from securepc.ledger import charter
from securepc.ledger.abci import again, changes
from securepc.ledger.abci.changes import Change
from securepc.ledger.genesis import Genesis
from securepc.ledger.state import Refused, State
from securepc.ledger.state.moves import is_adoption
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

    def __init__(
        self, state: State, genesis: Genesis, time: int, validators: bytes = b"", authority: bytes = b""
    ) -> None:
        """`time`: the block's, microseconds since 1970 UTC; `validators`: the hash of the next set;
        `authority`: the chain's key, where it is no longer that of the genesis."""
        self.state = state.scratch()
        self._genesis = genesis
        self._authority = authority or genesis.key
        self._validators = validators
        self._time = time
        self._last = b""
        self.taken: list[Judged] = []
        self.change: Change | None = None

    def take(self, encoded: bytes) -> None:
        """Put one into the block that is being made: a change of validators first, then in the order of the
        logs.

        Raises:
            Refused: not acceptable here; nothing has changed.
        """
        if changes.is_change(encoded):
            if self.taken or self.change is not None:
                raise Refused("malformed", "a change of validators is not the first")
            self.change = self._change(encoded)
            return
        log = _parse(encoded).log
        if log < self._last:
            raise Refused("malformed", "not in the order of the logs")
        self.taken.append(self.put(encoded, self._time))
        self._last = log

    def _change(self, encoded: bytes) -> Change:
        try:
            change = changes.read(encoded, self._genesis.chain, self._authority)
        except Malformed as error:
            raise Refused("malformed", str(error)) from None
        if change.changes != self._validators or change.until < self._time:
            raise Refused("malformed", "a change of other validators, or too late")
        return change

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
        if is_adoption(first.leaf):
            # What it brings stands in no transaction: only one machine alone can take it from a file.
            raise Refused("unknown-kind", "validators adopt no logs yet")
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
    for data in filter(changes.is_change, encoded):
        with contextlib.suppress(Refused):
            judge.take(data)
            chosen.append(data)
            size += len(data) + _overhead(len(data))
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
