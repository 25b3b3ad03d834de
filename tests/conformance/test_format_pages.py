"""What docs/formats says about signed things, batches and evidence, read from the pages themselves."""

from __future__ import annotations

import hashlib
import io
import json
from base64 import b64decode
from itertools import accumulate

import pytest
from format_pages import examples, rows, text

from securepc.ledger import merkle
from securepc.verify import ed25519
from securepc.verify.check import check
from securepc.verify.trust import Trust, parse_genesis, parse_policy
from securepc.verify.verdict import NotValid
from securepc.wire import batch as sealing
from securepc.wire.keys import SigningKey
from securepc.wire.signed import batch as headers
from securepc.wire.signed import canonical, documents, leaf, pack
from securepc.wire.signed.canonical import Malformed

KEY = SigningKey(bytes(range(32)))


def test_canonical_json() -> None:
    page = examples("signed")
    data = page["canonical"].encode()
    assert canonical.encode(json.loads(data)) == data
    assert canonical.decode(data, limit=len(data)) == json.loads(data)
    assert hashlib.sha256(data).hexdigest() == page["canonical.sha256"]
    assert f"these {len(data)} bytes" in text("signed")


@pytest.mark.parametrize("line", examples("signed")["refused"].splitlines())
def test_json_that_is_refused(line: str) -> None:
    json.loads(line)
    with pytest.raises(Malformed):
        canonical.decode(line.encode(), limit=1_000)


def test_frame() -> None:
    page = examples("signed")
    assert KEY.public.hex() == page["public key"]
    body = page["body"].encode()
    found = bytes.fromhex(page["leaf"])
    assert leaf.frame("revoke", body, KEY.sign) == found
    assert leaf.body_of(found, "revoke", KEY.public, ed25519.verify) == body
    assert documents.decode("revoke", body)["reason"] == "紛失"
    assert merkle.leaf_hash(found).hex() == page["leaf hash"]


def test_every_kind_of_document_is_on_the_page() -> None:
    named = " ".join(row[0] for row in rows("signed"))
    for kind in (*documents.KINDS, headers.KIND, "block"):
        assert f"`{kind}`" in named or f"securepc/{kind}" in named, kind


def test_header_table() -> None:
    table = rows("batch")[1:]
    assert [row[0] for row in table] == list(headers.BatchHeader._fields)
    sizes = [int(row[2]) for row in table]
    assert [int(row[1]) for row in table] == [0, *accumulate(sizes)][:-1]
    assert sum(sizes) == headers.HEADER_SIZE
    assert f"{headers.HEADER_SIZE} bytes, big-endian" in text("batch")
    assert f"{headers.HEADER_SIZE + 18 + 64} bytes" in text("batch")


def test_batch() -> None:
    page = examples("batch")
    secret = bytes.fromhex(page["K"])
    entries = [page[f"entry {n}"].encode() for n in (41, 42, 43)]
    assert [salt.hex() for salt in headers.salts(secret, 3)] == [page[f"salt {n}"] for n in (41, 42, 43)]
    hashes = headers.entry_leaves(secret, entries)
    assert [h.hex() for h in hashes] == [page[f"leaf {n}"] for n in (41, 42, 43)]
    assert merkle.root(hashes).hex() == page["root"]

    header = headers.parse(bytes.fromhex(page["header"]))
    assert (header.epoch, header.first, header.last, header.size) == (7, 41, 43, 3)
    assert header.root.hex() == page["root"]
    found = b64decode(page["leaf"])
    assert leaf.frame("batch", headers.pack(header), KEY.sign) == found
    assert headers.of_leaf(found) == header
    assert header.key_id == KEY.id == headers.key_id(KEY.public)
    assert headers.message_hash(found).hex() == page["message hash"]
    payload = b64decode(page["payload"])
    assert sealing.open_payload(header, payload, secret, root_of=merkle.root) == entries


def pages_pack(**changes: str) -> tuple[bytes, Trust]:
    page = {**examples("evidence"), **changes}
    lines = [line.encode() for line in page["batches.jsonl"].split("\n")]
    checkpoint = page["checkpoint.txt"].encode() + b"\n"
    data = pack.build(page["evidence.json"].encode(), checkpoint, lines)
    policy = parse_policy(page["policy"].encode() + b"\n")
    return data, Trust(policy, parse_genesis(page["genesis.json"].encode()))


def test_evidence() -> None:
    data, trust = pages_pack()
    verdict = check(io.BytesIO(data), trust)
    assert [(entry.leaf_index, entry.sequence) for entry in verdict.entries] == [(3, 2), (4, 4)]
    assert "見積.xlsx".encode() in (verdict.entries[0].text or b"")
    assert verdict.level == "self-consistent"


def test_evidence_of_what_expired() -> None:
    page = examples("evidence")
    names = ("evidence.json", "checkpoint.txt", "batches.jsonl", "policy", "genesis.json")
    data, trust = pages_pack(**{name: page[f"expired {name}"] for name in names})
    verdict = check(io.BytesIO(data), trust)
    assert [(entry.leaf_index, entry.sequence) for entry in verdict.entries] == [(4, 3)]
    assert [(one.first, one.last, one.month, one.said) for one in verdict.expired] == [(1, 2, "2026-11", 3)]


def test_changed_evidence() -> None:
    page = examples("evidence")
    for name in ("evidence.json", "checkpoint.txt", "batches.jsonl"):
        changed = page[name].replace("A", "B", 1)
        assert changed != page[name]
        with pytest.raises(NotValid):
            check(io.BytesIO(pages_pack(**{name: changed})[0]), pages_pack()[1])


def test_the_steps_are_those_of_the_code() -> None:
    from securepc.verify import check as module

    def steps(words: str) -> list[str]:
        numbered = words.split("\n1. ", 1)[1].split("\n\n")[0]
        return " ".join(numbered.split()).split(". ")

    code, page = steps(module.__doc__ or ""), steps(text("evidence"))
    assert len(code) >= 9
    assert [step.split("*")[1] if "*" in step else "" for step in code] == [
        step.split("*")[1] if "*" in step else "" for step in page
    ]


def test_limits_on_the_page() -> None:
    assert (pack.MAX_EVIDENCE, pack.MAX_CHECKPOINT) == (8 << 20, 1_000_000)
    assert (pack.PART, pack.MAX_BATCH, pack.MAX_PARTS) == (8 << 20, 8 << 20, 384)
    assert headers.MAX_CIPHERTEXT == 524_288
    assert (headers.MAX_ENTRIES, sealing.MAX_ENTRY, sealing.MAX_PLAINTEXT) == (4_096, 32_768, 1 << 20)
    assert (leaf.MAX_LEAF, leaf.MAX_KIND, canonical.MAX_DEPTH) == (65_535, 24, 16)
