"""What validators voted is fetched, verified, kept, and audited; what does not stand is not kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_votes import Voters, digest
from voted_chain import Node, VotedChain

from securepc.ledger import fsck, merkle
from securepc.ledger.rpc import Rpc
from securepc.ledger.store import StoreError
from securepc.ledger.votes import handovers
from securepc.ledger.votes.asked import Votes
from securepc.ledger.votes.keeper import Keeper, Unknown
from securepc.ledger.votes.store import VoteStore, path_beside
from securepc.wire import keys
from securepc.wire.signed import votes
from securepc.wire.signed.votes import WrongVotes

FOUR = ("a", "b", "c", "d")


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[VotedChain]:
    made = VotedChain(tmp_path, Voters(*FOUR))
    yield made
    made.close()


@pytest.fixture
def node(chain: VotedChain) -> Iterator[Node]:
    with Node(chain.voted) as node:
        yield node


def keep(chain: VotedChain, node: Node) -> None:
    keeper = Keeper(chain.path, Votes(Rpc(node.url)))
    try:
        keeper.step()
    finally:
        keeper.close()


def test_every_block_has_its_votes(chain: VotedChain, node: Node) -> None:
    last = [chain.add() for _ in range(3)][-1]
    assert chain.reader.votes(last) is None
    keep(chain, node)
    for height in range(1, last + 1):
        (voted,) = chain.reader.votes(height) or ()
        assert voted == chain.voted[height + 1]
        assert votes.tally(voted, chain.store.genesis.chain, merkle.root_of, keys.verify) == 4
    report = fsck.check(chain.path)
    assert (report.findings, report.votes) == ([], last)
    assert "votes" not in report.not_checked


def test_what_was_missed_is_asked_for_and_the_rest_is_not(chain: VotedChain, node: Node) -> None:
    keep(chain, node)
    chain.add()
    node.asked.clear()
    keep(chain, node)
    assert node.asked == ["status", "commit", "validators"]
    node.asked.clear()
    keep(chain, node)
    assert node.asked in ([], ["status"])


def test_without_the_file_it_is_made_again(chain: VotedChain, node: Node) -> None:
    last = chain.add()
    keep(chain, node)
    path_beside(chain.path).unlink()
    keep(chain, node)
    assert chain.reader.votes(last)


def test_the_newest_block_waits_for_the_next_header(chain: VotedChain, node: Node) -> None:
    last = chain.add()
    proof = chain.voted.pop(last + 1)
    keep(chain, node)
    assert chain.reader.votes(last) is None
    assert chain.reader.votes(last - 1)
    assert fsck.check(chain.path).not_checked.count("votes") == 0
    chain.voted[last + 1] = proof
    keep(chain, node)
    assert chain.reader.votes(last)


def test_other_validators_are_followed(chain: VotedChain, node: Node) -> None:
    chain.add(to=Voters("a", "b", "c", "e"))
    chain.add()
    last = chain.add(to=Voters("e", "f", "g", "h"))
    keep(chain, node)
    proof = chain.reader.votes(last) or ()
    assert [len(one.votes) for one in proof] == [4, 4, 4]
    assert proof[-1].validators == Voters("e", "f", "g", "h").validators
    assert fsck.check(chain.path).findings == []


def test_a_change_between_blocks_of_ours_is_found(chain: VotedChain, node: Node) -> None:
    """Another application's reason to change: the header that hands over is none that we need."""
    keep(chain, node)
    others = Voters("a", "b", "c", "e")
    height = chain.store.height + 2
    chain.add()
    given = chain.voted[height]
    chain.voted[height] = chain.voters.vote(given.header._replace(next_validators=others.hash))
    chain.voters = others
    last = chain.add()
    keep(chain, node)
    assert [one.header.height for one in chain.reader.votes(last) or ()] == [height, last + 1]


def test_votes_that_do_not_stand_are_not_kept(chain: VotedChain, node: Node) -> None:
    last = chain.add()
    right = chain.voted[last + 1]
    strangers = Voters("x", "y", "z")
    state = right.header.app_hash
    wrong = {
        "few-votes": right._replace(votes=(None, None, *right.votes[2:])),
        "vote": right._replace(votes=(right.votes[1], *right.votes[1:])),
        "state": chain.voters.vote(right.header._replace(app_hash=digest("other"))),
        "validators": strangers.vote(strangers.header(chain.store.genesis.chain, last + 1, state)),
        "other-chain": chain.voters.vote(chain.voters.header(bytes(16), last + 1, state)),
    }
    for code, answer in wrong.items():
        chain.voted[last + 1] = answer
        with pytest.raises(WrongVotes, match=code):
            keep(chain, node)
        assert chain.reader.votes(last) is None
        assert chain.reader.votes(last - 1)
    chain.voted[last + 1] = right
    keep(chain, node)
    assert chain.reader.votes(last)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b'{"result":{}}', b'{"result":[]}', b'{"result":{"sync_info":{}}}', b"\xff"]
)
def test_answers_that_are_none(chain: VotedChain, node: Node, raw: bytes) -> None:
    node.raw = raw
    with pytest.raises(StoreError):
        keep(chain, node)


def test_a_node_that_is_away(chain: VotedChain) -> None:
    with pytest.raises(StoreError, match="does not answer"):
        Keeper(chain.path, Votes(Rpc("http://127.0.0.1:9"))).step()


def test_a_node_that_joined_later_has_no_older_votes(chain: VotedChain, node: Node) -> None:
    last = chain.add()
    for height in range(1, last):
        chain.voted.pop(height, None)
    keep(chain, node)
    assert chain.reader.votes(1) is None
    assert chain.reader.votes(last)
    assert "votes" in fsck.check(chain.path).not_checked


def test_who_joined_after_a_change_learns_of_it_from_others(chain: VotedChain, node: Node) -> None:
    chain.add(to=Voters("a", "b", "c", "e"))
    keep(chain, node)
    told = handovers.listed(chain.path)
    last = chain.add()
    for name in ("votes.sqlite", "votes.sqlite-wal", "votes.sqlite-shm"):
        chain.path.with_name(name).unlink(missing_ok=True)
    for height in range(1, last):
        chain.voted.pop(height, None)
    with pytest.raises(Unknown, match="before this node joined"):
        keep(chain, node)
    assert chain.reader.votes(last) is None
    path_beside(chain.path).unlink()
    chain.path.with_name(handovers.NAME).write_bytes(told)
    keep(chain, node)
    assert [len(one.votes) for one in chain.reader.votes(last) or ()] == [4, 4]
    assert fsck.check(chain.path).findings == []


def test_what_is_told_of_earlier_validators_is_believed_where_it_proves_itself(
    chain: VotedChain, node: Node
) -> None:
    chain.add(to=Voters("a", "b", "c", "e"))
    chain.add(to=Voters("e", "f", "g", "h"))
    keep(chain, node)
    first, second = handovers.parse(handovers.listed(chain.path))
    genesis = chain.store.genesis
    kept, leads_to = handovers.verified([first, second], genesis)
    assert (kept, leads_to) == ([first, second], Voters("e", "f", "g", "h").hash)
    assert handovers.verified([], genesis)[1] == Voters(*FOUR).hash
    few = first._replace(votes=(None, None, *first.votes[2:]))
    for wrong in (
        [second],
        [second, first],
        [first, first],
        [few],
        [first, second._replace(votes=first.votes)],
    ):
        with pytest.raises(WrongVotes):
            handovers.verified(wrong, genesis)
    chain.path.with_name(handovers.NAME).write_bytes(b"[1]")
    keep(chain, node)  # said, and passed over


def test_an_edited_vote_is_found(chain: VotedChain, node: Node) -> None:
    last = chain.add()
    keep(chain, node)
    path = path_beside(chain.path)
    store = VoteStore(path, writable=True)
    stolen = store.get(last + 1)
    assert stolen is not None
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM votes WHERE height = ?", (last + 1,))
    db.close()
    store.put(stolen._replace(votes=(stolen.votes[1], *stolen.votes[1:])))
    store.close()
    (finding,) = fsck.check(chain.path).findings
    assert (finding.code, finding.where) == ("votes", f"votes.sqlite height {last + 1}")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE votes SET voted = x'00' WHERE height = 2")
    db.close()
    assert {found.code for found in fsck.check(chain.path).findings} == {"votes", "unreadable"}
