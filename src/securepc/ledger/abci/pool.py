"""What waits at this node for a block: transactions tried on the state as those before them will leave it.

Two kinds of transactions come. *Ours* were announced by the sequencer beside this node and by nobody else:
this node's store knows all that they build on, so that they are judged strictly and at once. What other
nodes pass on may build on a block that this node does not have yet, or on a transaction that is on its
way: CometBFT never passes it on again, so it is kept for some blocks unless no later state could accept it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from enum import Enum

from securepc.ledger.abci import onward
from securepc.ledger.abci.judge import Judge
from securepc.ledger.state import Refused
from securepc.ledger.store import Store

FOR_GOOD = frozenset(
    (
        "body",
        "duplicate",
        "fork",
        "known-device",
        "known-log",
        "malformed",
        "proof",
        "revoked",
        "too-large",
        "unknown-kind",
        "used-key",
    )
)
"""Refusals that no later block takes back."""
BLOCKS = 3
"""Blocks for which a doubtful transaction is kept: each of them may be an empty one made for its sake."""
_MOST_OURS = 65_536


class Held(Enum):
    """What becomes of a transaction that is not refused."""

    TAKEN = 0
    DOUBTED = 1
    """Kept, as it may follow something that is not here yet."""
    LATER = 2
    """Not kept: what waits stands against it. Ours are asked about again after the next block."""


class Pool:
    """The transactions that CometBFT holds for this node, as far as the application knows."""

    def __init__(self, store: Store, now: Callable[[], int] = lambda: time.time_ns() // 1_000) -> None:
        """`now`: microseconds since 1970 UTC."""
        self._store = store
        self._now = now
        self._ours: dict[bytes, None] = {}
        self._since: dict[bytes, int | None] = {}
        """By hash, since which block each is doubted; None: taken."""
        self._before: dict[bytes, int | None] = {}
        self._blocks = 0
        self._judge = self._fresh()

    def next_block(self) -> None:
        """A block was carried out: CometBFT asks again about each transaction that is left."""
        self._blocks += 1
        self._before, self._since = self._since, {}
        self._judge = self._fresh()

    def expect(self, digest: bytes) -> bool:
        """The next transaction of this SHA-256 is ours. Says whether it waits here already."""
        self._ours.pop(digest, None)
        self._ours[digest] = None
        while len(self._ours) > _MOST_OURS:
            del self._ours[next(iter(self._ours))]
        return digest in self._since or digest in self._before

    def take(self, data: bytes) -> Held:
        """A transaction that CometBFT has not asked about before.

        Raises:
            Refused: never to be accepted; or ours, and not acceptable now.
        """
        digest = hashlib.sha256(data).digest()
        if onward.is_onward(data):
            self._since[digest] = self._blocks
            return Held.DOUBTED
        ours = digest in self._ours
        self._ours.pop(digest, None)
        refused = self._try(data)
        if refused is None:
            self._since[digest] = None
            return Held.TAKEN
        settled = self._settled(data)
        if ours:
            if settled is not None and settled.code == refused.code:
                # Places come from the store alone: those of what only waits may still change.
                raise settled if settled.known else refused
            return Held.LATER
        if settled is not None and settled.code in FOR_GOOD:
            raise settled
        self._since[digest] = self._blocks
        return Held.DOUBTED

    def take_again(self, data: bytes) -> Held:
        """A transaction that is left after a block.

        Raises:
            Refused: never to be accepted, or in doubt for too long.
        """
        digest = hashlib.sha256(data).digest()
        since = self._before.pop(digest, None)
        if onward.is_onward(data):
            raise Refused("duplicate", "there was a block since")
        refused = self._try(data)
        if refused is None:
            self._since[digest] = None
            return Held.TAKEN
        settled = self._settled(data)
        if settled is not None and settled.code in FOR_GOOD:
            raise settled
        if since is None:
            since = self._blocks
        if self._blocks - since >= BLOCKS:
            raise refused
        self._since[digest] = since
        return Held.DOUBTED

    def judge(self, data: bytes) -> None:
        """What the store alone says of a transaction.

        Raises:
            Refused: not acceptable after its last block.
        """
        refused = self._settled(data)
        if refused is not None:
            raise refused

    def _try(self, data: bytes) -> Refused | None:
        try:
            self._judge.put(data, self._time())
        except Refused as refused:
            return refused
        return None

    def _settled(self, data: bytes) -> Refused | None:
        try:
            self._fresh().put(data, self._time())
        except Refused as refused:
            return refused
        return None

    def _fresh(self) -> Judge:
        store = self._store
        return Judge(store.state, store.genesis, self._time(), authority=store.block_keys.last)

    def _time(self) -> int:
        """About what the next block's time will be."""
        return max(self._now(), self._store.time + 1)
