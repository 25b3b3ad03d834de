"""What is inside an evidence pack: evidence.json and batches.jsonl (docs/formats/evidence.md).

Reads and writes the two spellings and checks their shape; what they prove is checked by `securepc.verify`.
Records that stand under a Merkle root are carried as strings, so that what is hashed is what was received.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

from securepc.wire.signed import batch as headers
from securepc.wire.signed import canonical, documents, expiry, handovers, moves, proofs, stamp, votes
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode
from securepc.wire.signed.expiry import Expiry
from securepc.wire.signed.moves import Moves
from securepc.wire.signed.pack import MAX_BATCH, MAX_EVIDENCE
from securepc.wire.signed.proofs import Placed, Proven
from securepc.wire.signed.stamp import Stamp
from securepc.wire.signed.votes import Voted

FORMAT, VERSIONS = "securepc/evidence/v", 32
"""Version 1; under validators' votes one more, with a time stamp two more, with `expiry` four more, with
`handovers` eight more, with `moves` sixteen more."""
MAX_DEVICES = 10_000
MAX_SETS = 256
"""Of validators, one after the other."""
ProofsOf = Callable[[Sequence[bytes], Sequence[int]], list[list[bytes]]]
"""(leaf hashes, indexes) → inclusion paths: `ledger.merkle.paths`, handed in as `wire` imports nothing."""


class Range(NamedTuple):
    """The claim that all entries `first`..`last` of a device are in the pack, and no others."""

    device: bytes
    first: int
    last: int


class Device(NamedTuple):
    """A device's record in the registry, and its register, rotate, revoke and fork leaves in log order."""

    record: Placed
    leaves: tuple[Proven, ...]


class Evidence(NamedTuple):
    """evidence.json. `claim` None is a selection; devices are sorted by handle."""

    claim: Range | None
    log: bytes
    block: bytes  # the signed block leaf whose state root covers `record`; empty where there are votes
    record: Placed  # the log's record under that state root
    registrars: tuple[Proven, ...]  # the log leaf, then registrar leaves: who may register devices
    devices: tuple[Device, ...]
    redactions: tuple[Proven, ...] = ()
    # Where validators order blocks: each header that hands over to another set of them, by rising height,
    # and last the one whose `app_hash` covers `record`.
    votes: tuple[Voted, ...] = ()
    stamp: Stamp | None = None
    expiry: Expiry | None = None  # only where a batch is shown as expired
    handovers: tuple[bytes, ...] = ()  # blocks before `block` that changed the key of blocks
    moves: Moves | None = None  # only where the log changed its keeper


class Disclosed(NamedTuple):
    """One entry of a batch, shown without its neighbours; or, redacted, its leaf hash in their place."""

    sequence: int
    path: tuple[bytes, ...]
    salt: bytes = b""
    entry: bytes = b""
    redacted: bytes | None = None  # the leaf hash where text and salt are gone


class Batch(NamedTuple):
    """What a pack has of a batch: the whole of it under its key, some of its entries, or, where its month
    has expired, its header alone; `expired` is then the index of the `expire` leaf."""

    place: Proven
    key: bytes | None
    entries: tuple[bytes, ...]
    disclosed: tuple[Disclosed, ...]
    expired: int | None = None


def whole(place: Proven, key: bytes, entries: Iterable[bytes]) -> Batch:
    """Disclose a whole batch by its key."""
    return Batch(place, key, tuple(entries), ())


def gone(place: Proven, expired: int) -> Batch:
    """A batch whose content went with its month."""
    return Batch(place, None, (), (), expired)


def part(
    place: Proven, key: bytes, entries: Sequence[bytes], wanted: Iterable[int], paths_of: ProofsOf
) -> Batch:
    """Disclose only the wanted sequence numbers of a batch, all of whose entries are given.

    Raises:
        Malformed: the batch does not hold a wanted sequence number, or is not a batch.
    """
    first = headers.of_leaf(place.leaf).first
    chosen = sorted({sequence - first for sequence in wanted})
    if chosen and not (chosen[0] >= 0 and chosen[-1] < len(entries)):
        raise Malformed("a wanted entry is not in this batch")
    salts = headers.salts(key, len(entries))
    paths = paths_of(headers.entry_leaves(key, list(entries)), chosen)
    disclosed = (
        Disclosed(first + i, tuple(path), salts[i], entries[i]) for i, path in zip(chosen, paths, strict=True)
    )
    return Batch(place, None, (), tuple(disclosed))


def encode(evidence: Evidence) -> bytes:
    """The bytes of evidence.json.

    Raises:
        Malformed: something that readers would refuse.
    """
    claim: dict[str, Any] = {"type": "selection"}
    if evidence.claim is not None:
        device, first, last = evidence.claim
        claim = {"type": "range", "device": device.hex(), "first": first, "last": last}
    data = canonical.encode(
        {
            "claim": claim,
            "log": evidence.log.hex(),
            **_write_form(evidence),
            "record": proofs.write_record(evidence.record),
            "registrars": [proofs.write_leaf(leaf) for leaf in evidence.registrars],
            "devices": [
                {
                    "record": proofs.write_record(device.record),
                    "leaves": [proofs.write_leaf(leaf) for leaf in device.leaves],
                }
                for device in evidence.devices
            ],
            "redactions": [proofs.write_leaf(leaf) for leaf in evidence.redactions],
        }
    )
    decode(data)
    return data


def decode(data: bytes) -> Evidence:
    """Read evidence.json.

    Raises:
        Malformed: any other spelling than `encode` gives.
    """
    value = canonical.decode(data, limit=MAX_EVIDENCE)
    known = value.get("format") if isinstance(value, dict) else None
    if not isinstance(known, str) or known not in _FORMATS:
        raise Malformed(f"evidence.json is not of a format from {FORMAT}1 to v{VERSIONS}")
    if not _FORMATS[known](value):
        raise Malformed("evidence.json: a field is missing, unknown or not what it should be")
    return Evidence(
        claim=_read_claim(value["claim"]),
        log=bytes.fromhex(value["log"]),
        block=b64decode(value.get("block", "")),
        votes=votes.read_all(value["votes"]) if "votes" in value else (),
        stamp=stamp.read(value["stamp"]) if "stamp" in value else None,
        record=proofs.read_record(value["record"]),
        registrars=proofs.read_leaves(value["registrars"], "registrars"),
        devices=tuple(
            Device(
                proofs.read_record(device["record"]),
                proofs.read_leaves(device["leaves"], "a device's leaves"),
            )
            for device in value["devices"]
        ),
        redactions=proofs.read_leaves(value["redactions"], "redactions"),
        expiry=expiry.read(value["expiry"]) if "expiry" in value else None,
        handovers=handovers.read(value["handovers"]) if "handovers" in value else (),
        moves=moves.read(value["moves"]) if "moves" in value else None,
    )


def encode_batch(batch: Batch) -> bytes:
    """A batch as batches.jsonl has it, without its last line feed.

    Raises:
        Malformed: something that readers would refuse.
    """
    value: dict[str, Any] = proofs.write_leaf(batch.place)
    lines: tuple[bytes, ...] = ()
    if batch.expired is not None:
        value["expired"] = batch.expired
    elif batch.key is None:
        value["entries"] = [_disclosed(entry) for entry in batch.disclosed]
    else:
        value["key"] = b64encode(batch.key)
        if _are_lines(batch.entries):
            lines = batch.entries
            value["lines"] = len(lines)
        else:
            value["entries"] = [_entry(entry) for entry in batch.entries]
    data = b"\n".join((canonical.encode(value), *lines))
    decode_batch(data)
    return data


def decode_batch(data: bytes) -> Batch:
    """Read one batch; see `read_batch`."""
    first, *rest = data.split(b"\n")
    following = iter(rest)
    batch = read_batch(first, lambda count: list(islice(following, count)))
    if next(following, None) is not None:
        raise Malformed("a batch with more lines than it says")
    return batch


def read_batch(line: bytes, take: Callable[[int], list[bytes]]) -> Batch:
    """Read a batch from its first line.

    Args:
        take: gives the next lines, as many as it is asked for.

    Raises:
        Malformed: any other spelling than `encode_batch` gives.
    """
    value = canonical.decode(line, limit=MAX_BATCH)
    if _LINES(value):
        lines = take(value["lines"])
        if len(lines) != value["lines"]:
            raise Malformed("a batch with fewer lines than it says")
        return Batch(proofs.read_leaf(value), b64decode(value["key"]), tuple(lines), ())
    if _WHOLE(value):
        entries = tuple(_read_entry(entry) for entry in value["entries"])
        if _are_lines(entries):
            raise Malformed("entries in JSON that could be lines")
        return Batch(proofs.read_leaf(value), b64decode(value["key"]), entries, ())
    if _EXPIRED(value):
        return gone(proofs.read_leaf(value), value["expired"])
    if not _PART(value):
        raise Malformed("a field is missing, unknown or not what it should be")
    disclosed = tuple(map(_read_disclosed, value["entries"]))
    if any(a.sequence >= b.sequence for a, b in pairwise(disclosed)):
        raise Malformed("the entries of a batch are not in rising order")
    return Batch(proofs.read_leaf(value), None, (), disclosed)


def _are_lines(entries: tuple[bytes, ...]) -> bool:
    return not any(b"\n" in entry for entry in entries)


def _entry(entry: bytes) -> Any:
    try:
        return entry.decode("utf-8")
    except UnicodeDecodeError:
        return {"raw": b64encode(entry)}


def _disclosed(item: Disclosed) -> dict[str, Any]:
    value: dict[str, Any] = {"sequence": item.sequence, "path": [b64encode(h) for h in item.path]}
    if item.redacted is not None:
        return value | {"redacted": b64encode(item.redacted)}
    return value | {"salt": b64encode(item.salt), "entry": _entry(item.entry)}


_RANGE = documents.record(
    {
        "type": lambda v: v == "range",
        "device": documents.handle,
        "first": documents.integer,
        "last": documents.integer,
    }
)
_COMMON = {
    "format": documents.text(40),
    "claim": lambda v: v == {"type": "selection"} or _RANGE(v),
    "log": documents.handle,
    "record": proofs.PLACED,
    "registrars": proofs.LEAVES,
    "devices": documents.array(
        documents.record({"record": proofs.PLACED, "leaves": proofs.LEAVES}), MAX_DEVICES
    ),
    "redactions": proofs.LEAVES,
}
_BLOCK = {"block": proofs.is_base64}
_OPTIONAL = {
    "votes": documents.array(votes.VOTED, MAX_SETS),
    "stamp": stamp.FIELD,
    "expiry": expiry.FIELD,
    "handovers": handovers.FIELD,
    "moves": moves.FIELD,
}
_FORMATS = {
    f"{FORMAT}{1 + number}": documents.record(
        {
            **_COMMON,
            **({} if number & 1 else _BLOCK),
            **{name: field for n, (name, field) in enumerate(_OPTIONAL.items()) if number >> n & 1},
        }
    )
    for number in range(VERSIONS)
    if number & 9 != 9  # votes are no signatures by a key that could change
}
_RAW = documents.record({"raw": proofs.is_base64})


def _text(value: Any) -> bool:
    return isinstance(value, str) or _RAW(value)


_OPEN = documents.record(
    {"sequence": documents.integer, "path": proofs.PROOF, "salt": documents.base64_of(16), "entry": _text}
)
_GONE = documents.record({"sequence": documents.integer, "path": proofs.PROOF, "redacted": documents.HASH})
_PLACE = {"index": documents.integer, "leaf": proofs.is_base64, "proof": proofs.PROOF}
_WHOLE = documents.record(
    {**_PLACE, "key": documents.base64_of(32), "entries": documents.array(_text, headers.MAX_ENTRIES)}
)
_LINES = documents.record(
    {
        **_PLACE,
        "key": documents.base64_of(32),
        "lines": lambda v: documents.integer(v) and v <= headers.MAX_ENTRIES,
    }
)
_EXPIRED = documents.record({**_PLACE, "expired": documents.integer})
_PART = documents.record(
    {
        **_PLACE,
        "entries": documents.array(lambda v: _OPEN(v) or _GONE(v), headers.MAX_ENTRIES),
    }
)


def _write_form(evidence: Evidence) -> dict[str, Any]:
    """The format, and what only this format has."""
    form: dict[str, Any]
    if not evidence.votes:
        form = {"block": b64encode(evidence.block)}
    elif evidence.block:
        raise Malformed("evidence.json: a signed block and votes")
    else:
        form = {"votes": [votes.write(voted) for voted in evidence.votes]}
    if evidence.stamp is not None:
        form["stamp"] = stamp.write(evidence.stamp)
    if evidence.expiry is not None:
        form["expiry"] = expiry.write(evidence.expiry)
    if evidence.handovers:
        form["handovers"] = handovers.write(evidence.handovers)
    if evidence.moves is not None:
        form["moves"] = moves.write(evidence.moves)
    number = 1 + sum(2**n * (name in form) for n, name in enumerate(_OPTIONAL))
    form["format"] = f"{FORMAT}{number}"
    return form


def _read_claim(value: dict[str, Any]) -> Range | None:
    if value["type"] == "selection":
        return None
    if not 1 <= value["first"] <= value["last"]:
        raise Malformed("evidence.json: the claimed range is empty or impossible")
    return Range(bytes.fromhex(value["device"]), value["first"], value["last"])


def _read_entry(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8")
    entry = b64decode(value["raw"])
    if not isinstance(_entry(entry), dict):
        raise Malformed("an entry in base64 that could be text")
    return entry


def _read_disclosed(value: dict[str, Any]) -> Disclosed:
    sequence, path = value["sequence"], proofs.read_hashes(value["path"])
    if "redacted" in value:
        return Disclosed(sequence, path, redacted=b64decode(value["redacted"]))
    return Disclosed(sequence, path, b64decode(value["salt"]), _read_entry(value["entry"]))
