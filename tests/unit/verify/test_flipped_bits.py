"""A flipped bit anywhere in a pack is refused, or provably without meaning."""

from __future__ import annotations

import io
import random

import pytest
from tiny_log import TinyLog

from securepc.verify.verdict import NotValid, Verdict
from securepc.wire import keys
from securepc.wire.signed import evidence, pack
from securepc.wire.signed.canonical import Malformed


def small_pack() -> tuple[TinyLog, bytes]:
    tiny = TinyLog()
    device = tiny.register("a")
    index = tiny.seal(device, tiny.events(device, 2))
    other = tiny.seal(device, tiny.events(device, 1))
    return tiny, tiny.evidence({index: [2], other: None}).zip()


def files(data: bytes) -> tuple[bytes, bytes, list[bytes]]:
    reader = pack.Reader(io.BytesIO(data))
    return reader.evidence, reader.checkpoint, list(reader.lines())


def is_readable(data: bytes) -> bool:
    try:
        return bool(files(data))
    except Malformed:
        return False


def judged(tiny: TinyLog, data: bytes) -> Verdict | None:
    try:
        return tiny.judge(data, verify=keys.verify)
    except NotValid:
        return None


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_bit_of_a_pack() -> None:
    """What is accepted holds the same three files: bits of deflate that no reader looks at."""
    tiny, data = small_pack()
    original, verdict = files(data), judged(tiny, data)
    assert verdict is not None
    readable = [bit for bit in range(8 * len(data)) if is_readable(flipped(data, bit))]
    # What can't be read can't be judged either; the tool itself says so for every tenth bit.
    tried = sorted({*readable, *range(0, 8 * len(data), 10)})
    accepted = [bit for bit in tried if judged(tiny, flipped(data, bit)) is not None]
    assert set(accepted) <= set(readable)
    for bit in accepted:
        assert files(flipped(data, bit)) == original
        assert judged(tiny, flipped(data, bit)) == verdict
    # The last bits of each deflate stream fill its last byte.
    assert len(accepted) <= 3 * 7


def test_any_bit_of_the_files_inside() -> None:
    """The same with the zip's own checksums made right again: what is accepted says and proves the same."""
    tiny, data = small_pack()
    content, checkpoint, lines = files(data)
    verdict = judged(tiny, data)
    whole = b"\n".join([content, checkpoint, *lines])
    assert verdict is not None
    sizes = [len(content), len(checkpoint)]
    chosen = random.Random(1).sample(range(8 * len(whole)), 4_000)
    accepted = 0
    for bit in chosen:
        changed = flipped(whole, bit)
        one, two = changed[: sizes[0]], changed[sizes[0] + 1 : sum(sizes) + 1]
        rest = changed[sum(sizes) + 2 :].split(b"\n")
        found = judged(tiny, pack.build(one, two, rest))
        if found is None:
            continue
        if (one, two, rest) == (content, checkpoint, lines):
            continue  # a bit of the separators, which are not in the pack
        accepted += 1
        assert found == verdict
        # Only the number of records beside the log's or device's own: it picks the same way up the tree.
        assert (two, rest) == (checkpoint, lines)
        assert ways(one) == ways(content)
    assert accepted < 20


def ways(data: bytes) -> object:
    """Evidence without what merely repeats the shape of a path."""
    content = evidence.decode(data)
    devices = tuple(d._replace(record=d.record._replace(rank=0, size=0)) for d in content.devices)
    return content._replace(record=content.record._replace(rank=0, size=0), devices=devices)


@pytest.mark.parametrize("cut", [1, 22, 100, 2_000])
def test_truncated(cut: int) -> None:
    tiny, data = small_pack()
    with pytest.raises(NotValid) as wrong:
        tiny.judge(data[:-cut])
    assert wrong.value.code == "malformed"


@pytest.mark.parametrize("extra", [b"\0", b"PK\x05\x06" + bytes(18)])
def test_trailing_bytes(extra: bytes) -> None:
    tiny, data = small_pack()
    with pytest.raises(NotValid) as wrong:
        tiny.judge(data + extra)
    assert "zip directory" in str(wrong.value.details["detail"])
