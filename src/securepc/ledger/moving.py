"""Moving a log to another chain: the transactions with which it leaves one and is adopted by another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from securepc.ledger import merkle
from securepc.ledger.log import LogReader
from securepc.ledger.state.moves import Proof
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.block import Item, Transaction, encode_transaction
from securepc.wire.signed.documents import b64encode

Sign = Callable[[bytes], bytes]


def leaving(log: bytes, to: bytes, at: int, sign: Sign) -> bytes:
    """The `leave` leaf.

    Args:
        to: the beginning of the chain that is to adopt the log (`Genesis.beginning`).
        at: microseconds since 1970 UTC.
        sign: by the log's registrar.
    """
    fields = {"log": log.hex(), "at": at, "to": b64encode(to)}
    return leaf.frame("leave", documents.encode("leave", fields), sign)


def prove(reader: LogReader, log: bytes) -> Proof:
    """What a chain holds of a log as of its last block. Nobody may be writing.

    Raises:
        KeyError: it has no such log.
    """
    snapshot = reader.snapshot(log)
    path = snapshot.state_path
    return Proof(
        reader.genesis(),
        snapshot.block,
        path.index,
        path.size,
        path.hashes,
        reader.frontier(log, snapshot.size),
        [data for _, _, data in snapshot.registry],
        [],
        snapshot.size,
        snapshot.handovers,
    )


def continued(proof: Proof, known: int, leaf_hashes: Iterable[bytes]) -> Proof:
    """The same for a chain that has the log's first `known` leaves.

    Args:
        leaf_hashes: of all leaves (`merkle.leaf_hash`).
    """
    levels = [list(leaf_hashes)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([merkle.node_hash(*pair) for pair in zip(below[::2], below[1::2], strict=False)])
    found = merkle.consistency_proof(known, proof.size, lambda level, index: levels[level][index])
    return proof._replace(consistency=found)


def adoption(log: bytes, proof: Proof, at: int, sign: Sign) -> bytes:
    """The `adopt` transaction; `sign` is by the log's registrar, `at` microseconds since 1970 UTC.

    Raises:
        Malformed: the log's registry is larger than a transaction.
    """
    body = proof.encode()
    fields = {
        "log": log.hex(),
        "at": at,
        "chain": b64encode(proof.genesis.beginning),
        "size": proof.size,
        "proof": b64encode(hashlib.sha256(body).digest()),
    }
    made = leaf.frame("adopt", documents.encode("adopt", fields), sign)
    return encode_transaction(Transaction(log, [Item(made, body)]))
