"""Provisional lines: the first word stands, what is sealed is erased, no device fills the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from securepc.manager.ingest.judging import Difference, differences
from securepc.manager.ingest.opened import Provisional
from securepc.manager.ingest.provisional import MAX_DEVICE_LINES, ProvisionalStore

LOG, DEVICE, BOOT = bytes(16), bytes([1] * 16), bytes([2] * 16)


@pytest.fixture
def store(tmp_path: Path) -> ProvisionalStore:
    return ProvisionalStore(tmp_path / "provisional.sqlite")


def lines(first: int, *texts: bytes, epoch: int = 1, device: bytes = DEVICE) -> Provisional:
    return Provisional(LOG, device, BOOT, epoch, first, list(texts), 0)


def held(store: ProvisionalStore) -> list[tuple[int, bytes]]:
    return [(one.first, one.lines[0]) for one in store.pending()]


def test_only_what_is_new_is_taken(store: ProvisionalStore) -> None:
    assert store.add(lines(1, b"a", b"b")) == lines(1, b"a", b"b")
    assert store.add(lines(2, b"X", b"c")) == lines(3, b"c")
    assert store.add(lines(1, b"X")) is None
    assert held(store) == [(1, b"a"), (2, b"b"), (3, b"c")]


def test_what_is_sealed_is_erased_and_not_taken_again(store: ProvisionalStore, tmp_path: Path) -> None:
    store.add(lines(1, b"secret-one", b"secret-two", epoch=1))
    store.add(lines(3, b"three", epoch=2))
    store.settle([(DEVICE, 1, 2)])
    assert held(store) == [(3, b"three")]
    assert store.add(lines(1, b"late", epoch=1)) is None
    store.settle([(DEVICE, 2, 3)])
    store.close()
    for path in tmp_path.iterdir():
        assert b"secret-one" not in path.read_bytes(), path


def compare(
    store: ProvisionalStore, epoch: int, first: int, entries: list[bytes], device: bytes = DEVICE
) -> list[Difference]:
    """What was announced otherwise than a batch has it."""
    last = first + len(entries) - 1
    return differences(store.announced(device, epoch, first, last), first, entries)


def test_every_kind_of_difference_is_found(store: ProvisionalStore) -> None:
    store.add(lines(1, b"same", b"before", b"dropped", epoch=1))
    assert compare(store, 1, 1, [b"same", b"after"]) == [
        Difference(2, b"before", b"after"),
        Difference(3, b"dropped", None),
    ]
    assert compare(store, 1, 1, [b"same", b"before", b"dropped", b"more"]) == []
    assert [one.sequence for one in compare(store, 1, 1, [])] == [1, 2, 3]
    assert compare(store, 1, 1, [b"other"], bytes(16)) == []


def test_lines_of_other_epochs_do_not_count(store: ProvisionalStore) -> None:
    store.add(lines(1, b"a", epoch=1))
    store.add(lines(2, b"b", epoch=2))
    assert compare(store, 1, 1, [b"a"]) == []
    assert compare(store, 2, 2, [b"b"]) == []
    assert len(compare(store, 1, 1, [b"a", b"B"])) == 1, "sealed earlier than announced"


def test_a_byte_that_is_no_text_is_no_difference(store: ProvisionalStore) -> None:
    store.add(lines(1, b"\xff".decode("utf-8", "replace").encode()))
    assert compare(store, 1, 1, [b"\xff"]) == []


def test_a_device_cannot_fill_the_disk_or_push_out_its_own_word(store: ProvisionalStore) -> None:
    store.add(lines(1, b"first"))
    full = [b"x"] * 4096
    for i in range(10):
        store.add(lines(2 + i * 4096, *full))
    store.add(lines(2**52, b"far"))
    found = held(store)
    assert found[0] == (1, b"first") and len(found) <= MAX_DEVICE_LINES
    assert store.add(lines(1, b"another PC", device=bytes([9] * 16))) is not None
