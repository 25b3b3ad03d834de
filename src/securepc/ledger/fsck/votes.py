"""What validators voted, audited beside the blocks: every vote is verified again, from the genesis on."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from securepc.ledger import merkle
from securepc.ledger.fsck.report import Report
from securepc.ledger.genesis import Genesis
from securepc.ledger.votes.store import VoteStore, path_beside
from securepc.wire import keys
from securepc.wire.signed import votes
from securepc.wire.signed.block import BlockHeader
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.votes import Voted, WrongVotes


class Votes:
    """Takes the blocks that validators voted on one after the other; `close` ends it."""

    def __init__(self, chain: Path, genesis: Genesis, report: Report) -> None:
        self._genesis = genesis
        self._report = report
        self._expected = votes.validators_hash(genesis.validators, merkle.root_of)
        self._followed = genesis.signed
        self._missing: list[int] = []
        try:
            self._store: VoteStore | None = VoteStore(path_beside(chain))
        except (FileNotFoundError, sqlite3.Error):
            self._store = None

    def block(self, header: BlockHeader) -> None:
        """Its state is what more than two thirds of the right validators voted for."""
        height = header.height + 1
        where = f"votes.sqlite height {height}"
        if self._store is None:
            self._missing.append(height)
            return
        try:
            found = self._store.get(height)
            if found is None:
                self._missing.append(height)
                return
            for passed in self._store.changes(self._followed, height):
                self._check(passed)
            self._check(found)
        except WrongVotes as wrong:
            self._report.wrong(where, "votes", str(wrong))
        except (Malformed, sqlite3.Error) as error:
            self._report.wrong(where, "unreadable", str(error))
        else:
            self._report.expect(found.header.app_hash, header.state, where, "votes", "state")
            self._report.votes += 1

    def close(self, total: int) -> None:
        """The last block may still wait for the one that proves it; no other must be without votes."""
        if self._store is not None:
            self._store.close()
        if any(height <= total for height in self._missing):
            self._report.not_checked.append("votes")

    def _check(self, voted: Voted) -> None:
        header = voted.header
        if header.height <= self._followed:
            return
        if header.validators != self._expected:
            raise WrongVotes("validators", height=header.height)
        votes.tally(voted, self._genesis.chain, merkle.root_of, keys.verify)
        self._expected, self._followed = header.next_validators, header.height
