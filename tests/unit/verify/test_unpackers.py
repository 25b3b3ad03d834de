"""zlib-ng, which unpacks faster, finds in any bytes what Python's zlib finds in them."""

from __future__ import annotations

import io
import random
import zlib

from tampering import outcome
from test_flipped_bits import flipped, small_pack
from zlib_ng import zlib_ng

from securepc.cli import verify as command
from securepc.verify.verdict import Verdict
from securepc.wire.signed import pack
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.pack import Deflate

_STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED)


def read(data: bytes, deflate: Deflate) -> tuple[list[bytes], str]:
    """The lines that could be read, and what was wrong then."""
    lines: list[bytes] = []
    try:
        reader = pack.Reader(io.BytesIO(data), deflate)
        for part in range(len(reader.parts)):
            lines.extend(reader.lines(part))
    except Malformed as wrong:
        return lines, str(wrong)
    return lines, ""


def test_the_command_has_it() -> None:
    assert command._deflate() is zlib_ng


def test_it_reads_and_refuses_what_zlib_does() -> None:
    """Also up to the same byte, in deflate of all kinds, whole and damaged."""
    tiny, data = small_pack()
    chance = random.Random(6)
    bits = chance.sample(range(8 * len(data)), 3_000)
    found = [read(flipped(data, bit), zlib) for bit in bits]
    assert [read(flipped(data, bit), zlib_ng) for bit in bits] == found
    assert len({wrong for _, wrong in found}) > 5, "damage of several kinds"
    assert isinstance(outcome(tiny, data, deflate=zlib_ng), Verdict)


def test_any_deflate() -> None:
    chance = random.Random(7)
    seen = set()
    for _ in range(1_000):
        level, strategy = chance.choice((0, 1, 6, 9)), chance.choice(_STRATEGIES)
        compressor = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, 8, strategy)
        text = bytes(chance.choices(b'{"kind":0123456789},\n', k=chance.choice((40, 900, 9_000)))) * 3
        deflated = compressor.compress(text) + compressor.flush()
        for _ in range(chance.choice((0, 1, 1, 3))):
            # What says how the rest is to be read stands in front.
            deflated = flipped(deflated, chance.randrange(8 * min(len(deflated), chance.choice((90, 9_000)))))
        one, other = unpacked(zlib, deflated), unpacked(zlib_ng, deflated)
        assert one == other
        seen.add(one[1])
    assert seen == {"whole", "whole and more", "damaged", "open"}


def unpacked(deflate: Deflate, data: bytes) -> tuple[bytes, str, int]:
    """What came out until all was read or something was wrong, how it ended, and the sum of it."""
    inflate = deflate.decompressobj(-zlib.MAX_WBITS)
    out = b""
    try:
        while not inflate.eof and data:
            out += inflate.decompress(data, 1_000)
            data = inflate.unconsumed_tail
        ended = "whole" if inflate.eof else "open"
        return out, ended + (" and more" if inflate.unused_data else ""), deflate.crc32(out, 0)
    except deflate.error:
        return out, "damaged", deflate.crc32(out, 0)
