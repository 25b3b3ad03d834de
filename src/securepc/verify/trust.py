"""What an auditor trusts: a C2SP tlog-policy file, or a folder with `policy` and `genesis.json`,
`validators.json` where validators are pinned, and `tsa.pem` with the certificates that lead to time stamping
authorities.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>…
    quorum <name>|none

Read in full as https://c2sp.org/tlog-policy has it. Names are opaque octets: the file is decoded so that
every octet string stays distinct, and no character has a meaning but tab, space, line feed and `#`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from securepc.ledger import note
from securepc.ledger.note import NoteError, VerifierKey
from securepc.wire.signed import canonical, documents, genesis, handovers, votes
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.genesis import Genesis
from securepc.wire.signed.votes import Validator

MAX_POLICY = 1_000_000
MAX_LINES = 4_096
POLICY, GENESIS, VALIDATORS, AUTHORITIES = "policy", "genesis.json", "validators.json", "tsa.pem"
HANDOVERS = "handovers.json"
PINNED = "securepc/validators/v1"
_PINNED = documents.record(
    {
        "chain": documents.handle,
        "format": lambda value: value == PINNED,
        "height": documents.integer,
        "validators": votes.VALIDATORS,
    }
)
_NUMBER = re.compile(r"[1-9][0-9]{0,5}")
_SPACE = re.compile(r"[ \t]+")


class TrustError(ValueError):
    """What was given to trust can't be used; says which line and why."""


class Group(NamedTuple):
    """Has witnessed a checkpoint where at least `threshold` of its members have."""

    threshold: int
    members: tuple[str, ...]


class Policy(NamedTuple):
    """`quorum` None asks for no cosignature. Groups stand after everything they name."""

    logs: tuple[VerifierKey, ...]
    witnesses: dict[str, VerifierKey]
    groups: dict[str, Group]
    quorum: str | None

    def satisfied(self, cosigners: frozenset[VerifierKey]) -> bool:
        """Whether these witnesses together are the quorum."""
        if self.quorum is None:
            return True
        witnessed = {name for name, key in self.witnesses.items() if key in cosigners}
        for name, group in self.groups.items():
            if sum(member in witnessed for member in group.members) >= group.threshold:
                witnessed.add(name)
        return self.quorum in witnessed


class Pinned(NamedTuple):
    """The validators that vote on blocks from a height on, known by other means than the chain: whoever
    pins them need not believe those who voted before."""

    chain: bytes
    height: int
    validators: tuple[Validator, ...]

    def encode(self) -> bytes:
        """The bytes of validators.json, canonical JSON."""
        return canonical.encode(
            {
                "chain": self.chain.hex(),
                "format": PINNED,
                "height": self.height,
                "validators": votes.write_validators(self.validators),
            }
        )


class Trust(NamedTuple):
    """All that verification starts from. `unused`: names of files in the folder that nothing here reads."""

    policy: Policy
    genesis: Genesis | None
    unused: tuple[str, ...] = ()
    validators: Pinned | None = None
    authorities: bytes = b""
    """PEM, as it came; whoever checks time stamps reads it."""
    handovers: tuple[bytes, ...] = ()
    """Blocks that changed the key of blocks, known by other means than the evidence."""


def load(path: Path) -> Trust:
    """Read a policy file or a trust folder.

    Raises:
        TrustError: it is not one.
        OSError: it cannot be read.
    """
    if not path.is_dir():
        return Trust(parse_policy(_read(path, MAX_POLICY)), None)
    names = sorted(file.name for file in path.iterdir())
    if POLICY not in names:
        raise TrustError(f"{path} has no file named {POLICY}")
    policy = parse_policy(_read(path / POLICY, MAX_POLICY))
    given = parse_genesis(_read(path / GENESIS, genesis.MAX_GENESIS)) if GENESIS in names else None
    pinned = parse_pinned(_read(path / VALIDATORS, genesis.MAX_GENESIS)) if VALIDATORS in names else None
    if pinned is not None and (given is None or not given.voted or pinned.chain != given.chain):
        raise TrustError(f"{VALIDATORS} is not of the chain of {GENESIS}")
    authorities = _read(path / AUTHORITIES, MAX_POLICY) if AUTHORITIES in names else b""
    handed = parse_handovers(_read(path / HANDOVERS, handovers.MAX_FILE)) if HANDOVERS in names else ()
    if handed and given is None:
        raise TrustError(f"{HANDOVERS} without {GENESIS}")
    read = (POLICY, GENESIS, VALIDATORS, AUTHORITIES, HANDOVERS)
    unused = tuple(name for name in names if name not in read)
    return Trust(policy, given, unused, pinned, authorities, handed)


def parse_policy(data: bytes) -> Policy:
    """Read a tlog-policy file.

    Raises:
        TrustError: a line that is not one of the four, defines twice or uses what is not defined.
    """
    parser = _Parser()
    for number, items in _lines(data):
        try:
            parser.line(items)
        except TrustError as error:
            raise TrustError(f"line {number}: {error}") from None
    if not parser.has_quorum:
        raise TrustError("there is no quorum line")
    return Policy(tuple(parser.logs), parser.witnesses, parser.groups, parser.quorum)


def parse_genesis(data: bytes) -> Genesis:
    """Read genesis.json (docs/formats/block.md).

    Raises:
        TrustError: any other bytes than the ledger wrote.
    """
    try:
        return genesis.parse(data)
    except Malformed as error:
        raise TrustError(f"{GENESIS}: {error}") from None


def parse_handovers(data: bytes) -> tuple[bytes, ...]:
    """Read handovers.json (docs/formats/block.md).

    Raises:
        TrustError: any other bytes than the ledger wrote.
    """
    try:
        return handovers.parse(data)
    except Malformed as error:
        raise TrustError(f"{HANDOVERS}: {error}") from None


def parse_pinned(data: bytes) -> Pinned:
    """Read validators.json (docs/formats/votes.md).

    Raises:
        TrustError: any other bytes than `Pinned.encode` gives.
    """
    try:
        value = canonical.decode(data, limit=genesis.MAX_GENESIS)
        if not _PINNED(value):
            raise Malformed("a field is missing, unknown or not what it should be")
        validators = votes.read_validators(value["validators"])
    except Malformed as error:
        raise TrustError(f"{VALIDATORS}: {error}") from None
    return Pinned(bytes.fromhex(value["chain"]), value["height"], validators)


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise TrustError(f"{path.name} is larger than {limit} bytes")
    return data


def _lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """The items of each line that has any, with the line's number from 1."""
    if len(data) > MAX_POLICY:
        raise TrustError(f"larger than {MAX_POLICY} bytes")
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    if len(lines) > MAX_LINES:
        raise TrustError(f"more than {MAX_LINES} lines")
    for number, line in enumerate(lines, 1):
        if any((c < " " and c != "\t") or c == "\x7f" for c in line):
            raise TrustError(f"line {number}: a control character (lines end with LF alone)")
        line = line.strip(" \t")
        if line and not line.startswith("#"):
            yield number, _SPACE.split(line)


class _Parser:
    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[str, VerifierKey] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self.has_quorum = False
        self._members: set[str] = set()

    def line(self, items: list[str]) -> None:
        match items:
            case ["log", vkey] | ["log", vkey, _]:
                key = _key(vkey, (note.ED25519, note.COSIGNATURE, note.ML_DSA_44))
                if any(known.public == key.public for known in self.logs):
                    raise TrustError("this log's key is there already")
                self.logs.append(key)
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                key = _key(vkey, (note.COSIGNATURE, note.ML_DSA_44))
                if any(known.public == key.public for known in self.witnesses.values()):
                    raise TrustError("this witness's key is there already")
                self.witnesses[self._new(name)] = key
            case ["group", name, threshold, *members] if members:
                for member in members:
                    self._use(member)
                self.groups[self._new(name)] = Group(_threshold(threshold, len(members)), tuple(members))
            case ["quorum", name]:
                if self.has_quorum:
                    raise TrustError("a second quorum line")
                if name != "none" and not self._known(name):
                    raise TrustError(f"{_shown(name)} is not defined above")
                self.has_quorum, self.quorum = True, None if name == "none" else name
            case _:
                raise TrustError("not a log, witness, group or quorum line")

    def _known(self, name: str) -> bool:
        return name in self.witnesses or name in self.groups

    def _new(self, name: str) -> str:
        if name == "none" or self._known(name):
            raise TrustError(f"the name {_shown(name)} is taken")
        return name

    def _use(self, member: str) -> None:
        """Each name is a member once in all, so that a witness counts in one way only."""
        if not self._known(member):
            raise TrustError(f"{_shown(member)} is not defined above")
        if member in self._members:
            raise TrustError(f"{_shown(member)} is a member already")
        self._members.add(member)


def _key(vkey: str, types: tuple[int, ...]) -> VerifierKey:
    try:
        key = note.parse_key(vkey)
    except NoteError as error:
        raise TrustError(str(error)) from None
    if key.algorithm not in types:
        raise TrustError("a key of a type that is not for this purpose")
    return key


def _threshold(text: str, members: int) -> int:
    if text in ("any", "all"):
        return 1 if text == "any" else members
    if not _NUMBER.fullmatch(text) or int(text) > members:
        raise TrustError(f"a threshold is all, any, or a number from 1 to {members}")
    return int(text)


def _shown(name: str) -> str:
    return ascii(name)
