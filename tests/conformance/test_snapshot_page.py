"""What docs/formats/snapshot.md says: the stream and its description, to the byte."""

from __future__ import annotations

import hashlib

import pytest
from format_pages import examples, text

from securepc.ledger.statesync import offers, snapshot, stream
from securepc.wire.signed import block as blocks
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.canonical import Malformed


def test_the_example() -> None:
    page = examples("snapshot")
    data = bytes.fromhex(page["block"])
    (recorded,) = stream.Reader().feed(data)
    assert stream.encode(recorded) == data
    assert len(recorded.checkpoints) == len(recorded.transactions) == 1
    described = snapshot.parse(page["snapshot"].encode())
    header = blocks.parse(leaves.split(recorded.leaf).body)
    assert described.encode() == page["snapshot"].encode()
    assert described.hash.hex() == page["hash"]
    assert described.head == blocks.message_hash(recorded.leaf)
    assert (described.chain, described.height, described.state) == (header.chain, header.height, header.state)
    assert described.pieces == (hashlib.sha256(data).digest(),)


def test_there_is_one_spelling() -> None:
    data = bytes.fromhex(examples("snapshot")["block"])[4:]
    for wrong in (data + b"\0", *(data[:end] for end in range(0, len(data), 7))):
        with pytest.raises(Malformed):
            stream.decode(wrong)
    with pytest.raises(Malformed, match="a block of"):
        list(stream.Reader().feed(b"\xff\xff\xff\xff"))


def test_the_numbers_on_the_page() -> None:
    page = text("snapshot")
    assert snapshot.PIECE == 8 * 1024 * 1024
    assert "pieces of 8 MiB" in page
    assert f"at most {stream.MAX_RECORD // 2**20} MiB" in page
    assert f"at most {snapshot.MAX_PIECES:,}" in page
    assert (offers.EVERY, offers.KEPT) == (3600, 3)
