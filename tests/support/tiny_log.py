"""A whole ledger in memory, made of the pure functions alone: what tests of evidence start from.

Nothing enforces a rule here, so that tests can build what the real ledger would have refused.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import merkle, note
from securepc.ledger.note import VerifierKey
from securepc.verify.check import check
from securepc.verify.trust import Trust, parse_genesis, parse_policy
from securepc.verify.verdict import Verdict
from securepc.wire.keys import SigningKey
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block as blocks
from securepc.wire.signed import canonical, documents, evidence, pack
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.documents import b64encode
from securepc.wire.signed.evidence import Batch, Device, Evidence, Range
from securepc.wire.signed.expiry import Expiry
from securepc.wire.signed.genesis import Genesis
from securepc.wire.signed.moves import Moves
from securepc.wire.signed.proofs import Placed, Proven

START = 1_795_401_253_000_000  # 2026-11-23, microseconds


def digest(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def signing_key(*name: object) -> SigningKey:
    return SigningKey(digest("key", *name))


def place(data: list[bytes], rank: int) -> Placed:
    """A record among sorted ones."""
    hashes = [merkle.leaf_hash(record) for record in data]
    return Placed(data[rank], rank, len(data), tuple(merkle.paths(hashes, [rank])[0]))


class Contents:
    """The three files of a pack, still apart, so that a test can change any of it."""

    def __init__(self, content: Evidence, checkpoint: bytes, batches: list[Batch]) -> None:
        self.content = content
        self.checkpoint = checkpoint
        self.batches = batches

    def zip(self) -> bytes:
        lines = [evidence.encode_batch(batch) for batch in self.batches]
        return pack.build(evidence.encode(self.content), self.checkpoint, lines)


class TinyLog:
    """One log, its devices, and two other logs beside it under the state root."""

    def __init__(self, name: str = "tiny") -> None:
        self.name = name
        self.log = digest("log", name)[:16]
        self.chain = digest("chain", name)[:16]
        self.block_key = signing_key(name, "block")
        self.log_key = signing_key(name, "log")
        self.registrar = signing_key(name, "registrar")
        self.tree = ""
        self.leaves: list[bytes] = []
        self.registrar_leaves = [0]
        self.device_leaves: dict[bytes, list[int]] = {}
        self.records: dict[bytes, dict[str, Any]] = {}
        self.keys: dict[bytes, SigningKey] = {}
        self.sealed: dict[int, tuple[bytes, list[bytes]]] = {}
        self.redact_leaves: list[int] = []
        self.months: list[dict[str, Any]] = []
        self.holds: list[dict[str, Any]] = []
        self.gone: dict[int, int] = {}
        self.moves: list[int] = []
        self.move: list[dict[str, Any]] = []
        self.clock = START
        fields = {"registrar": b64encode(self.registrar.public), "intake": b64encode(bytes(32))}
        self.document("log", {**fields, "follows": None}, self.registrar)

    # writing

    def add(self, leaf: bytes) -> int:
        self.leaves.append(leaf)
        self.clock += 1_000_000
        return len(self.leaves) - 1

    def document(self, kind: str, fields: dict[str, Any], key: SigningKey) -> int:
        body = documents.encode(kind, {"log": self.log.hex(), "at": self.clock, **fields})
        return self.add(leaves.frame(kind, body, key.sign))

    def restored(self, follows: object = None, signer: SigningKey | None = None) -> int:
        """The leaf with which a restored log goes on as another tree."""
        seen = {"log": self.log.hex(), "size": len(self.leaves) + 9, "root": b64encode(bytes(32))}
        fields = {"registrar": b64encode(self.registrar.public), "intake": b64encode(bytes(32))}
        index = self.document("log", {**fields, "follows": follows or seen}, signer or self.registrar)
        self.registrar_leaves.append(index)
        self.tree = checkpoints.tree_name(headers.message_hash(self.leaves[index]))
        return index

    def moved(self, to: bytes) -> None:
        """The two leaves with which the log goes from its chain to another."""
        self.document("leave", {"to": b64encode(to)}, self.registrar)
        chain, size = b64encode(self.chain * 2), len(self.leaves)
        fields = {"chain": chain, "size": size, "proof": b64encode(bytes(32))}
        self.moves += [size - 1, self.document("adopt", fields, self.registrar)]
        self.move = [{"away": False, "chain": chain, "leaf": size, "type": "move"}]
        self.chain = to[:16]

    def new_registrar(self) -> int:
        key = signing_key(self.name, "registrar", len(self.leaves))
        message = documents.proof_message("registrar", self.log, bytes(16), key.public)
        fields = {"key": b64encode(key.public), "intake": b64encode(bytes(32))}
        index = self.document("registrar", {**fields, "proof": b64encode(key.sign(message))}, self.registrar)
        self.registrar = key
        self.registrar_leaves.append(index)
        return index

    def _keyed(self, kind: str, device: bytes, key: SigningKey, signer: SigningKey) -> int:
        message = documents.proof_message(kind, self.log, device, key.public)
        fields = {"device": device.hex(), "key": b64encode(key.public)}
        return self.document(kind, {**fields, "proof": b64encode(key.sign(message))}, signer)

    def register(self, name: str, signer: SigningKey | None = None) -> bytes:
        device = digest("device", name)[:16]
        key = signing_key(self.name, name)
        index = self._keyed("register", device, key, signer or self.registrar)
        self.keys[device] = key
        self.device_leaves[device] = [index]
        self.records[device] = {
            "device": device.hex(),
            "epoch": 0,
            "forked": None,
            "head": b64encode(headers.message_hash(self.leaves[index])),
            "key": b64encode(key.public),
            "registered": index,
            "revoked": None,
            "sequence": 0,
            "type": "device",
        }
        return device

    def rotate(self, device: bytes, signer: SigningKey | None = None) -> int:
        key = signing_key(self.name, device, len(self.leaves))
        index = self._keyed("rotate", device, key, signer or self.keys[device])
        self.keys[device] = key
        self.device_leaves[device].append(index)
        self.records[device]["key"] = b64encode(key.public)
        return index

    def revoke(self, device: bytes) -> int:
        index = self.document("revoke", {"device": device.hex(), "reason": "紛失"}, self.registrar)
        self.device_leaves[device].append(index)
        self.records[device]["revoked"] = index
        return index

    def fork(self, device: bytes) -> int:
        leaf = b64encode(self.leaves[max(self.sealed)])
        index = self.document("fork", {"device": device.hex(), "leaf": leaf}, self.registrar)
        self.device_leaves[device].append(index)
        self.records[device]["forked"] = index
        return index

    def redact(self, leaf: int, sequence: int) -> int:
        fields = {"leaf": leaf, "sequence": sequence, "ground": "開示請求", "approver": "試験 花子"}
        self.redact_leaves.append(self.document("redact", fields, self.registrar))
        return self.redact_leaves[-1]

    def begin_month(self, month: str) -> None:
        """What comes from here on is of this month."""
        self.months.append({"month": month, "first": len(self.leaves), "expired": None, "type": "month"})

    def expire(self, month: str, signer: SigningKey | None = None) -> int:
        """Let a month expire; its batches are shown as gone from here on."""
        index = self.document("expire", {"month": month}, signer or self.registrar)
        number = [known["month"] for known in self.months].index(month)
        self.months[number]["expired"] = index
        stop = self.months[number + 1]["first"] if number + 1 < len(self.months) else index
        self.gone |= {leaf: index for leaf in self.sealed if self.months[number]["first"] <= leaf < stop}
        return index

    def hold(self, start: int, stop: int, device: bytes | None = None, released: int | None = None) -> str:
        """Keep leaves [start, stop); gives the hold's handle."""
        name = digest("hold", len(self.holds)).hex()[:32]
        place = {"from": start, "to": stop, "placed": len(self.leaves) - 1, "released": released}
        self.holds.append({**place, "hold": name, "device": device.hex() if device else None, "type": "hold"})
        self.holds.sort(key=lambda hold: str(hold["hold"]))
        return name

    def header(
        self, device: bytes, entries: list[bytes], secret: bytes, **changes: Any
    ) -> headers.BatchHeader:
        record = self.records[device]
        first = record["sequence"] + 1
        header = headers.BatchHeader(
            log=self.log,
            device=device,
            key_id=self.keys[device].id,
            boot=digest("boot", device)[:16],
            epoch=record["epoch"] + 1,
            first=first,
            last=first + len(entries) - 1,
            opened_at=self.clock,
            sealed_at=self.clock + 500_000,
            opened_up=1,
            sealed_up=2,
            seal=digest("seal", self.clock),
            root=merkle.root(headers.entry_leaves(secret, entries)),
            ciphertext_hash=digest("ciphertext", secret),
            ciphertext_size=100,
            key_hash=headers.key_hash(secret),
            previous=documents.b64decode(record["head"]),
        )
        return header._replace(**changes)

    def seal(
        self,
        device: bytes,
        entries: list[bytes],
        *,
        signer: SigningKey | None = None,
        kind: str = headers.KIND,
        **changes: Any,
    ) -> int:
        """Put a batch in the log; gives its index."""
        secret = digest("secret", device, len(self.leaves))
        header = self.header(device, entries, secret, **changes)
        leaf = leaves.frame(kind, headers.pack(header), (signer or self.keys[device]).sign)
        self.records[device] |= {
            "epoch": header.epoch,
            "sequence": header.last,
            "head": b64encode(headers.message_hash(leaf)),
        }
        index = self.add(leaf)
        self.sealed[index] = (secret, entries)
        return index

    def events(self, device: bytes, count: int) -> list[bytes]:
        """Entries that look like what an agent records."""
        first = self.records[device]["sequence"] + 1
        return [
            canonical.encode(
                {
                    "kind": "file.create",
                    "at": self.clock + n,
                    "up": n,
                    "boot": "0" * 32,
                    "user": "tanaka",
                    "data": {"path": f"/home/tanaka/見積 {first + n}.xlsx"},
                }
            )
            for n in range(count)
        ]

    # reading

    def proven(self, index: int, size: int | None = None) -> Proven:
        size = size or len(self.leaves)
        hashes = [merkle.leaf_hash(leaf) for leaf in self.leaves[:size]]
        return Proven(index, self.leaves[index], tuple(merkle.paths(hashes, [index])[0]))

    def root(self, size: int | None = None) -> bytes:
        return merkle.root([merkle.leaf_hash(leaf) for leaf in self.leaves[:size]])

    @property
    def origin(self) -> str:
        return checkpoints.origin_of(self.log, self.tree)

    @property
    def vkey(self) -> VerifierKey:
        return VerifierKey(self.origin, note.ED25519, self.log_key.public)

    def checkpoint(self, size: int | None = None) -> bytes:
        size = size or len(self.leaves)
        value = checkpoints.Checkpoint(self.origin, size, self.root(size))
        return checkpoints.sign(value, self.vkey, self.log_key.sign).encode()

    def registry(self) -> list[bytes]:
        values: list[dict[str, Any]] = [self.records[device] for device in sorted(self.records)]
        head = {"registrar": b64encode(self.registrar.public), "intake": b64encode(bytes(32)), "verdict": 0}
        values += [*self.holds, {**head, "type": "log"}, *self.months, *self.move]
        return [canonical.encode(value) for value in values]

    def log_records(self, **changes: Any) -> list[bytes]:
        own = {
            "log": self.log.hex(),
            "registry": b64encode(merkle.root([merkle.leaf_hash(r) for r in self.registry()])),
            "root": b64encode(self.root()),
            "size": len(self.leaves),
            **changes,
        }
        others = [{**own, "log": digest("other", n).hex()[:32], "size": n} for n in range(2)]
        return [canonical.encode(value) for value in sorted([own, *others], key=lambda v: str(v["log"]))]

    def block(self, records: list[bytes], key: SigningKey | None = None, **changes: Any) -> bytes:
        header = blocks.BlockHeader(
            chain=self.chain,
            height=7,
            time=self.clock,
            previous=digest("previous"),
            transactions=digest("transactions"),
            state=merkle.root([merkle.leaf_hash(record) for record in records]),
        )._replace(**changes)
        return leaves.frame(blocks.KIND, blocks.pack(header), (key or self.block_key).sign)

    def device(self, device: bytes) -> Device:
        rank = sorted(self.records).index(device)
        return Device(place(self.registry(), rank), tuple(map(self.proven, self.device_leaves[device])))

    def evidence(self, wanted: Mapping[int, Iterable[int] | None], claim: Range | None = None) -> Contents:
        """Evidence of some leaves' entries by their sequence numbers; None discloses a whole batch."""
        batches = []
        for index, sequences in sorted(wanted.items()):
            secret, entries = self.sealed[index]
            if index in self.gone:
                batches.append(evidence.gone(self.proven(index), self.gone[index]))
            elif sequences is None:
                batches.append(evidence.whole(self.proven(index), secret, entries))
            else:
                shown = evidence.part(self.proven(index), secret, entries, sequences, merkle.paths)
                batches.append(shown)
        used = {headers.of_leaf(self.leaves[index]).device for index in wanted}
        records = self.log_records()
        rank = next(
            i for i, r in enumerate(records) if canonical.decode(r, limit=1000)["log"] == self.log.hex()
        )
        content = Evidence(
            claim=claim,
            log=self.log,
            block=self.block(records),
            record=place(records, rank),
            registrars=tuple(map(self.proven, self.registrar_leaves)),
            devices=tuple(self.device(device) for device in sorted(used & self.records.keys())),
            redactions=tuple(map(self.proven, self.redact_leaves)),
            moves=self._moves(),
            expiry=self.expiry({self.gone[index] for index in wanted if index in self.gone}),
        )
        return Contents(content, self.checkpoint(), batches)

    def _moves(self) -> Moves | None:
        data = self.registry()
        shown = Moves(tuple(map(self.proven, self.moves)), place(data, len(data) - 1))
        return shown if self.moves else None

    def expiry(self, said: set[int]) -> Expiry | None:
        """The proof that months expired by these leaves."""
        if not said:
            return None
        data = self.registry()
        ranks = set(range(len(self.records) - 1, len(self.records) + len(self.holds) + 1))
        for rank, record in enumerate(data):
            value = canonical.decode(record, limit=1000)
            if value.get("expired") in said:
                ranks |= {rank, rank + 1}
        places = tuple(place(data, rank) for rank in sorted(ranks))
        return Expiry(tuple(map(self.proven, sorted(said))), places)

    def range(self, device: bytes, first: int, last: int) -> Contents:
        """Evidence that claims to have all of a device's entries `first`..`last`."""
        wanted: dict[int, Iterable[int] | None] = {}
        for index in self.sealed:
            header = headers.of_leaf(self.leaves[index])
            if header.device != device or header.last < first or header.first > last:
                continue
            inner = first <= header.first and header.last <= last
            sequences = range(max(first, header.first), min(last, header.last) + 1)
            wanted[index] = None if inner else sequences
        return self.evidence(wanted, Range(device, first, last))

    # trusting

    def policy(self, extra: str = "quorum none\n") -> bytes:
        return f"# 信頼するログ\nlog {self.vkey}\n{extra}".encode()

    def genesis(self) -> bytes:
        return Genesis(self.chain, self.block_key.public, START).encode()

    def trust(self, *, genesis: bool = True, extra: str = "quorum none\n") -> Trust:
        known: Genesis | None = parse_genesis(self.genesis()) if genesis else None
        return Trust(parse_policy(self.policy(extra)), known)

    def trust_folder(self, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        (folder / "policy").write_bytes(self.policy())
        (folder / "genesis.json").write_bytes(self.genesis())
        return folder

    def judge(self, data: bytes | Contents, trust: Trust | None = None, **options: Any) -> Verdict:
        """What the auditor's tool says; raises NotValid."""
        data = data if isinstance(data, bytes) else data.zip()
        return check(io.BytesIO(data), trust or self.trust(), **options)
