"""Keeps what validators voted for each block of ours: looks for blocks without votes and asks our node.

A node that was down, or one whose votes.sqlite was lost, asks for what it missed. Whatever the node says is
verified like an auditor would before it is kept.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from securepc.ledger import merkle
from securepc.ledger.genesis import Genesis
from securepc.ledger.log import LogReader
from securepc.ledger.store import StoreError
from securepc.ledger.votes import handovers
from securepc.ledger.votes.asked import Votes
from securepc.ledger.votes.store import VoteStore, path_beside
from securepc.wire import keys
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed import votes
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.votes import Voted, WrongVotes

_log = logging.getLogger(__name__)
POLL = 0.25
"""Seconds between two looks; the header that proves a block comes a second after it."""
_MANY = 5_000
"""Blocks that are looked up at once."""


class Unknown(StoreError):
    """Who votes now cannot be followed from the first validators on."""


class Keeper:
    """Over a chain's store and the RPC address of the node that writes it. `step` by hand, or `start`."""

    def __init__(self, chain: Path, asked: Votes) -> None:
        self._path = chain
        self._asked = asked
        self._reader: LogReader | None = None
        self._store: VoteStore | None = None
        self._kept: set[int] = set()
        self._last = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="votes", daemon=True)

    def start(self) -> None:
        """Begin, on a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """End; what was kept is durable."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._store is not None:
            self._store.close()

    def _run(self) -> None:
        said, pause = "", POLL
        while not self._stopping.wait(pause):
            pause = POLL
            try:
                self.step()
            except (StoreError, WrongVotes) as error:
                # A node that starts does not answer yet: it is asked again in a moment.
                pause = 1.0
                away = isinstance(error, StoreError) and not isinstance(error, Unknown)
                level = logging.INFO if away else logging.CRITICAL
                if str(error) != said:
                    said = str(error)
                    _log.log(level, "votes: %s", said)
            except Exception:
                _log.exception("keeping what validators voted")
                pause = 60.0
        if self._reader is not None:
            self._reader.close()

    def step(self) -> None:
        """Ask for what is missing, as far as the node has it.

        Raises:
            StoreError: the node does not answer.
            WrongVotes: what it answers does not stand, or is of another state than our block.
        """
        if self._reader is None or self._store is None:
            if not self._path.exists():
                return
            self._reader = LogReader(self._path)
            self._store = VoteStore(path_beside(self._path), writable=True)
            self._bring(self._store, self._reader.genesis())
            self._kept = self._store.heights()
        genesis = self._reader.genesis()
        self._last = max(self._last, genesis.signed)
        wanted = self._reader.heights(self._last, _MANY)
        if not wanted:
            return
        first, newest = self._asked.heights()
        for height in wanted:
            if self._stopping.is_set() or height >= newest:
                return
            # What is below `first` the node has no more, or never had: it joined later.
            if height + 1 not in self._kept and height + 1 >= first:
                leaf = self._reader.block(height)
                assert leaf is not None
                state = blocks.parse(leaves.split(leaf).body).state
                self._take(self._store, genesis, height + 1, state)
                self._kept.add(height + 1)
            self._last = height

    def _bring(self, store: VoteStore, genesis: Genesis) -> None:
        """Keep what other nodes said of validators from before this one joined, as far as it stands."""
        try:
            data = self._path.with_name(handovers.NAME).read_bytes()
        except FileNotFoundError:
            return
        try:
            for one in handovers.verified(handovers.parse(data), genesis)[0]:
                store.put(one)
        except (Malformed, WrongVotes) as error:
            _log.error("votes: what others said of earlier validators does not stand: %s", error)

    def _take(self, store: VoteStore, genesis: Genesis, height: int, state: bytes) -> None:
        """Keep what was voted at a height, and what handed over to those who voted."""
        before = store.before(height)
        if before is None:
            above = genesis.signed
            expected = votes.validators_hash(genesis.validators, merkle.root_of)
        else:
            above, expected = before.header.height, before.header.next_validators
        voted = self._asked.voted(height)
        if voted.header.validators != expected:
            if above + 1 < self._asked.heights()[0]:
                raise Unknown(
                    f"validators changed above height {above}, before this node joined, and nobody told it "
                    "how: evidence can't carry their votes; take it from an older node"
                )
            for between in range(above + 1, height):
                passed = self._asked.voted(between)
                if passed.header.validators != passed.header.next_validators:
                    expected = _put(store, passed, genesis, expected)
        if voted.header.app_hash != state:
            raise WrongVotes("state", height=height)
        _put(store, voted, genesis, expected)


def _put(store: VoteStore, voted: Voted, genesis: Genesis, expected: bytes) -> bytes:
    header = voted.header
    if header.validators != expected:
        raise WrongVotes("validators", height=header.height)
    votes.tally(voted, genesis.chain, merkle.root_of, keys.verify)
    store.put(voted)
    return header.next_validators
