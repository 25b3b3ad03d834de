"""The state machine: all logs, and the one way to change them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from securepc.ledger import merkle
from securepc.ledger.merkle import Frontier
from securepc.ledger.state import batches, moves, rules
from securepc.ledger.state.logs import History, LogState
from securepc.ledger.state.refused import Refused
from securepc.ledger.state.registry import Registry
from securepc.ledger.state.rules import Case
from securepc.wire import keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed.block import Transaction
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.leaf import CheckSignature


class Appended(NamedTuple):
    """A leaf with its index in the log; `body` is a batch's ciphertext, empty for other kinds."""

    place: int
    leaf: bytes
    body: bytes


class State:
    """All logs. Not safe for concurrent use.

    `apply` changes a state in place or, when it refuses, not at all. A block is tried on a `scratch` copy,
    which shares every log that the block does not touch and becomes the state once the block is stored.
    `verify` says whether a batch is signed by a key. `home` is the beginning of the chain, empty where no
    log can be brought to it; None: leaves are replayed that may be of several chains.
    """

    def __init__(
        self,
        history: History,
        logs: Iterable[LogState] = (),
        verify: CheckSignature = keys.verify,
        home: bytes | None = None,
    ) -> None:
        self._history = history
        self.home = home
        self._verify = verify
        self._logs: dict[bytes, LogState] = {log.log: log for log in logs}
        self._own: dict[bytes, LogState] = dict(self._logs)

    def scratch(self) -> State:
        """A copy to try transactions on."""
        copy = State(self._history, verify=self._verify, home=self.home)
        copy._logs = dict(self._logs)
        return copy

    def log(self, log: bytes) -> LogState | None:
        """One log, to look at."""
        return self._logs.get(log)

    def logs(self) -> list[LogState]:
        """All logs, sorted by handle."""
        return [self._logs[handle] for handle in sorted(self._logs)]

    def touched(self) -> list[LogState]:
        """The logs that got leaves since the state was made, sorted by handle."""
        return [self._own[handle] for handle in sorted(self._own) if self._own[handle].grown]

    def settle(self) -> None:
        """Call once all changes are stored."""
        for log in self._own.values():
            log.settle()
        self._own = {}

    def root(self) -> bytes:
        """The state root: RFC 6962 head over the log records, sorted by handle."""
        return merkle.root([merkle.leaf_hash(log.record()) for log in self.logs()])

    def apply(self, transaction: Transaction, time: int, *, dropped: bool = False) -> list[Appended]:
        """Append the leaves of a transaction in a block of this time (microseconds since 1970 UTC).

        `dropped` is for replaying old blocks: a batch's body may then be empty, having been dropped.

        Raises:
            Refused: not acceptable; nothing has changed.
        """
        try:
            if headers.is_batch(transaction.items[0].leaf):
                return self._apply_batches(transaction, time, dropped)
            return self._apply_document(transaction, time)
        except Malformed as error:
            raise Refused("malformed", str(error)) from None

    def _apply_batches(self, transaction: Transaction, time: int, dropped: bool) -> list[Appended]:
        log = self._logs.get(transaction.log)
        if log is None:
            raise Refused("unknown-log", transaction.log.hex())
        moves.forbid(log)
        after = batches.check(log, transaction.items, self._history, dropped=dropped, verify=self._verify)
        indexes = batches.append(self._writable(log), transaction.items, after, time)
        return [Appended(i, item.leaf, item.body) for i, item in zip(indexes, transaction.items, strict=True)]

    def _apply_document(self, transaction: Transaction, time: int) -> list[Appended]:
        if len(transaction.items) != 1:
            raise Refused("malformed", "only batches share a transaction")
        leaf, body = transaction.items[0]
        parts, document = rules.read(leaf, transaction.log)
        if body and parts.kind != "adopt":
            raise Refused("malformed", "only a batch has a payload")
        log = self._logs.get(transaction.log)
        if parts.kind == "adopt":
            empty = LogState(transaction.log, Frontier(), Registry())
            case = Case(empty, leaf, parts, document, time, self._history, self.home)
            log = rules.adopt(case, log, body)
            self._logs[log.log] = self._own[log.log] = log
        elif parts.kind == "log":
            if log is None:
                log = LogState(transaction.log, Frontier(), Registry())
                rules.open_log(Case(log, leaf, parts, document, time, self._history))
                self._logs[log.log] = self._own[log.log] = log
            elif document["follows"] is None:
                raise Refused("known-log", transaction.log.hex())
            else:
                moves.forbid(log)
                log = self._writable(log)
                rules.open_tree(Case(log, leaf, parts, document, time, self._history))
        else:
            if log is None:
                raise Refused("unknown-log", transaction.log.hex())
            if parts.kind != "leave":
                moves.forbid(log)
            log = self._writable(log)
            rules.RULES[parts.kind](Case(log, leaf, parts, document, time, self._history, self.home))
        return [Appended(log.append(leaf, time), leaf, body)]

    def _writable(self, log: LogState) -> LogState:
        if log.log not in self._own:
            self._logs[log.log] = self._own[log.log] = log.copy()
        return self._own[log.log]
