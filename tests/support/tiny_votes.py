"""Validators of a chain in memory, and what they vote: headers and commits like CometBFT's, made by us."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from tiny_log import START as LOG_START
from tiny_log import Contents, TinyLog

from securepc.ledger import merkle
from securepc.wire.keys import SigningKey
from securepc.wire.signed import votes
from securepc.wire.signed.genesis import Continued, Genesis
from securepc.wire.signed.votes import Header, Moment, Parts, Validator, Vote, Voted

START = 1_795_401_253  # 2026-11-23, seconds


def digest(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


class Voters:
    """Some validators by name, of equal power unless powers are given."""

    def __init__(self, *names: str, powers: Sequence[int] = ()) -> None:
        signing = [SigningKey(digest("validator", name)) for name in names]
        self._keys = {key.public: key for key in signing}
        heavy = powers or [10] * len(names)
        self.validators = votes.in_order(
            [Validator(key.public, power) for key, power in zip(signing, heavy, strict=True)]
        )

    @property
    def hash(self) -> bytes:
        return votes.validators_hash(self.validators, merkle.root_of)

    def header(self, chain: bytes, height: int, state: bytes, **changes: Any) -> Header:
        return Header(
            version=(11, 1),
            chain=votes.chain_id(chain),
            height=height,
            time=Moment(START + height, 123_456_789),
            last_block=(digest("block", height - 1), Parts(1, digest("parts", height - 1))),
            last_commit=digest("commit", height - 1),
            data=digest("data", height),
            validators=self.hash,
            next_validators=self.hash,
            consensus=digest("consensus"),
            app_hash=state,
            last_results=digest("results"),
            evidence=merkle.EMPTY,
            proposer=self.validators[0].address,
        )._replace(**changes)

    def vote(
        self, header: Header, *, silent: Collection[int] = (), round: int = 0, nil: Collection[int] = ()
    ) -> Voted:
        """All vote for the header but the `silent`; the `nil` vote for nothing at all (numbers from 0)."""
        parts = Parts(1, digest("parts", header.height))
        empty = Voted(header, round, parts, self.validators, ())
        given: list[Vote | None] = []
        for number, validator in enumerate(self.validators):
            time = Moment(START + header.height, 500_000_000 + number)
            message = votes.vote_message(empty, time, merkle.root_of)
            if number in nil:
                message = without_block(message)
            signature = self._keys[validator.key].sign(message)
            given.append(None if number in silent else Vote(time, signature))
        return empty._replace(votes=tuple(given))


def without_block(message: bytes) -> bytes:
    """The same vote for nothing: CometBFT leaves the block's id out."""
    body = message[2:] if message[0] & 0x80 else message[1:]
    start = body.index(b"\x22")  # field 4; what stands before are small numbers
    cut = body[:start] + body[start + 2 + body[start + 1] :]
    assert len(cut) < 128
    return bytes([len(cut)]) + cut


class VotedLog(TinyLog):
    """A tiny log under blocks that validators vote on; `handovers` lead from the genesis' to `voters`."""

    def __init__(self, voters: Voters, name: str = "voted") -> None:
        super().__init__(name)
        self.first = self.voters = voters
        self.handovers: list[Voted] = []
        self.continues: Continued | None = None
        self.height = 7

    def genesis(self) -> bytes:
        return Genesis(
            self.chain, self.block_key.public, LOG_START, self.first.validators, self.continues
        ).encode()

    def state(self) -> bytes:
        return merkle.root_of(self.log_records())

    def hand_over(self, to: Voters) -> None:
        """The next block's header names others."""
        header = self.voters.header(self.chain, self.height, digest("before"), next_validators=to.hash)
        self.handovers.append(self.voters.vote(header))
        self.voters = to
        self.height += 5

    def next_header(self, **changes: Any) -> Header:
        return self.voters.header(self.chain, self.height, self.state())._replace(**changes)

    def voted(self, voted: Voted | None = None) -> Contents:
        """Evidence of two entries, with these votes or everybody's."""
        if not self.sealed:
            device = self.register("a")
            self.seal(device, self.events(device, 2))
        contents = self.evidence(dict.fromkeys(self.sealed))
        last = voted or self.voters.vote(self.next_header())
        contents.content = contents.content._replace(block=b"", votes=(*self.handovers, last))
        return contents
