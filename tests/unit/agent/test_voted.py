"""What validators voted of the log counts only where it leads from the pinned ones to this very log."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from test_receipt import LOG, LOG_KEY, NEW, OLD, SENT, answer, last, root, subtree
from tiny_votes import Voters, digest

from securepc.agent import receipt, voted
from securepc.agent.trouble import Trouble
from securepc.ledger import merkle
from securepc.wire.policy import Validators, Voter
from securepc.wire.signed import canonical, votes
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64encode

CHAIN = bytes(range(16))
FOUR = Voters("a", "b", "c", "d")
HEIGHT, SIZE = 9, 27


def pinned(voters: Voters = FOUR, chain: bytes = CHAIN, height: int = 1) -> Validators:
    listed = tuple(Voter(key=b64encode(one.key), power=one.power) for one in voters.validators)
    return Validators(chain=chain.hex(), height=height, validators=listed)


def record(log: bytes = LOG, size: int = SIZE) -> bytes:
    value = {
        "log": log.hex(),
        "registry": b64encode(digest("registry")),
        "root": b64encode(root(size)),
        "size": size,
    }
    return canonical.encode(value)


RECORDS = [record(), record(b"\xff" * 16, 3)]


def shown(*chain: votes.Voted, voters: Voters = FOUR) -> dict[str, Any]:
    """The first record of two under the state that was voted for."""
    proof = merkle.inclusion_proof(0, 2, lambda level, n: merkle.leaf_hash(RECORDS[n]))
    header = voters.header(CHAIN, HEIGHT, merkle.root_of(RECORDS))
    found = [*chain, voters.vote(header)] if not chain or chain[-1].header.height < HEIGHT else list(chain)
    return {
        "record": {
            "record": RECORDS[0].decode(),
            "index": 0,
            "size": 2,
            "path": [b64encode(step) for step in proof],
        },
        "votes": [votes.write(one) for one in found],
    }


def counted(value: dict[str, Any], to: Validators | None = None, log: bytes = LOG) -> int:
    return voted.size(voted.read(value), log, to or pinned())


def test_more_than_two_thirds_of_the_pinned_are_enough() -> None:
    assert counted(shown()) == SIZE
    read = voted.read(shown())
    assert voted.parse(read.data) == read
    header = FOUR.header(CHAIN, HEIGHT, merkle.root_of(RECORDS))
    assert counted(shown(FOUR.vote(header, silent={1}))) == SIZE
    assert counted(shown(FOUR.vote(header, silent={1, 2}))) == 0
    assert counted(shown(FOUR.vote(header, nil={0}))) == 0


def test_who_came_after_the_pinned_is_followed() -> None:
    others = Voters("c", "d", "e", "f")
    over = FOUR.vote(FOUR.header(CHAIN, 5, digest("then"), next_validators=others.hash))
    assert counted(shown(over, voters=others)) == SIZE
    assert counted(shown(voters=others)) == 0, "nobody handed over to them"
    assert counted(shown(over, voters=others), pinned(others, height=6)) == SIZE
    assert counted(shown(over, voters=others), pinned(others, height=5)) == 0


def test_strangers_another_chain_another_log_and_another_record_count_for_nothing() -> None:
    assert counted(shown(), pinned(Voters("a", "b", "c", "x"))) == 0
    assert counted(shown(), pinned(chain=bytes(16))) == 0
    assert counted(shown(), pinned(height=HEIGHT + 1)) == 0
    assert counted(shown(), log=bytes(15) + b"\1") == 0
    assert counted(shown(FOUR.vote(FOUR.header(CHAIN, HEIGHT, digest("other"))))) == 0
    more = shown()
    more["record"]["record"] = record(size=SIZE + 1).decode()
    assert counted(more) == 0
    # Two of the same validators in the policy are no validators.
    twice = pinned()
    assert counted(shown(), Validators(chain=twice.chain, height=1, validators=twice.validators[:1] * 2)) == 0


def test_what_has_another_form_is_refused() -> None:
    good = shown()
    for change in (
        {"votes": []},
        {"votes": None},
        {"record": {}},
        {"more": 1},
        {"votes": [good["votes"][0]] * 201},
    ):
        with pytest.raises(Malformed):
            voted.read({**copy.deepcopy(good), **change})
    wrong = copy.deepcopy(good)
    wrong["record"]["record"] = '{"log":1}'
    with pytest.raises(Malformed):
        voted.read(wrong)
    with pytest.raises(Malformed):
        voted.parse(voted.read(good).data + b" ")


def test_a_receipt_shows_it_of_its_own_log() -> None:
    since = [b64encode(step) for step in merkle.consistency_proof(SIZE, NEW, subtree)]
    assert OLD < SIZE < NEW
    verified = receipt.verify(
        {**answer(), "voted": {**shown(), "since": since}}, SENT, last(), [LOG_KEY], LOG
    )
    assert verified.voted is not None
    assert (verified.voted.size, verified.voted.root) == (SIZE, root(SIZE))
    for code, value in {
        "inconsistent": {**shown(), "since": since[:-1]},
        "garbled": {**shown(), "since": None},
    }.items():
        with pytest.raises(Trouble) as trouble:
            receipt.verify({**answer(), "voted": value}, SENT, last(), [LOG_KEY], LOG)
        assert trouble.value.code == code
    for value in (1, [], {}, shown(), "x"):
        with pytest.raises(Trouble) as trouble:
            receipt.verify({**answer(), "voted": value}, SENT, last(), [LOG_KEY], LOG)
        assert trouble.value.code == "garbled"
