"""A block on its way into the store: ordered transactions, the state after them, what is signed.

Within a block, transactions stand in the order of their logs' handles, so that each log's new leaves are
one run in the store; the order within a log is that of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from securepc.ledger import merkle
from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.state import LogState, State
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.block import BlockHeader, Transaction


class Signer(Protocol):
    """A key that signs, as `SigningKey` does."""

    @property
    def public(self) -> bytes:
        """Its Ed25519 public key."""

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""


class Signers(Protocol):
    """Who signs what a chain publishes: `ledger.keys.KeyStore` does."""

    def block_key(self) -> Signer:
        """The key that signs blocks."""

    def next_block_key(self) -> Signer | None:
        """The one that is to sign blocks from the next one on, or after it; None where there is none."""

    def log_key(self, log: bytes) -> Signer:
        """The key of a log's checkpoints; KeyError where there is none."""


class SignedCheckpoint(NamedTuple):
    """What is stored of a log's checkpoint: its note's text follows from log, size and root."""

    log: LogState
    root: bytes
    key: bytes  # Ed25519 public key
    signature: bytes


class Block(NamedTuple):
    """A block with all that it changes; `state` is a scratch copy that holds exactly its transactions."""

    header: BlockHeader
    leaf: bytes
    transactions: list[Transaction]
    state: State
    checkpoints: list[SignedCheckpoint]


def transactions_root(transactions: Sequence[Transaction]) -> bytes:
    """RFC 6962 root over the ids of a block's transactions."""
    return merkle.root([merkle.leaf_hash(blocks.transaction_id(t)) for t in transactions])


def build(
    chain: bytes,
    previous: bytes,
    height: int,
    time: int,
    transactions: list[Transaction],
    state: State,
    signers: Signers,
    successor: bytes = b"",
    signer: Signer | None = None,
) -> Block:
    """Sign a block and the checkpoints of the logs it touches.

    Args:
        previous: hash of the block before, or of the genesis.
        transactions: at least one, in the order in which `state` applied them.
        successor: the key that signs the blocks after this one, where it is another.
        signer: of this block, if it is not `signers.block_key()`.

    Raises:
        KeyError: a log has no key for its checkpoints.
    """
    root = transactions_root(transactions)
    header = BlockHeader(chain, height, time, previous, root, state.root(), successor)
    leaf = leaves.frame(blocks.KIND, blocks.pack(header), (signer or signers.block_key()).sign)
    checkpoints = []
    for log in state.touched():
        key, root = signers.log_key(log.log), log.frontier.root()
        checkpoints.append(SignedCheckpoint(log, root, key.public, sign_checkpoint(log, root, key.sign)))
    return Block(header, leaf, transactions, state, checkpoints)


def sign_checkpoint(log: LogState, root: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The signature of the note of a log's checkpoint."""
    return sign(Checkpoint(log.origin, log.size, root).text.encode("utf-8"))
