"""Dictionaries are for ever: the shipped bytes never change, and readers without one say so."""

from __future__ import annotations

import hashlib
import threading
from importlib import resources

import pytest
import zstandard

from securepc.agent.simulate import office_day
from securepc.ledger import merkle
from securepc.wire import batch, keys
from securepc.wire.batch import Opening, SealedBatch, Unreadable
from securepc.wire.event import to_entry
from securepc.wire.signed import batch as headers
from securepc.wire.signed import leaf

SHIPPED = {1: "9595743fb165b9567f25319f81c7ce67c966b58d334fc035f19399d79f4f239f"}
"""Number → SHA-256. A line here never changes: batches of ten years ago need these bytes."""

KEY = keys.SigningKey(bytes(range(32)))
INTAKE = keys.BoxKey(bytes(range(32, 64)))
ENTRIES = [to_entry(event) for event in office_day(11, entries=500)]


def seal(entries: list[bytes]) -> SealedBatch:
    return batch.seal(
        Opening(b"l" * 16, b"d" * 16, b"b" * 16, 1, 1, 10**15, 10**9, bytes(32)),
        entries,
        sealed_at=10**15 + 1,
        sealed_up=10**9 + 1,
        mac_seal=bytes(32),
        key=KEY,
        intake=INTAKE.public,
        root_of=merkle.root,
    )


def open_(sealed: SealedBatch) -> list[bytes]:
    header = headers.parse(leaf.body_of(sealed.leaf, headers.KIND, KEY.public, keys.verify))
    return batch.open_payload(
        header, sealed.ciphertext, INTAKE.unseal(sealed.sealed_key), root_of=merkle.root
    )


def test_shipped_dictionaries_are_what_they_were() -> None:
    folder = resources.files("securepc.wire").joinpath("dictionaries")
    there = {
        int(f.name.removesuffix(".dict")): f.read_bytes()
        for f in folder.iterdir()
        if f.name.endswith(".dict")
    }
    assert {number: hashlib.sha256(data).hexdigest() for number, data in there.items()} == SHIPPED


@pytest.mark.parametrize("codec", [0, *SHIPPED])
@pytest.mark.parametrize("count", [0, 1, 16, 500])
def test_batches_of_every_codec_open(codec: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "CODEC", codec)
    sealed = seal(ENTRIES[:count])
    monkeypatch.undo()
    assert open_(sealed) == ENTRIES[:count]


def test_a_reader_two_versions_older_says_it_has_no_such_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer has dictionaries 2 and 3; this reader does not. It is a verdict, not a crash."""
    newer = zstandard.train_dictionary(8_192, [b"".join(ENTRIES[i : i + 5]) for i in range(400)], k=200, d=8)
    for codec in (2, 3, 255):
        older = batch._dictionary
        with monkeypatch.context() as patch:
            patch.setattr(batch, "CODEC", codec)
            patch.setattr(batch, "_dictionary", lambda number: newer if number > 1 else older(number))  # noqa: B023
            patch.setattr(batch, "_of_thread", threading.local())
            sealed = seal(ENTRIES[:20])
            assert open_(sealed) == ENTRIES[:20]
        with pytest.raises(Unreadable) as caught:
            open_(sealed)
        assert caught.value.reason == "codec"


def test_the_wrong_dictionary_is_a_verdict_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = seal(ENTRIES[:20])
    other = zstandard.train_dictionary(8_192, [b"".join(ENTRIES[i : i + 5]) for i in range(400)], k=200, d=8)
    monkeypatch.setattr(batch, "_dictionary", lambda number: other)
    with pytest.raises(Unreadable):
        open_(sealed)


def test_many_threads_seal_at_once() -> None:
    opened: list[bool] = []

    def work() -> None:
        opened.extend(open_(seal(ENTRIES[:n])) == ENTRIES[:n] for n in (1, 16, 200, 500) * 5)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [True] * 120


def test_it_is_worth_it() -> None:
    """Small batches gain most: less than two thirds of what they are without."""
    plain = zstandard.ZstdCompressor(level=3)
    lines = b"".join(entry + b"\n" for entry in ENTRIES[:16])
    assert len(batch._compress(ENTRIES[:16])) < len(plain.compress(lines)) * 2 / 3
