"""A PC in a hundred lines, from docs/architecture.md alone: what an agent is to a manager."""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
import time
from typing import Any

import httpx

from securepc.ledger import checkpoint, merkle, note
from securepc.wire import batch, chain, enrolment, keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block, documents, leaf
from securepc.wire.signed.documents import b64decode, b64encode


def now() -> int:
    return time.time_ns() // 1_000


class Device:
    """One device with its own connection. `refused` methods give the whole response, others its content."""

    def __init__(self, token: str, *, address: str = "", name: str = "テスト端末") -> None:
        self.token = enrolment.decode(token)
        self.log = self.token.log
        self.handle = secrets.token_bytes(16)
        self.key = keys.SigningKey.generate()
        self.agreement = keys.BoxKey.generate()
        self.boot = secrets.token_bytes(16)
        self.name = name
        self.http = httpx.Client(base_url=address or self.token.address, timeout=60)
        self.nonce = b""
        self.counter = 0
        self.epoch = 0
        self.sequence = 0
        self.size = 0
        self.root = merkle.EMPTY
        self.policy: bytes | None = None

    # -- enrolment

    def enrol_body(self) -> dict[str, Any]:
        message = documents.proof_message("register", self.log, self.handle, self.key.public)
        return {
            "secret": b64encode(self.token.secret),
            "device": self.handle.hex(),
            "key": b64encode(self.key.public),
            "proof": b64encode(self.key.sign(message)),
            "agreement": b64encode(self.agreement.public),
            "info": {"hostname": self.name, "os": "Linux", "version": "0.1.0", "user": "架空 太郎"},
        }

    def ask(self) -> httpx.Response:
        return self.http.post("/agent/v1/enrol", json=self.enrol_body())

    def enrol(self) -> dict[str, Any]:
        answer = self.ask()
        assert answer.status_code == 201, answer.text
        return self.admit(answer.json())

    def admit(self, answer: dict[str, Any]) -> dict[str, Any]:
        self.identity = b64decode(answer["identity"], 32)
        assert enrolment.fingerprint(self.identity) == self.token.identity
        body = leaf.body_of(b64decode(answer["frame"]), "enrolment", self.identity, keys.verify)
        self.enrolment = documents.decode("enrolment", body)
        assert self.enrolment["device"] == self.handle.hex()
        self.intake = b64decode(self.enrolment["intake"])
        self.log_key = note.parse_key(self.enrolment["log_key"])
        shared = self.agreement.agree(b64decode(self.enrolment["agreement"]))
        self.mac = keys.first_mac_key(shared, self.log, self.handle)
        self.seal = chain.NO_SEAL
        self.previous = headers.message_hash(b64decode(self.enrolment["register"]))
        self.policy = b64decode(answer["policy"]) if answer["policy"] else None
        return self.enrolment

    # -- requests

    def session(self) -> dict[str, Any]:
        answer = self.http.post("/agent/v1/session", json={"device": self.handle.hex()})
        assert answer.status_code == 200, answer.text
        frame = b64decode(answer.json()["frame"])
        body = leaf.body_of(frame, "session", self.identity, keys.verify)
        session = documents.decode("session", body)
        assert session["device"] == self.handle.hex()
        self.nonce, self.counter = bytes.fromhex(session["nonce"]), 0
        return session

    def headers(
        self, method: str, target: str, body: bytes, key: keys.SigningKey | None = None
    ) -> dict[str, str]:
        if not self.nonce:
            self.session()
        self.counter += 1
        digest = hashlib.sha256(body).hexdigest()
        lines = ["securepc/request/v1", method, target, digest, self.nonce.hex(), str(self.counter)]
        message = "".join(line + "\n" for line in lines).encode()
        signature = base64.b64encode((key or self.key).sign(message)).decode()
        value = f"SecurePC-Device {self.handle.hex()} {self.nonce.hex()} {self.counter} {signature}"
        return {"Authorization": value}

    def call(self, method: str, target: str, body: bytes = b"", **more: Any) -> httpx.Response:
        target = "/agent/v1/" + target
        return self.http.request(
            method, target, content=body, headers=self.headers(method, target, body), **more
        )

    def json(self, target: str, value: Any) -> httpx.Response:
        import json

        return self.call("POST", target, json.dumps(value).encode())

    # -- batches

    def seal_batch(
        self,
        entries: list[bytes],
        *,
        at: int | None = None,
        intake: bytes | None = None,
        right_seal: bool = True,
    ) -> batch.SealedBatch:
        self.mac = chain.next_key(self.mac)
        epoch = chain.Epoch(self.mac, self.epoch + 1, self.sequence + 1, self.seal)
        for entry in entries:
            epoch.extend(entry)
        self.seal = epoch.seal() if right_seal else secrets.token_bytes(32)
        moment = now() if at is None else at
        opening = batch.Opening(
            self.log, self.handle, self.boot, self.epoch + 1, self.sequence + 1, moment, moment, self.previous
        )
        sealed = batch.seal(
            opening,
            entries,
            sealed_at=moment,
            sealed_up=moment,
            mac_seal=self.seal,
            key=self.key,
            intake=intake or self.intake,
            root_of=merkle.root,
        )
        self.epoch += 1
        self.sequence += len(entries)
        self.previous = headers.message_hash(sealed.leaf)
        return sealed

    def upload_body(self, sealed: list[batch.SealedBatch], log: bytes | None = None) -> bytes:
        items = [block.Item(one.leaf, one.ciphertext) for one in sealed]
        data = block.encode_transaction(block.Transaction(log or self.log, items))
        return struct.pack(">I", len(data)) + data + b"".join(one.sealed_key for one in sealed)

    def try_send(self, *sealed: batch.SealedBatch) -> httpx.Response:
        return self.call("POST", f"batches?size={self.size}", self.upload_body(list(sealed)))

    def send(self, *sealed: batch.SealedBatch) -> list[int]:
        """Upload and check the receipt; gives the leaves' indexes."""
        answer = self.try_send(*sealed)
        assert answer.status_code == 200, answer.text
        return self.check_receipt(answer.json(), list(sealed))

    def check_receipt(self, receipt: dict[str, Any], sealed: list[batch.SealedBatch]) -> list[int]:
        found = checkpoint.verify(receipt["checkpoint"].encode(), self.log_key, keys.verify)
        steps = [b64decode(step) for step in receipt["consistency"]]
        merkle.verify_consistency(self.size, found.size, self.root, found.root, steps)
        for one, said in zip(sealed, receipt["batches"], strict=True):
            proof = [b64decode(step) for step in said["proof"]]
            merkle.verify_inclusion(said["index"], found.size, merkle.leaf_hash(one.leaf), proof, found.root)
            assert said["epoch"] == headers.of_leaf(one.leaf).epoch
        self.size, self.root = found.size, found.root
        return [said["index"] for said in receipt["batches"]]

    def heartbeat(self, *, at: int | None = None, **status: Any) -> dict[str, Any]:
        answer = self.json(
            "heartbeat",
            {
                "boot": self.boot.hex(),
                "epoch": self.epoch,
                "sequence": self.sequence,
                "head": b64encode(self.previous),
                "at": now() if at is None else at,
                "up": now(),
                "status": status,
            },
        )
        assert answer.status_code == 200, answer.text
        body = leaf.body_of(b64decode(answer.json()["frame"]), "heartbeat", self.identity, keys.verify)
        return documents.decode("heartbeat", body)

    def announce(self, lines: list[bytes]) -> httpx.Response:
        value = {
            "boot": self.boot.hex(),
            "epoch": self.epoch + 1,
            "first": self.sequence + 1,
            "lines": [line.decode() for line in lines],
        }
        return self.json("provisional", value)
