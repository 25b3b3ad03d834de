"""Ed25519 verification (RFC 8032, section 5.1.7) in plain Python, for machines that have nothing else.

It accepts exactly what libsodium 1.0.18 to 1.0.20 accepts (tests compare them on valid, invalid and
specially made signatures):

- S is below the group order L; the key is a canonical encoding; neither key nor R is of small order;
- *cofactorless*: encode([S]B - [h]A) must be R, byte for byte, so a second encoding of R fails too.

Cofactorless is the stricter reading: whatever passes here also passes a cofactored verifier. The two
differ only on signatures whose maker added a small-order part on purpose.

Nothing here is secret, so nothing needs constant time. Speed comes from tables of multiples, for the base
point and for each key, that leave one addition for each five bits of a scalar and no doublings: most
packs carry many signatures of few keys.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
_D2 = 2 * D % P
_SQRT_M1 = pow(2, (P - 1) // 4, P)
_WIDTH = 5
_WINDOWS = -(-254 // _WIDTH)  # scalars have 253 bits; signed digits carry into one more

Affine = tuple[int, int]
Point = tuple[int, int, int, int]
"""Extended coordinates X, Y, Z, T: x = X/Z, y = Y/Z, xy = T/Z (RFC 8032, section 5.1.4)."""
Row = list[tuple[int, int, int]]
"""Multiples 1, 2, … of a point as (y + x, y - x, 2dxy)."""

_IDENTITY: Point = (0, 1, 1, 0)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` is by the key `public` (32 bytes). Never raises."""
    if len(public) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    key = _table_of_negated(public)
    if key is None:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    point = _add_multiple(_add_multiple(_IDENTITY, _base_table(), s), key, h)
    return _encode(point) == signature[:32] and not _small_order(point)


def decode_point(data: bytes) -> Affine | None:
    """A point from its 32 bytes; None where they are not the one encoding of a point on the curve."""
    y = int.from_bytes(data, "little")
    sign = y >> 255
    y &= (1 << 255) - 1
    if y >= P:
        return None
    # x² = (y² - 1) / (dy² + 1); a square root by one exponentiation (RFC 8032, section 5.1.3).
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v**3 * pow(u * v**7 % P, (P - 5) // 8, P) % P
    square = v * x * x % P
    if square == P - u:
        x = x * _SQRT_M1 % P
    elif square != u % P:
        return None
    if x == 0 and sign:
        return None
    return (P - x if x & 1 != sign else x), y


def _encode(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _small_order(point: Point) -> bool:
    """Whether eight times the point is the identity."""
    for _ in range(3):
        point = _add(point, point)
    return point[0] == 0 and point[1] == point[2]


def _add(one: Point, other: Point) -> Point:
    """The complete addition law: also right for doubling and for the identity."""
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a = (y1 - x1) * (y2 - x2) % P
    b = (y1 + x1) * (y2 + x2) % P
    c = t1 * t2 % P * _D2 % P
    d = 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _table(point: Affine) -> list[Row]:
    """For each window w the multiples 1 … 2**(_WIDTH - 1) of 2**(_WIDTH * w) * point."""
    x, y = point
    base: Point = (x, y, 1, x * y % P)
    half = 1 << (_WIDTH - 1)
    points: list[Point] = []
    for _ in range(_WINDOWS):
        multiple = base
        points.append(multiple)
        for _ in range(half - 1):
            multiple = _add(multiple, base)
            points.append(multiple)
        base = _add(multiple, multiple)
    rows = [
        ((y + x) % P, (y - x) % P, x * y % P * _D2 % P)
        for (x, y) in (
            (point[0] * inverse % P, point[1] * inverse % P)
            for point, inverse in zip(points, _inverses([point[2] for point in points]), strict=True)
        )
    ]
    return [rows[start : start + half] for start in range(0, len(rows), half)]


def _inverses(values: list[int]) -> list[int]:
    """The inverses of many field elements for the price of one inversion."""
    products = [1]
    for value in values:
        products.append(products[-1] * value % P)
    inverse = pow(products[-1], -1, P)
    result: list[int] = []
    for value, product in zip(reversed(values), reversed(products[:-1]), strict=True):
        result.append(inverse * product % P)
        inverse = inverse * value % P
    result.reverse()
    return result


@lru_cache(maxsize=1)
def _base_table() -> list[Row]:
    base = decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    assert base is not None, "the base point is on the curve"
    return _table(base)


@lru_cache(maxsize=256)
def _table_of_negated(public: bytes) -> list[Row] | None:
    """The table of -A for a key A; None for bytes that no honest key has."""
    point = decode_point(public)
    if point is None or _small_order((*point, 1, point[0] * point[1] % P)):
        return None
    return _table((P - point[0], point[1]))


def _add_multiple(point: Point, table: list[Row], scalar: int) -> Point:
    """point + scalar * (the table's point), one addition for each window."""
    x, y, z, t = point
    half, mask = 1 << (_WIDTH - 1), (1 << _WIDTH) - 1
    for row in table:
        digit = scalar & mask
        scalar >>= _WIDTH
        if digit == 0:
            continue
        # Digits above half are taken negative, with a carry, which halves the table.
        if digit <= half:
            plus, minus, xy = row[digit - 1]
        else:
            scalar += 1
            minus, plus, xy = row[mask - digit]
            xy = -xy
        a = (y - x) * minus % P
        b = (y + x) * plus % P
        c = t * xy % P
        d = z + z
        e, f, g, h = b - a, d - c, d + c, b + a
        x, y, z, t = e * f % P, g * h % P, f * g % P, e * h % P
    return x, y, z, t
