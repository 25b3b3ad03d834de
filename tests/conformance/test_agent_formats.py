"""What docs/formats says about the journal, receipts and enrolment, read from the pages themselves."""

from __future__ import annotations

import base64
import hashlib
import json
from base64 import b64decode

import pytest
from format_pages import examples, text

from securepc.agent import queue, receipt
from securepc.agent.journal import chainkey, frames
from securepc.agent.trouble import Trouble
from securepc.ledger import checkpoint, merkle, note, proof
from securepc.verify import ed25519
from securepc.wire import batch as sealing
from securepc.wire import chain, enrolment, keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed import canonical, documents, leaf

LOG = bytes.fromhex("00112233445566778899aabbccddeeff")
DEVICE = bytes.fromhex("ffeeddccbbaa99887766554433221100")


def test_token() -> None:
    page = examples("enrolment")
    token = enrolment.decode(page["token"])
    assert enrolment.encode(token) == page["token"]
    identity = bytes.fromhex(page["identity"])
    assert token.identity == hashlib.sha256(b"securepc/identity" + identity).digest()
    inside = page["token"].removeprefix("spc1_")
    data = base64.urlsafe_b64decode(inside + "=" * (-len(inside) % 4))
    assert data.decode() == page["token.json"]
    assert canonical.decode(data, limit=1000)["log"] == LOG.hex()


def test_enrolment() -> None:
    page = examples("enrolment")
    asked = json.loads(page["request"])
    key = keys.SigningKey(bytes.fromhex(page["device key"]))
    assert b64decode(asked["key"]) == key.public
    message = b"securepc/register-proof/v1\n" + LOG + DEVICE + key.public
    assert keys.verify(key.public, message, b64decode(asked["proof"]))
    mine = keys.BoxKey(bytes.fromhex(page["agreement private"]))
    assert b64decode(asked["agreement"]) == mine.public
    body = leaf.body_of(
        b64decode(page["frame"]), "enrolment", bytes.fromhex(page["identity"]), ed25519.verify
    )
    assert body.decode() == page["enrolment"]
    answer = documents.decode("enrolment", body)
    assert answer["register"] == page["register"]
    registration = b64decode(page["register"])
    assert headers.message_hash(registration).hex() == page["registration hash"]
    assert documents.decode("register", leaf.split(registration).body)["key"] == asked["key"]
    assert note.parse_key(answer["log_key"]).name == checkpoint.origin_of(LOG)
    shared = mine.agree(b64decode(answer["agreement"]))
    assert keys.first_mac_key(shared, LOG, DEVICE).hex() == page["K0"]
    assert keys.hkdf(shared, b"securepc/journal/k0" + LOG + DEVICE).hex() == page["K0"]


def test_chain() -> None:
    page = examples("journal")
    assert page["K0"] == examples("enrolment")["K0"]
    key = chain.next_key(bytes.fromhex(page["K0"]))
    assert key.hex() == page["K1"]
    assert chain.mac_key(key).hex() == page["mac key"]
    epoch = chain.Epoch(key, 1, 1, chain.NO_SEAL)
    assert epoch.last.hex() == page["opening"]
    assert epoch.seal().hex() == page["empty seal"]
    entries = [page[f"entry {i}"].encode() for i in (1, 2)]
    assert [epoch.extend(entry).hex() for entry in entries] == [page["tag 1"], page["tag 2"]]
    assert epoch.seal().hex() == page["seal"]
    assert chain.next_key(key).hex() == page["K2"]
    verifier = chain.Verifier(bytes.fromhex(page["K0"]))
    key, before = verifier.take(1, bytes.fromhex(page["seal"]))
    assert chain.judge(chain.Epoch(key, 1, 1, before), entries, verifier.seal) == (True, True)


def test_open_file() -> None:
    page = examples("journal")
    data = bytes.fromhex(page["open"])
    assert f"{frames.HEADER_SIZE} bytes\n" in text("journal")
    assert f"{frames.FRAME_SIZE} bytes and the entry" in text("journal")
    found = frames.scan(data, bytes.fromhex(page["K1"]), 1, 1, chain.NO_SEAL)
    assert found.header == frames.Header(
        LOG,
        DEVICE,
        bytes.fromhex("0123456789abcdef" * 2),
        1,
        1,
        1795401252000000,
        8122333333,
    )
    assert [e.decode() for e in found.entries] == [page["entry 1"], page["entry 2"]]
    assert [t.hex() for t in found.tags] == [page["tag 1"], page["tag 2"]]
    assert (found.torn, found.altered) == (0, "")


def test_chain_key_slot() -> None:
    page = examples("journal")
    slot = bytes.fromhex(page["slot"])
    state = chainkey.unpack(slot.ljust(chainkey.SLOT, b"\0"))
    assert state is not None
    assert chainkey.pack(state) == slot
    assert (state.epoch, state.first, state.clean) == (2, 3, False)
    assert state.key.hex() == page["K2"]
    assert state.seal.hex() == page["seal"]
    assert state.previous.hex() == examples("batch")["message hash"]


def example_batch() -> sealing.SealedBatch:
    page = examples("batch")
    return sealing.SealedBatch(b64decode(page["leaf"]), b64decode(page["payload"]), bytes(range(80)))


def test_queue_file() -> None:
    data = queue.pack(example_batch())
    assert hashlib.sha256(data).hexdigest() == examples("journal")["queue.sha256"]
    assert f"has {len(data)} bytes" in text("journal")
    assert queue.unpack(data) == example_batch()
    for at in range(0, len(data), 7):
        with pytest.raises(queue.Damaged):
            queue.unpack(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(queue.Damaged):
            queue.unpack(data[:at])


def test_receipt() -> None:
    page = examples("receipt")
    log_key = note.parse_key(page["log key"])
    last = checkpoint.parse(page["last"] + "\n")
    answer = json.loads(page["answer"])
    verified = receipt.verify(
        answer, [(7, example_batch().leaf)], last, [log_key], bytes.fromhex(log_key.name[9:])
    )
    (kept,) = verified.receipts
    assert kept.proof.encode().decode() == page["proof"] + "\n"
    parsed = proof.parse((page["proof"] + "\n").encode())
    head = checkpoint.verify(parsed.checkpoint, log_key, ed25519.verify)
    hashed = merkle.leaf_hash(example_batch().leaf)
    merkle.verify_inclusion(parsed.leaf_index, head.size, hashed, parsed.hashes, head.root)
    identity = bytes.fromhex(examples("enrolment")["identity"])
    body = leaf.body_of(b64decode(answer["watermark"]), "watermark", identity, ed25519.verify)
    assert body.decode() == page["watermark"]
    with pytest.raises(Trouble):
        receipt.verify(
            answer, [(7, example_batch().leaf[:-1] + b"x")], last, [log_key], bytes.fromhex(log_key.name[9:])
        )
