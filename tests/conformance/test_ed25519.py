"""The pure Ed25519 verifier: the vectors of RFC 8032, and libsodium as a second opinion."""

from __future__ import annotations

import hashlib
import random

import pytest

from securepc.verify import ed25519
from securepc.verify.ed25519 import D, L, P
from securepc.wire import keys
from securepc.wire.keys import SigningKey

RFC_8032 = [  # section 7.1: TEST 1, 2, 3 and SHA(abc): public key, message, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        b"",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        b"\x72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        b"\xaf\x82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").digest(),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
            "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
        ),
    ),
]

Point = tuple[int, int]


# The curve once more, in the plainest way there is: nothing of the code under test.


def add(one: Point, other: Point) -> Point:
    (x1, y1), (x2, y2) = one, other
    k = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def multiply(scalar: int, point: Point) -> Point:
    result = (0, 1)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def base() -> Point:
    found = ed25519.decode_point(bytes([0x58]) + bytes([0x66]) * 31)
    assert found is not None
    return found


def torsion() -> list[Point]:
    """The eight points of small order."""
    for y in range(2, 100):
        point = ed25519.decode_point(y.to_bytes(32, "little"))
        if point and multiply(4, small := multiply(L, point)) != (0, 1):
            return [multiply(n, small) for n in range(8)]
    raise AssertionError


def challenge(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L


def both(public: bytes, message: bytes, signature: bytes) -> bool:
    """The verdict of the pure verifier, which libsodium's must be too."""
    pure = ed25519.verify(public, message, signature)
    assert pure == keys.verify(public, message, signature), (public.hex(), message.hex(), signature.hex())
    return pure


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_rfc_8032(public: str, message: bytes, signature: str) -> None:
    assert both(bytes.fromhex(public), message, bytes.fromhex(signature))
    assert not both(bytes.fromhex(public), message + b"\0", bytes.fromhex(signature))


def test_valid_signatures() -> None:
    for n in range(60):
        key = SigningKey(hashlib.sha256(b"%d" % (n % 8)).digest())
        message = bytes([n]) * n
        assert both(key.public, message, key.sign(message))


def test_flipped_bits() -> None:
    key = SigningKey(bytes(32))
    message = b"securepc/batch/v1\n"
    signature = key.sign(message)
    choice = random.Random(2)
    for bit in range(512):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        assert not both(key.public, message, bytes(changed))
    for bit in choice.sample(range(256), 24):
        other = bytearray(key.public)
        other[bit // 8] ^= 1 << bit % 8
        assert not both(bytes(other), message, signature)


def test_second_spelling_of_s() -> None:
    key = SigningKey(bytes(32))
    signature = key.sign(b"m")
    s = int.from_bytes(signature[32:], "little")
    for other in (s + L, s + 2 * L, s ^ 1 << 255):
        if other < 2**256:
            assert not both(key.public, b"m", signature[:32] + other.to_bytes(32, "little"))


def test_random_bytes() -> None:
    choice = random.Random(3)
    for _ in range(100):
        assert not both(choice.randbytes(32), choice.randbytes(5), choice.randbytes(63) + b"\x00")


def test_wrong_lengths() -> None:
    key = SigningKey(bytes(32))
    signature = key.sign(b"m")
    for public, given in ((key.public[:-1], signature), (key.public + b"\0", signature), (b"", b"")):
        assert not both(public, b"m", given)
    assert not both(key.public, b"m", signature[:-1])
    assert not both(key.public, b"m", signature + b"\0")


def test_keys_and_r_of_small_order() -> None:
    """With a key of small order one signature can be valid for many messages."""
    spellings = {encode(point) for point in torsion()}
    spellings |= {(int.from_bytes(s, "little") ^ 1 << 255).to_bytes(32, "little") for s in spellings}
    spellings |= {n.to_bytes(32, "little") for n in (P, P + 1, P | 1 << 255, (P + 1) | 1 << 255)}
    good = SigningKey(bytes(32))
    for public in spellings:
        for r in (encode((0, 1)), public):
            for s in (0, 1, L - 1):
                assert not both(public, b"m", r + s.to_bytes(32, "little"))
        assert not both(good.public, b"m", public + bytes(32))


def test_encodings_of_y_that_are_not_canonical() -> None:
    for y in range(P, 2**255):
        for sign in (0, 1 << 255):
            data = (y | sign).to_bytes(32, "little")
            assert ed25519.decode_point(data) is None
            assert not both(data, b"m", bytes(64))


def test_points_with_a_small_order_part() -> None:
    """Where cofactored and cofactorless verification differ: both verifiers here are cofactorless."""
    small, secret, nonce, message = torsion(), 0x1234567, 0x7654321, b"which equation?"
    accepted = 0
    for i, a_part in enumerate(small):
        for j, r_part in enumerate(small):
            public = encode(add(multiply(secret, base()), a_part))
            r = encode(add(multiply(nonce + i + 8 * j, base()), r_part))
            h = challenge(r, public, message)
            s = (nonce + i + 8 * j + h * secret) % L
            cofactorless = (h * i + j) % 8 == 0  # what of small order is left must vanish
            assert both(public, message, r + s.to_bytes(32, "little")) == cofactorless
            accepted += cofactorless
    assert 0 < accepted < 64


def test_table_arithmetic_at_the_edges() -> None:
    """Scalars that make the signed digits carry all the way."""
    for scalar in (0, 1, 15, 16, 17, 31, 32, 2**252, L - 1, int("10000" * 50, 2), 2**253 - 1):
        point = ed25519._add_multiple((0, 1, 1, 0), ed25519._base_table(), scalar)
        assert ed25519._encode(point) == encode(multiply(scalar, base()))
