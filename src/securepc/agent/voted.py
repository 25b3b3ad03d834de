"""What validators voted of the log, as a receipt shows it (docs/formats/receipt.md). Pure.

`Shown` is read strictly when it comes, and held against the receipt's checkpoint. Whether those who voted
are the policy's validators is asked when a batch is to be forgotten, of the policy in force then.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from securepc.ledger import merkle
from securepc.ledger.merkle import ProofError
from securepc.wire import keys
from securepc.wire.policy import Validators
from securepc.wire.signed import canonical, documents, proofs, votes
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode
from securepc.wire.signed.proofs import Placed
from securepc.wire.signed.votes import Voted, WrongVotes

MAX = 256 * 1024
_MAX_HEADERS = 200
_SHOWN = documents.record({"record": proofs.PLACED, "votes": documents.array(votes.VOTED, _MAX_HEADERS)})
_RECORD = documents.record(
    {
        "log": documents.handle,
        "registry": documents.HASH,
        "root": documents.HASH,
        "size": documents.integer,
    }
)


class Shown(NamedTuple):
    """A log of `size` leaves under `root`, its record under a state, and who voted for that: nothing of it is
    checked yet. `data` is its canonical JSON."""

    log: bytes
    size: int
    root: bytes
    record: Placed
    votes: tuple[Voted, ...]
    data: bytes


def read(value: Any) -> Shown:
    """What a manager shows.

    Raises:
        Malformed: any other form, or too large.
    """
    if not _SHOWN(value) or not value["votes"]:
        raise Malformed("not what validators voted of a log")
    record = proofs.read_record(value["record"])
    log = canonical.decode(record.record, limit=proofs.MAX_RECORD)
    if not _RECORD(log):
        raise Malformed("not the record of a log")
    data = canonical.encode(value)
    if len(data) > MAX:
        raise Malformed("too many votes")
    found = tuple(votes.read(one) for one in value["votes"])
    return Shown(bytes.fromhex(log["log"]), log["size"], b64decode(log["root"]), record, found, data)


def parse(data: bytes) -> Shown:
    """Undo `Shown.data`.

    Raises:
        Malformed: any other spelling.
    """
    return read(canonical.decode(data, limit=MAX))


def size(shown: Shown, log: bytes, pinned: Validators) -> int:
    """How many leaves of the log more than two thirds of the pinned validators voted for, or of those whom
    they handed over to; 0 where they have not."""
    try:
        if shown.log != log:
            return 0
        trusted = votes.read_validators([{"key": one.key, "power": one.power} for one in pinned.validators])
        found = [one for one in shown.votes if one.header.height >= pinned.height]
        if not found:
            return 0
        votes.follow(found, bytes.fromhex(pinned.chain), trusted, merkle.root_of, keys.verify)
        record = shown.record
        head = merkle.leaf_hash(record.record)
        merkle.verify_inclusion(record.rank, record.size, head, record.path, found[-1].header.app_hash)
    except (Malformed, WrongVotes, ProofError):
        return 0
    return shown.size
