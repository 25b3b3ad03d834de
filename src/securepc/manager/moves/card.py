"""What one manager has to know of another before it lets an agency go there: its card, signed by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from securepc.ledger.keys import KeyStore
from securepc.manager import clock
from securepc.wire import codes, enrolment, keys
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.documents import b64decode, b64encode

if TYPE_CHECKING:
    from securepc.ledger.genesis import Genesis

CARD, RECEIPT = "manager-card", "arrived"
MAX = 20_000


class Card(NamedTuple):
    """`identity` is its Ed25519 key, `box` the X25519 key that agencies are sealed to, `chain` the
    beginning of its chain, `address` where PCs reach it."""

    identity: bytes
    box: bytes
    chain: bytes
    address: str


class Receipt(NamedTuple):
    """The manager of this identity has the log, with so many leaves from before."""

    log: bytes
    size: int
    identity: bytes


def write_card(store: KeyStore, genesis: Genesis, address: str) -> bytes:
    """This manager's card.

    Raises:
        Malformed: an address that is too long.
    """
    value = {
        "at": clock.now(),
        "identity": b64encode(store.identity.public),
        "box": b64encode(store.transfer_key().public),
        "chain": b64encode(genesis.beginning),
        "address": address,
    }
    return leaf.frame(CARD, documents.encode(CARD, value), store.identity.sign)


def read_card(data: bytes) -> Card:
    """A card that its own identity key signed.

    Raises:
        Malformed: it is none.
    """
    value = _read(CARD, data)
    return Card(
        b64decode(value["identity"], 32),
        b64decode(value["box"], 32),
        b64decode(value["chain"], 32),
        value["address"],
    )


def write_receipt(store: KeyStore, log: bytes, size: int) -> bytes:
    """This manager's word that it has a log."""
    value = {"log": log.hex(), "at": clock.now(), "size": size, "identity": b64encode(store.identity.public)}
    return leaf.frame(RECEIPT, documents.encode(RECEIPT, value), store.identity.sign)


def read_receipt(data: bytes) -> Receipt:
    """A receipt that the identity key in it signed.

    Raises:
        Malformed: it is none.
    """
    value = _read(RECEIPT, data)
    return Receipt(bytes.fromhex(value["log"]), value["size"], b64decode(value["identity"], 32))


def fingerprint(identity: bytes) -> str:
    """What two people read to each other to see that they mean the same manager."""
    return codes.show(codes.write(int.from_bytes(enrolment.fingerprint(identity)[:10], "big"), 16))


def _read(kind: str, data: bytes) -> dict[str, Any]:
    value = documents.decode(kind, leaf.split(data).body)
    leaf.body_of(data, kind, b64decode(value["identity"], 32), keys.verify)
    return value
