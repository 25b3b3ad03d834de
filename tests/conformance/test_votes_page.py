"""What docs/formats/votes.md says: votes that CometBFT itself made."""

from __future__ import annotations

import pytest
from format_pages import examples

from securepc.ledger import merkle
from securepc.ledger.votes import asked
from securepc.verify import ed25519
from securepc.wire.signed import canonical, votes
from securepc.wire.signed.votes import Moment, WrongVotes


def voted() -> votes.Voted:
    data = examples("votes")["voted"].encode()
    found = votes.read(canonical.decode(data, limit=10_000))
    assert canonical.encode(votes.write(found)) == data
    return found


def test_hashes_and_messages_are_comets() -> None:
    page, found = examples("votes"), voted()
    assert votes.validators_hash(found.validators, merkle.root_of).hex() == page["validators"]
    assert found.header.validators.hex() == page["validators"]
    assert votes.header_hash(found.header, merkle.root_of).hex() == page["header"]
    first = found.votes[0]
    assert first is not None
    assert votes.vote_message(found, first.time, merkle.root_of).hex() == page["message"]


def test_three_of_four_voted_for_it() -> None:
    found = voted()
    chain = votes.chain_of(found.header)
    assert votes.tally(found, chain, merkle.root_of, ed25519.verify) == 3
    two = found._replace(votes=(None, *found.votes[1:]))
    with pytest.raises(WrongVotes, match="few-votes"):
        votes.tally(two, chain, merkle.root_of, ed25519.verify)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T09:31:07Z", Moment(1_795_426_267, 0)),
        ("2026-11-23T09:31:07.5Z", Moment(1_795_426_267, 500_000_000)),
        ("2026-11-23T09:31:07.161704987Z", Moment(1_795_426_267, 161_704_987)),
    ],
)
def test_times_of_the_rpc_address(text: str, expected: Moment) -> None:
    assert asked.moment(text) == expected


@pytest.mark.parametrize("text", ["", "2026-11-23", "2026-11-23T09:31:07+00:00", "2026-11-23T09:31:07.Z"])
def test_other_times_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        asked.moment(text)
