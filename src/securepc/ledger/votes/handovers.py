"""The headers in which validators hand over to others, from one node to another that joined after them.

They lead from the genesis' validators to those of today, and prove themselves: `handovers.json` in a node's
folder is what other nodes said, and the keeper keeps of it what stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from securepc.ledger import merkle
from securepc.ledger.genesis import Genesis
from securepc.ledger.votes.store import VoteStore, path_beside
from securepc.wire import keys
from securepc.wire.signed import canonical, votes
from securepc.wire.signed.canonical import MAX_INTEGER, Malformed
from securepc.wire.signed.votes import Voted, WrongVotes

NAME = "handovers.json"
MAX = 4 * 1024 * 1024
"""Bytes: of four validators about 1,500 changes."""


def listed(chain: Path) -> bytes:
    """Those that the node of a chain has kept: canonical JSON."""
    try:
        with closing(VoteStore(path_beside(chain))) as store:
            found = store.changes(0, MAX_INTEGER)
    except FileNotFoundError:
        found = []
    return canonical.encode([votes.write(one) for one in found])


def parse(data: bytes) -> list[Voted]:
    """Undo `listed`.

    Raises:
        Malformed: any other spelling.
    """
    value = canonical.decode(data, limit=MAX)
    if not isinstance(value, list):
        raise Malformed("no list of votes")
    return [votes.read(one) for one in value]


def verified(found: Sequence[Voted], genesis: Genesis) -> tuple[list[Voted], bytes]:
    """Those of them that stand, one after the other, and the hash of the validators that they lead to.

    Raises:
        WrongVotes: votes that don't count.
    """
    expected, height, kept = votes.validators_hash(genesis.validators, merkle.root_of), genesis.signed, []
    for one in found:
        header = one.header
        if header.validators != expected or header.height <= height:
            raise WrongVotes("validators", height=header.height)
        votes.tally(one, genesis.chain, merkle.root_of, keys.verify)
        expected, height = header.next_validators, header.height
        kept.append(one)
    return kept, expected
