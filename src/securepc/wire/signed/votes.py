"""What validators vote on: CometBFT's block header, and the votes for it (docs/formats/votes.md).

CometBFT (v0.38 line, `types/block.go`, `types/canonical.go`, `proto/tendermint/types`) hashes and signs
protobuf. Nothing here reads protobuf: headers and votes are carried as canonical JSON, and from what was
read the few messages are written in protobuf's one canonical spelling, by ascending field, zeros left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from securepc.wire.signed import documents
from securepc.wire.signed.canonical import MAX_INTEGER, Malformed
from securepc.wire.signed.documents import b64decode, b64encode
from securepc.wire.signed.leaf import CheckSignature

MAX_VALIDATORS = 100
MAX_ROUND = 2**31 - 1
_PRECOMMIT = 2
_NAME = "securepc-"

RootOf = Callable[[Sequence[bytes]], bytes]
"""The RFC 6962 tree head over data: `ledger.merkle.root_of`, handed in as `wire` imports nothing."""


class WrongVotes(ValueError):
    """The votes do not stand; `code` is a word of `verify.words.SENTENCES`."""

    def __init__(self, code: str, **details: object) -> None:
        super().__init__(f"{code} {details}")
        self.code = code
        self.details = details


class Validator(NamedTuple):
    """An Ed25519 public key and how much its vote weighs."""

    key: bytes
    power: int

    @property
    def address(self) -> bytes:
        """CometBFT's 20 bytes that name the key."""
        return hashlib.sha256(self.key).digest()[:20]


class Moment(NamedTuple):
    """Seconds and nanoseconds since 1970 UTC."""

    seconds: int
    nanos: int

    @property
    def micros(self) -> int:
        """Microseconds since 1970 UTC, rounded down."""
        return self.seconds * 1_000_000 + self.nanos // 1_000


class Parts(NamedTuple):
    """In how many parts a block is spread, and the head of their tree. Empty before the first block."""

    total: int
    hash: bytes


class Header(NamedTuple):
    """CometBFT's header of a block, its 14 fields in their order. `app_hash` is our state root after the
    block before; `next_validators` the hash of the set that votes on the block after."""

    version: tuple[int, int]  # of the block's format, of the application
    chain: str
    height: int
    time: Moment
    last_block: tuple[bytes, Parts]
    last_commit: bytes
    data: bytes
    validators: bytes
    next_validators: bytes
    consensus: bytes
    app_hash: bytes
    last_results: bytes
    evidence: bytes
    proposer: bytes


class Vote(NamedTuple):
    """A validator's precommit for the block, at its own time."""

    time: Moment
    signature: bytes


class Voted(NamedTuple):
    """A header, the validators of its height, and for each of them its vote, or None: it voted for nothing
    or was not heard."""

    header: Header
    round: int
    parts: Parts
    validators: tuple[Validator, ...]
    votes: tuple[Vote | None, ...]


def chain_id(chain: bytes) -> str:
    """CometBFT's name for one of our chains."""
    return _NAME + chain.hex()


def chain_of(header: Header) -> bytes:
    """The handle of the chain that a header names."""
    return bytes.fromhex(header.chain.removeprefix(_NAME))


def in_order(validators: Sequence[Validator]) -> tuple[Validator, ...]:
    """As CometBFT orders a set: the strongest first, then by address."""
    return tuple(sorted(validators, key=lambda one: (-one.power, one.address)))


def tally(voted: Voted, chain: bytes, root_of: RootOf, check: CheckSignature) -> int:
    """How many validators voted for the header. The set itself is only held against the header's hash of it.

    Raises:
        WrongVotes: another chain, another set, a signature that is not for this header at this height and
            round, or not more than two thirds of the power.
    """
    header = voted.header
    if header.chain != chain_id(chain):
        raise WrongVotes("other-chain", found=header.chain, expected=chain_id(chain))
    if validators_hash(voted.validators, root_of) != header.validators:
        raise WrongVotes("validators", height=header.height)
    message = _Ballot(voted, header_hash(header, root_of))
    power = count = 0
    for number, (validator, vote) in enumerate(zip(voted.validators, voted.votes, strict=True), 1):
        if vote is None:
            continue
        if not check(validator.key, message.at(vote.time), vote.signature):
            raise WrongVotes("vote", height=header.height, number=number)
        power += validator.power
        count += 1
    if 3 * power <= 2 * sum(validator.power for validator in voted.validators):
        raise WrongVotes("few-votes", height=header.height, count=count, of=len(voted.validators))
    return count


def follow(
    found: Sequence[Voted], chain: bytes, trusted: Sequence[Validator], root_of: RootOf, check: CheckSignature
) -> int:
    """Go from trusted validators by headers that hand over to the last one; how many voted for that.

    Raises:
        WrongVotes: they do not lead there, or as `tally`.
    """
    expected, count = validators_hash(trusted, root_of), 0
    for one in found:
        if one.header.validators != expected:
            raise WrongVotes("validators", height=one.header.height)
        count = tally(one, chain, root_of, check)
        expected = one.header.next_validators
    return count


def header_hash(header: Header, root_of: RootOf) -> bytes:
    """What votes are for: `Header.Hash` of CometBFT."""
    hash_, parts = header.last_block
    return root_of(
        [
            _number(1, header.version[0]) + _number(2, header.version[1]),
            _bytes(1, header.chain.encode("utf-8")),
            _number(1, header.height),
            _moment(header.time),
            _bytes(1, hash_) + _message(2, _parts(parts)),
            *(_bytes(1, value) for value in header[5:]),
        ]
    )


def validators_hash(validators: Sequence[Validator], root_of: RootOf) -> bytes:
    """What a header says of its validators: `ValidatorSet.Hash` of CometBFT."""
    return root_of([_message(1, _bytes(1, one.key)) + _number(2, one.power) for one in validators])


def vote_message(voted: Voted, time: Moment, root_of: RootOf) -> bytes:
    """The bytes that a validator signs at a time: `CanonicalVote`, with its length in front."""
    return _Ballot(voted, header_hash(voted.header, root_of)).at(time)


class _Ballot:
    def __init__(self, voted: Voted, hash_: bytes) -> None:
        block = _bytes(1, hash_) + _message(2, _parts(voted.parts))
        self._front = (
            _number(1, _PRECOMMIT)
            + _fixed(2, voted.header.height)
            + _fixed(3, voted.round)
            + _message(4, block)
        )
        self._end = _bytes(6, voted.header.chain.encode("utf-8"))

    def at(self, time: Moment) -> bytes:
        body = self._front + _message(5, _moment(time)) + self._end
        return _varint(len(body)) + body


# Protobuf, written only. Zeros and empty strings are left out, messages that are values never are.


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value) if value else b""


def _fixed(field: int, value: int) -> bytes:
    return _varint(field << 3 | 1) + value.to_bytes(8, "little") if value else b""


def _bytes(field: int, value: bytes) -> bytes:
    return _message(field, value) if value else b""


def _message(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _moment(time: Moment) -> bytes:
    return _number(1, time.seconds) + _number(2, time.nanos)


def _parts(parts: Parts) -> bytes:
    return _number(1, parts.total) + _bytes(2, parts.hash)


# Canonical JSON.


def _from(low: int, high: int) -> documents.Check:
    return lambda value: type(value) is int and low <= value <= high


_HASH_OR_NONE = documents.base64_of(32), documents.base64_of(0)


def _maybe_hash(value: Any) -> bool:
    return any(check(value) for check in _HASH_OR_NONE)


_MOMENT = {"seconds": _from(0, 2**40), "nanos": _from(0, 999_999_999)}
_HASHES = (
    "last_commit",
    "data",
    "validators",
    "next_validators",
    "consensus",
    "app_hash",
    "last_results",
    "evidence",
)
_PARTS = documents.record({"total": _from(0, 2**32 - 1), "hash": _maybe_hash})
_HEADER = documents.record(
    {
        "version": documents.record({"block": documents.integer, "app": documents.integer}),
        "chain": lambda v: isinstance(v, str) and v.startswith(_NAME) and documents.handle(v[len(_NAME) :]),
        "height": _from(1, MAX_INTEGER),
        "time": documents.record(_MOMENT),
        "last_block": documents.record({"hash": _maybe_hash, "parts": _PARTS}),
        **dict.fromkeys(_HASHES, documents.HASH),
        "proposer": documents.base64_of(20),
    }
)
VALIDATOR = documents.record({"key": documents.KEY, "power": _from(1, MAX_INTEGER // MAX_VALIDATORS)})
VALIDATORS = documents.array(VALIDATOR, MAX_VALIDATORS)
VOTED = documents.record(
    {
        "header": _HEADER,
        "parts": _PARTS,
        "round": _from(0, MAX_ROUND),
        "validators": VALIDATORS,
        "votes": documents.array(
            documents.optional(documents.record({**_MOMENT, "signature": documents.SIGNATURE})),
            MAX_VALIDATORS,
        ),
    }
)


def write(voted: Voted) -> dict[str, Any]:
    """As evidence carries it."""
    header = voted.header
    return {
        "header": {
            "version": dict(zip(("block", "app"), header.version, strict=True)),
            "chain": header.chain,
            "height": header.height,
            "time": header.time._asdict(),
            "last_block": {"hash": b64encode(header.last_block[0]), "parts": _json(header.last_block[1])},
            **{name: b64encode(getattr(header, name)) for name in (*_HASHES, "proposer")},
        },
        "parts": _json(voted.parts),
        "round": voted.round,
        "validators": write_validators(voted.validators),
        "votes": [
            vote and {**vote.time._asdict(), "signature": b64encode(vote.signature)} for vote in voted.votes
        ],
    }


def read(value: Any) -> Voted:
    """Undo `write`.

    Raises:
        Malformed: a field is missing, unknown or not what it should be; not a vote's place for each
            validator; a set that CometBFT would order in another way.
    """
    if not VOTED(value):
        raise Malformed("votes: a field is missing, unknown or not what it should be")
    header = value["header"]
    validators = read_validators(value["validators"])
    if len(value["votes"]) != len(validators):
        raise Malformed("votes: not one place for each validator")
    return Voted(
        header=Header(
            version=(header["version"]["block"], header["version"]["app"]),
            chain=header["chain"],
            height=header["height"],
            time=Moment(**header["time"]),
            last_block=(b64decode(header["last_block"]["hash"]), _read_parts(header["last_block"]["parts"])),
            **{name: b64decode(header[name]) for name in (*_HASHES, "proposer")},
        ),
        round=value["round"],
        parts=_read_parts(value["parts"]),
        validators=validators,
        votes=tuple(
            vote and Vote(Moment(vote["seconds"], vote["nanos"]), b64decode(vote["signature"]))
            for vote in value["votes"]
        ),
    )


def write_validators(validators: Sequence[Validator]) -> list[dict[str, Any]]:
    """As evidence and a genesis carry them."""
    return [{"key": b64encode(one.key), "power": one.power} for one in validators]


def read_validators(value: Any) -> tuple[Validator, ...]:
    """Undo `write_validators`.

    Raises:
        Malformed: none, too many, one twice, or not in CometBFT's order.
    """
    if not VALIDATORS(value) or not value:
        raise Malformed("validators: none, too many, or not what they should be")
    found = tuple(Validator(b64decode(one["key"]), one["power"]) for one in value)
    if len({one.key for one in found}) != len(found):
        raise Malformed("validators: one is there twice")
    if any((-a.power, a.address) >= (-b.power, b.address) for a, b in pairwise(found)):
        raise Malformed("validators: not in their order")
    return found


def _json(parts: Parts) -> dict[str, Any]:
    return {"total": parts.total, "hash": b64encode(parts.hash)}


def _read_parts(value: dict[str, Any]) -> Parts:
    return Parts(value["total"], b64decode(value["hash"]))


def read_all(values: list[Any]) -> tuple[Voted, ...]:
    """What leads from one set of validators to the next, and to a block: by rising height.

    Raises:
        Malformed: any other spelling than `write` gives, none, or a block that hands over to nobody.
    """
    found = tuple(map(read, values))
    headers = [voted.header for voted in found]
    if not found or any(a.height >= b.height for a, b in pairwise(headers)):
        raise Malformed("votes are none, or not in rising order")
    if any(header.validators == header.next_validators for header in headers[:-1]):
        raise Malformed("votes on a block that hands over to nobody")
    return found
