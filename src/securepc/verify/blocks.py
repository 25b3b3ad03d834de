"""The block that covers the evidence: signed by the chain's key, or voted on by its validators."""

from __future__ import annotations

from collections.abc import Sequence

from securepc.ledger import merkle
from securepc.verify.trust import HANDOVERS, Trust
from securepc.verify.verdict import Block, NotValid, Votes
from securepc.wire.signed import block as blocks
from securepc.wire.signed import handovers, votes
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.genesis import Genesis
from securepc.wire.signed.handovers import BlockKeys
from securepc.wire.signed.leaf import CheckSignature
from securepc.wire.signed.votes import Voted, WrongVotes


def signed(leaf: bytes, handed: Sequence[bytes], trust: Trust, verify: CheckSignature) -> tuple[Block, bytes]:
    """A block with a signature, and its state root.

    Args:
        handed: the blocks before it that changed the key of blocks.

    Raises:
        NotValid: no block, of another chain, or not signed by the trusted key.
    """
    where = "evidence.json: block"
    try:
        parts = leaves.split(leaf)
        if (parts.kind, parts.version) != (blocks.KIND, 1):
            raise NotValid("kind", where, expected="block", found=f"{parts.kind}/v{parts.version}")
        header = blocks.parse(parts.body)
    except Malformed as error:
        raise NotValid("malformed", where, detail=str(error)) from None
    genesis = trust.genesis
    if genesis is not None:
        if header.chain != genesis.chain:
            raise NotValid("other-chain", where, found=header.chain.hex(), expected=genesis.chain.hex())
        if not genesis.is_signed(header.height):
            raise NotValid("not-voted", where, height=header.height, signed=genesis.signed)
        if not verify(_key(genesis, header.height, handed, trust, verify), parts.message, parts.signature):
            raise NotValid("block-signature", where, height=header.height)
        if header.height == 1 and header.previous != genesis.beginning:
            raise NotValid(
                "other-chain", where, found=header.previous.hex(), expected=genesis.beginning.hex()
            )
        if header.height == genesis.signed and blocks.message_hash(leaf) != _head(genesis):
            raise NotValid("block-replaced", where, height=header.height)
    return Block(header.chain, header.height, header.time), header.state


def voted(chain: Sequence[Voted], trust: Trust, verify: CheckSignature) -> tuple[Block, bytes, Votes | None]:
    """A block that validators voted on, the state root in it, and who vouches for it.

    Args:
        chain: each header before the last hands over from one set of validators to the next.

    Raises:
        NotValid: the votes do not lead from the trusted validators to the block.
    """
    where = "evidence.json: votes"
    genesis, last = trust.genesis, chain[-1].header
    if genesis is None:
        # Whose votes should count, nobody said: that they are somebody's would say nothing.
        return Block(votes.chain_of(last), last.height, last.time.micros), last.app_hash, None
    if not genesis.voted:
        raise NotValid("block-signature", where, height=last.height)
    trusted = genesis.validators
    if trust.validators is not None and trust.validators.height <= last.height:
        trusted = trust.validators.validators
        # What led to the pinned set needs nobody's word.
        chain = [one for one in chain if one.header.height >= trust.validators.height]
    for one in chain:
        if one.header.height <= genesis.signed:
            raise NotValid("not-voted", where, height=one.header.height, signed=genesis.signed)
    try:
        count = votes.follow(chain, genesis.chain, trusted, merkle.root_of, verify)
    except WrongVotes as wrong:
        raise NotValid(wrong.code, where, **wrong.details) from None
    vouched = Votes(count, len(chain[-1].validators))
    return Block(genesis.chain, last.height, last.time.micros), last.app_hash, vouched


def _key(
    genesis: Genesis, height: int, handed: Sequence[bytes], trust: Trust, verify: CheckSignature
) -> bytes:
    """The key that signs the block at a height, followed from that of the genesis.

    Raises:
        NotValid: the changes of it don't lead there, or are not those that are known.
    """
    where = "evidence.json: handovers"
    keys = _followed(genesis, handed, where, verify)
    if keys.changes and keys.changes[-1][0] >= height:
        raise NotValid("handover", where, detail="a change after the block")
    told = _followed(genesis, trust.handovers, HANDOVERS, verify)
    known = [change for change in told.changes if change[0] < height]
    if list(keys.changes[: len(known)]) != known:
        raise NotValid("handover-retired", where, height=height, changed=known[-1][0])
    return keys.last


def _followed(genesis: Genesis, handed: Sequence[bytes], where: str, verify: CheckSignature) -> BlockKeys:
    try:
        return handovers.follow(genesis.chain, genesis.key, handed, verify)
    except Malformed as error:
        raise NotValid("handover", where, detail=str(error)) from None


def _head(genesis: Genesis) -> bytes:
    assert genesis.continues is not None
    return genesis.continues.head
