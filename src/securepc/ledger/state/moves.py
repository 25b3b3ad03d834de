"""A log leaves a chain and goes on in another one: `leave` is its last leaf here, `adopt` its first there.

Whoever judges an `adopt` knows nothing of the other chain. Its body therefore brings what the log had when it
left, with the proof that a signed block of that chain holds it (docs/formats/agency.md). The registrar
said in `leave` to which chain the log goes, so that it can be adopted once; a log that comes back
continues what is known of it, from the chain that it left for.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, NamedTuple

from securepc.ledger import merkle
from securepc.ledger.merkle import Frontier, ProofError
from securepc.ledger.state import records
from securepc.ledger.state.logs import LogState, record_of
from securepc.ledger.state.records import LogRecord, MoveRecord
from securepc.ledger.state.refused import Refused
from securepc.ledger.state.registry import Registry
from securepc.wire import keys
from securepc.wire.signed import block as blocks
from securepc.wire.signed import canonical, documents, genesis, handovers
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.batch import MAX_CIPHERTEXT
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode
from securepc.wire.signed.genesis import Genesis
from securepc.wire.signed.handovers import BlockKeys

ADOPT = b"securepc/adopt/v1\n"
MAX_PLAIN = 16 * 1024 * 1024
"""Of a body once unpacked: some 50,000 registry records."""
_MOST = 100_000
_HASHES = documents.array(documents.HASH, 64)
_COMMON = {
    "block": documents.text(1_000),  # the signed block leaf, base64
    "consistency": _HASHES,  # from what the adopting chain knows of the log
    "frontier": _HASHES,
    "genesis": documents.text(genesis.MAX_GENESIS),  # of the other chain, as it stands in its file
    "index": documents.integer,  # of the log's record among those of the chain's logs
    "logs": documents.integer,  # how many these are
    "path": _HASHES,
    "records": documents.array(documents.text(records.MAX_RECORD), _MOST),
    "size": documents.integer,
}
_FIELDS = documents.record(_COMMON)
_FIELDS_HANDED = documents.record({**_COMMON, "handovers": handovers.FIELD})


class Proof(NamedTuple):
    """How a chain shows what it holds of a log. `records` are the registry's, in the order of its tree."""

    genesis: Genesis
    block: bytes
    position: int
    logs: int
    path: list[bytes]
    frontier: list[bytes]
    records: list[bytes]
    consistency: list[bytes]
    size: int
    handovers: tuple[bytes, ...] = ()  # blocks before this one that changed the key of blocks

    def encode(self) -> bytes:
        """The body of an `adopt`.

        Raises:
            Malformed: more than a transaction can carry.
        """
        value = {
            "block": b64encode(self.block),
            "consistency": [b64encode(one) for one in self.consistency],
            "frontier": [b64encode(one) for one in self.frontier],
            "genesis": self.genesis.encode().decode("utf-8"),
            "index": self.position,
            "logs": self.logs,
            "path": [b64encode(one) for one in self.path],
            "records": [one.decode("utf-8") for one in self.records],
            "size": self.size,
        }
        if self.handovers:
            value["handovers"] = handovers.write(self.handovers)
        plain = canonical.encode(value)
        body = zlib.compress(plain, 9)
        if len(plain) > MAX_PLAIN or len(body) > MAX_CIPHERTEXT:
            raise Malformed("the log's registry is larger than a transaction")
        return body


def read(body: bytes) -> Proof:
    """The proof in the body of an `adopt`.

    Raises:
        Malformed: anything else, or too large once unpacked.
    """
    try:
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(body, MAX_PLAIN)
        if not unpacker.eof or unpacker.unused_data:
            raise Malformed("not a proof: cut short, too large, or with something after it")
    except zlib.error as error:
        raise Malformed(f"not a proof: {error}") from None
    value = canonical.decode(plain, limit=MAX_PLAIN)
    if not (_FIELDS(value) or _FIELDS_HANDED(value)):
        raise Malformed("not a proof of a log that moves")
    return Proof(
        genesis.parse(value["genesis"].encode("utf-8")),
        b64decode(value["block"]),
        value["index"],
        value["logs"],
        [b64decode(one) for one in value["path"]],
        [b64decode(one) for one in value["frontier"]],
        [one.encode("utf-8") for one in value["records"]],
        [b64decode(one) for one in value["consistency"]],
        value["size"],
        handovers.read(value["handovers"]) if "handovers" in value else (),
    )


def is_adoption(leaf: bytes) -> bool:
    """Whether a leaf brings a log from another chain."""
    return leaf.startswith(ADOPT)


def forbid(log: LogState) -> None:
    """Refuse whatever would go on with a log that has left."""
    record = log.registry.get(MoveRecord)
    if record is not None and record.away:
        raise Refused("moved", f"leaf {record.leaf} says so")


def leave(log: LogState, document: dict[str, Any], home: bytes | None) -> None:
    """The rule of `leave`: its signature was checked before. `home` is this chain, None in a replay of
    another."""
    to = b64decode(document["to"], 32)
    if home == b"":
        raise Refused("move", "validators order this chain: no log can leave it")
    if to == home:
        raise Refused("move", "to the chain where the log is")
    log.registry.put(MoveRecord(to, log.size, True))


def adopted(
    known: LogState | None, document: dict[str, Any], body: bytes, home: bytes | None, time: int
) -> LogState:
    """The log that an `adopt` brings, as it was in the other chain. Its signature is still to be checked.

    Args:
        known: what this chain has of the log.
        home: this chain's beginning; None in a replay of leaves that came from elsewhere.
        time: the block's, microseconds since 1970 UTC.

    Raises:
        Refused: not proven, not on its way here, or not the continuation of what is known.
        Malformed: the body is not a proof.
    """
    if home == b"":
        raise Refused("move", "validators order this chain: no log can be brought to it")
    if hashlib.sha256(body).digest() != b64decode(document["proof"], 32):
        raise Refused("body", "not the proof that the leaf names")
    proof = read(body)
    log = proven(proof, bytes.fromhex(document["log"]))
    if log.size != document["size"]:
        raise Refused("move", "the leaf names another size than its proof")
    if time <= blocks.parse(leaves.split(proof.block).body).time:
        raise Refused("too-early", "the log's last block is of a later time")
    said = log.registry.get(MoveRecord)
    if said is None or not said.away or (home is not None and said.chain != home):
        raise Refused("move", "the log did not leave for this chain")
    if proof.genesis.beginning != b64decode(document["chain"], 32):
        raise Refused("move", "the leaf names another chain than its proof")
    if known is not None and known.record() != log.record():
        _continues(known, log, proof)
    return log


def _continues(known: LogState, log: LogState, proof: Proof) -> None:
    """What is known left for that very chain, and the leaves are those that it had, and more."""
    left = known.registry.get(MoveRecord)
    if left is None or not left.away:
        raise Refused("known-log", "it goes on here")
    if left.chain != proof.genesis.beginning:
        raise Refused("move", "the log comes from another chain than it left for")
    sizes, heads = (known.size, log.size), (known.frontier.root(), log.frontier.root())
    try:
        merkle.verify_consistency(*sizes, *heads, proof.consistency)
    except ProofError as error:
        raise Refused("move", str(error)) from None


def block_keys(proof: Proof) -> BlockKeys:
    """The keys of the blocks of the chain that a log comes from.

    Raises:
        Malformed: the changes of them do not follow each other.
    """
    return handovers.follow(proof.genesis.chain, proof.genesis.key, proof.handovers, keys.verify)


def proven(proof: Proof, log: bytes) -> LogState:
    """A log as a block of the other chain holds it.

    Raises:
        Refused, Malformed: it does not.
    """
    origin = proof.genesis
    signed_by = block_keys(proof)
    header = blocks.parse(leaves.split(proof.block).body)
    leaves.body_of(proof.block, blocks.KIND, signed_by.at(header.height), keys.verify)
    if signed_by.changes and signed_by.changes[-1][0] >= header.height:
        raise Refused("move", "a change of the key of blocks that comes after the block")
    if header.chain != origin.chain or not origin.is_signed(header.height):
        raise Refused("move", "the block is not one of that chain, signed by its key")
    try:
        tree = Frontier(proof.size, proof.frontier)
        registry = Registry([records.decode(data) for data in proof.records])
        if [data for _, _, data in registry.encoded()] != proof.records:
            raise Refused("move", "records out of order")
        record = record_of(log, tree.size, tree.root(), registry.root())
        place, leaf = (proof.position, proof.logs), merkle.leaf_hash(record)
        merkle.verify_inclusion(*place, leaf, proof.path, header.state)
    except Malformed:
        raise
    except ValueError as error:  # ProofError, too
        raise Refused("move", f"not proven: {error}") from None
    if registry.get(LogRecord) is None:
        raise Refused("move", "a registry without its log")
    return LogState(log, tree, registry)
