"""A small world for tests of the ledger: agencies, devices that seal batches. All fictional."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from securepc.ledger import genesis as geneses
from securepc.ledger import merkle
from securepc.ledger.keys import KeyStore, LogKeys, create_keys
from securepc.ledger.log import LogReader
from securepc.ledger.store import Store, create_store, open_store
from securepc.wire import batch as sealing
from securepc.wire.keys import BoxKey, SigningKey
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block, documents, leaf
from securepc.wire.signed.block import Item, Transaction
from securepc.wire.signed.documents import b64encode

START = 1_794_000_000_000_000  # 2026-11-06, microseconds


class MemoryKeys:
    """Keys of logs and blocks that live in memory only."""

    def __init__(self) -> None:
        self._block = SigningKey.generate()
        self.coming: SigningKey | None = None
        self._logs: dict[bytes, LogKeys] = {}

    def block_key(self) -> SigningKey:
        return self._block

    def next_block_key(self) -> SigningKey | None:
        return self.coming

    def promote(self) -> None:
        assert self.coming is not None
        self._block, self.coming = self.coming, None

    def log_key(self, log: bytes) -> SigningKey:
        return self._logs[log].checkpoint

    def create_log(self, log: bytes) -> LogKeys:
        made = LogKeys(*(SigningKey.generate() for _ in range(3)), BoxKey.generate())
        return self._logs.setdefault(log, made)


class Device:
    """A device that remembers its chain of batches."""

    def __init__(self, agency: Agency) -> None:
        self.agency = agency
        self.handle = secrets.token_bytes(16)
        self.key = SigningKey.generate()
        self.epoch, self.sequence, self.head = 0, 0, bytes(32)
        self.sealed: list[sealing.SealedBatch] = []

    def registration(self) -> bytes:
        made = self.agency.key_document("register", self.handle, self.key)
        self.head = headers.message_hash(made)
        return made

    def seal(self, entries: int = 3, *, advance: bool = True, text: str = "見積") -> Item:
        opening = sealing.Opening(
            self.agency.log,
            self.handle,
            bytes(16),
            self.epoch + 1,
            self.sequence + 1,
            START,
            1,
            self.head,
        )
        lines = [
            f'{{"kind":"file.create","n":{self.sequence + i},"t":"{text}"}}'.encode() for i in range(entries)
        ]
        sealed = sealing.seal(
            opening,
            lines,
            sealed_at=START,
            sealed_up=2,
            mac_seal=bytes(32),
            key=self.key,
            intake=self.agency.keys.intake.public,
            root_of=merkle.root,
        )
        if advance:
            self.epoch += 1
            self.sequence += entries
            self.head = headers.message_hash(sealed.leaf)
            self.sealed.append(sealed)
        return Item(sealed.leaf, sealed.ciphertext)


class Agency:
    """A log with its keys and documents."""

    def __init__(self, store: KeyStore | MemoryKeys) -> None:
        self.log = secrets.token_bytes(16)
        self.keys = store.create_log(self.log)
        self.at = START

    def document(self, kind: str, *, signer: SigningKey | None = None, **fields: object) -> bytes:
        self.at += 1
        body = documents.encode(kind, {"log": self.log.hex(), "at": self.at, **fields})
        return leaf.frame(kind, body, (signer or self.keys.registrar).sign)

    def genesis(self) -> bytes:
        return self.opening(None)

    def opening(
        self, follows: dict[str, object] | None, *, signer: SigningKey | None = None, **changes: str
    ) -> bytes:
        """A `log` leaf: the first one, or one that opens another tree after a restore."""
        keys = self.keys
        own = {"registrar": b64encode(keys.registrar.public), "intake": b64encode(keys.intake.public)}
        return self.document("log", signer=signer, **{**own, **changes}, follows=follows)

    def key_document(
        self, kind: str, device: bytes, key: SigningKey, *, signer: SigningKey | None = None
    ) -> bytes:
        proof = key.sign(documents.proof_message(kind, self.log, device, key.public))
        fields = {"device": device.hex(), "key": b64encode(key.public), "proof": b64encode(proof)}
        return self.document(kind, signer=signer, **fields)

    def tx(self, *items: Item | bytes) -> bytes:
        parts = [item if isinstance(item, Item) else Item(item, b"") for item in items]
        return block.encode_transaction(Transaction(self.log, parts))


class World:
    """A new store and key store in a folder, and a reader."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "chain.sqlite"
        self.keys = create_keys(folder / "keys.sqlite", environ={})
        create_store(self.path, geneses.create(self.keys.block_key().public, START))
        self.store = open_store(self.path, floor=0)
        self.reader = LogReader(self.path)

    def reopen(self) -> Store:
        self.store.close()
        self.store = open_store(self.path, floor=0)
        return self.store

    def close(self) -> None:
        self.store.close()
        self.reader.close()
        self.keys.close()


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
