"""Who may write what in a log, and when: registrars and devices, each with the leaves that say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from securepc.ledger import checkpoint, merkle
from securepc.verify.verdict import NotValid
from securepc.wire.signed import batch as headers
from securepc.wire.signed import canonical, documents
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode
from securepc.wire.signed.evidence import Device
from securepc.wire.signed.leaf import CheckSignature, Leaf
from securepc.wire.signed.proofs import MAX_RECORD, Placed, Proven

NOBODY = bytes(16)
"""Stands for the device in the proof of a registrar's key."""

_RECORD = documents.record(
    {
        "type": lambda value: value == "device",
        "device": documents.handle,
        "epoch": documents.integer,
        "forked": documents.optional(documents.integer),
        "head": documents.HASH,
        "key": documents.KEY,
        "registered": documents.integer,
        "revoked": documents.optional(documents.integer),
        "sequence": documents.integer,
    }
)


class Tree(NamedTuple):
    """The log under the checkpoint."""

    log: bytes
    size: int
    root: bytes

    def require(self, leaf: Proven, where: str) -> None:
        """Refuse a leaf that does not stand at its index.

        Raises:
            NotValid: beyond the checkpoint, or the proof leads elsewhere.
        """
        if leaf.leaf_index >= self.size:
            raise NotValid("beyond", where, index=leaf.leaf_index, size=self.size)
        require_inclusion("not-in-log", leaf.leaf_index, self.size, leaf.leaf, leaf.path, self.root, where)


def require_inclusion(
    code: str, index: int, size: int, data: bytes, path: tuple[bytes, ...], root: bytes, where: str
) -> None:
    """Refuse data whose inclusion path does not lead to the root."""
    try:
        merkle.verify_inclusion(index, size, merkle.leaf_hash(data), path, root)
    except merkle.ProofError:
        raise NotValid(code, where, index=index) from None


def read_record(placed: Placed, fields: documents.Check, where: str) -> dict[str, Any]:
    """A record's fields, from its exact bytes."""
    try:
        value = canonical.decode(placed.record, limit=MAX_RECORD * 4)
    except Malformed as error:
        raise NotValid("malformed", where, detail=str(error)) from None
    if not fields(value):
        raise NotValid("malformed", where, detail="not a record of this kind")
    return dict(value)


class Signed(NamedTuple):
    """A document that is a leaf of the log, its signature still to be checked."""

    place: Proven
    parts: Leaf
    fields: dict[str, Any]
    where: str

    @property
    def leaf_index(self) -> int:
        """Where it stands in the log."""
        return self.place.leaf_index

    def require_signature(self, key: bytes, check: CheckSignature) -> None:
        """Refuse it unless this key signed it."""
        if not check(key, self.parts.message, self.parts.signature):
            raise NotValid("signature", self.where, kind=self.parts.kind, index=self.leaf_index)

    def require_proof(self, log: bytes, device: bytes, check: CheckSignature) -> None:
        """Refuse it unless the holder of its new key asked for it."""
        key = b64decode(self.fields["key"], 32)
        message = documents.proof_message(self.parts.kind, log, device, key)
        if not check(key, message, b64decode(self.fields["proof"], 64)):
            raise NotValid("key-proof", self.where, kind=self.parts.kind, index=self.leaf_index)


def read_signed(place: Proven, kinds: tuple[str, ...], tree: Tree, where: str) -> Signed:
    """A document in a leaf of this log, of one of these kinds, included in the tree."""
    where = f"{where} (leaf {place.leaf_index})"
    try:
        parts = leaves.split(place.leaf)
        if parts.kind not in kinds or parts.version != 1:
            raise NotValid("kind", where, expected="/".join(kinds), found=f"{parts.kind}/v{parts.version}")
        fields = documents.decode(parts.kind, parts.body)
    except Malformed as error:
        raise NotValid("malformed", where, detail=str(error)) from None
    if fields["log"] != tree.log.hex():
        raise NotValid("leaf-of-other-log", where, kind=parts.kind, found=fields["log"])
    tree.require(place, where)
    return Signed(place, parts, fields, where)


class Registrars:
    """The keys that signed for the log itself, one after the other."""

    def __init__(self, places: tuple[Proven, ...], tree: Tree, check: CheckSignature) -> None:
        where = "evidence.json: registrars"
        self._since: list[tuple[int, bytes]] = []
        self.tree = ""
        """The name of the tree that grew after a restore; empty where the log was never restored."""
        self.follows: dict[str, object] | None = None
        if not places or places[0].leaf_index != 0:
            raise NotValid("no-first-leaf", where)
        for place in places:
            leaf = read_signed(place, ("registrar", "log") if self._since else ("log",), tree, where)
            if not self._since:
                key = b64decode(leaf.fields["registrar"], 32)
                leaf.require_signature(key, check)
            elif leaf.leaf_index <= self._since[-1][0]:
                raise NotValid("order", leaf.where)
            elif leaf.parts.kind == "log":
                key = self.at(leaf.leaf_index)
                self._restored(leaf, key, tree, check)
            else:
                key = b64decode(leaf.fields["key"], 32)
                leaf.require_signature(self.at(leaf.leaf_index), check)
                leaf.require_proof(tree.log, NOBODY, check)
            self._since.append((leaf.leaf_index, key))

    def _restored(self, leaf: Signed, key: bytes, tree: Tree, check: CheckSignature) -> None:
        leaf.require_signature(key, check)
        follows = leaf.fields["follows"]
        if follows is None or follows["log"] != tree.log.hex():
            raise NotValid("malformed", leaf.where, detail="it does not say what it follows")
        self.tree = checkpoint.tree_name(headers.message_hash(leaf.place.leaf))
        self.follows = {"size": follows["size"], "kept": leaf.leaf_index}

    def at(self, index: int) -> bytes:
        """The key that had to sign leaf `index`."""
        for since, key in reversed(self._since):
            if since < index:
                return key
        raise NotValid("no-first-leaf", "evidence.json: registrars")


class Member:
    """A device as the log knows it: its keys and since when, and whether it was revoked or forked."""

    def __init__(
        self, device: Device, registry: bytes, tree: Tree, registrars: Registrars, check: CheckSignature
    ) -> None:
        where = "evidence.json: devices"
        record = read_record(device.record, _RECORD, f"{where}: record")
        self.handle = bytes.fromhex(record["device"])
        self.where = f"{where}: {self.handle.hex()}"
        placed = device.record
        require_inclusion(
            "record-not-in-registry",
            placed.rank,
            placed.size,
            placed.record,
            placed.path,
            registry,
            self.where,
        )
        self.epoch: int = record["epoch"]
        self.sequence: int = record["sequence"]
        self.revoked: int | None = None
        self.forked: int | None = None
        self._keys: list[tuple[int, bytes]] = []
        steps: dict[str, Callable[[Signed], None]] = {
            "rotate": self._rotate,
            "revoke": self._revoke,
            "fork": self._fork,
        }
        self._tree, self._registrars, self._check = tree, registrars, check
        if not device.leaves:
            raise NotValid("unregistered", self.where, device=self.handle.hex())
        self._register(read_signed(device.leaves[0], ("register",), tree, self.where))
        for place in device.leaves[1:]:
            leaf = read_signed(place, tuple(steps), tree, self.where)
            self._require_own(leaf)
            steps[leaf.parts.kind](leaf)
        expected = (record["registered"], record["revoked"], record["forked"], record["key"])
        found = (self._keys[0][0], self.revoked, self.forked, documents.b64encode(self._keys[-1][1]))
        if expected != found:
            raise NotValid("record-differs", self.where, device=self.handle.hex())

    def key_at(self, index: int) -> bytes:
        """The key that the device had to sign leaf `index` with.

        Raises:
            NotValid: at that place it was not registered yet, or not any more.
        """
        if self.revoked is not None and self.revoked < index:
            raise NotValid("revoked", self.where, device=self.handle.hex(), revoked=self.revoked, index=index)
        for since, key in reversed(self._keys):
            if since < index:
                return key
        raise NotValid("not-yet", self.where, device=self.handle.hex(), index=index)

    def _require_own(self, leaf: Signed) -> None:
        if leaf.fields["device"] != self.handle.hex():
            raise NotValid(
                "leaf-of-other-device", leaf.where, kind=leaf.parts.kind, found=leaf.fields["device"]
            )

    def _register(self, leaf: Signed) -> None:
        self._require_own(leaf)
        leaf.require_signature(self._registrars.at(leaf.leaf_index), self._check)
        leaf.require_proof(self._tree.log, self.handle, self._check)
        self.registration = headers.message_hash(leaf.place.leaf)
        self._keys.append((leaf.leaf_index, b64decode(leaf.fields["key"], 32)))

    def _rotate(self, leaf: Signed) -> None:
        leaf.require_signature(self.key_at(leaf.leaf_index), self._check)
        leaf.require_proof(self._tree.log, self.handle, self._check)
        self._keys.append((leaf.leaf_index, b64decode(leaf.fields["key"], 32)))

    def _revoke(self, leaf: Signed) -> None:
        leaf.require_signature(self._registrars.at(leaf.leaf_index), self._check)
        if self.revoked is not None:
            raise NotValid("twice", leaf.where, kind="revoke")
        self.revoked = leaf.leaf_index

    def _fork(self, leaf: Signed) -> None:
        leaf.require_signature(self._registrars.at(leaf.leaf_index), self._check)
        if self.forked is not None:
            raise NotValid("twice", leaf.where, kind="fork")
        self.forked = leaf.leaf_index
