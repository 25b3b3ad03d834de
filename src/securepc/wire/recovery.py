"""The owner's recovery key: one secret on paper, from which two keys are made (docs/formats/keys.md).

    box key     X25519 = HKDF(secret, info "securepc/recovery/box")      secrets are sealed to it
    orders key  Ed25519 = HKDF(secret, info "securepc/recovery/orders")  agents follow it to a new manager

A manager knows the public halves only. On paper the 32 bytes stand as 14 groups of five characters (the
alphabet of `wire.codes`). Each group ends in a check character over its place and its letters, so that a slip
is found where it was made, and so are two groups that changed places; the last group is a check of the whole.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple

from securepc.wire import codes
from securepc.wire.codes import Mistyped
from securepc.wire.keys import BoxKey, SigningKey, hkdf

GROUPS = 14
"""Groups on paper, the last one the check of the whole."""
_LETTERS = 4
"""Of a group, without its check character."""
SECRET_SIZE = 32
QR_PREFIX = "SECUREPC-RECOVERY-1:"
MAX_TYPED = 1_000


class WrongGroup(Mistyped):
    """Group number `group`, counted from 1, is not as printed; 0: their number is wrong."""

    def __init__(self, group: int) -> None:
        super().__init__(group)
        self.group = group


class RecoveryPublic(NamedTuple):
    """What a manager and its agents know of the key."""

    box: bytes  # X25519
    orders: bytes  # Ed25519

    @property
    def name(self) -> str:
        """Eight characters that tell one sheet from another; printed on it and shown in the console."""
        digest = hashlib.sha256(b"securepc/recovery/name" + self.box + self.orders).digest()
        return codes.show(codes.write(int.from_bytes(digest[:5], "big"), 8))


class RecoveryKey:
    """The secret itself and its two keys. Lives only while a sheet is printed or typed in."""

    __slots__ = ("box", "orders", "secret")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_SIZE:
            raise ValueError("a recovery secret has 32 bytes")
        self.secret = secret
        self.box = BoxKey(hkdf(secret, b"securepc/recovery/box"))
        self.orders = SigningKey(hkdf(secret, b"securepc/recovery/orders"))

    @classmethod
    def generate(cls) -> RecoveryKey:
        """A new one from the operating system's randomness."""
        return cls(secrets.token_bytes(SECRET_SIZE))

    @property
    def public(self) -> RecoveryPublic:
        """What may be kept."""
        return RecoveryPublic(self.box.public, self.orders.public)

    def groups(self) -> list[str]:
        """The groups to print."""
        number = int.from_bytes(self.secret, "big")
        whole = number << 20 | _sum(self.secret)  # 256 + 20 bits, and 4 leading zeros: 14 times 20
        texts = [whole >> (20 * i) & 0xFFFFF for i in reversed(range(GROUPS))]
        return [_group(place, text) for place, text in enumerate(texts, 1)]

    def qr(self) -> str:
        """What the QR code says: letters that its dense alphanumeric mode has."""
        return QR_PREFIX + "".join(self.groups())


def read(text: str) -> RecoveryKey:
    """The key on a sheet, as typed or scanned; spaces, hyphens, line breaks and case do not matter.

    Raises:
        WrongGroup: says which group to look at.
    """
    if len(text) > MAX_TYPED:
        raise WrongGroup(0)
    text = text.strip().upper().removeprefix(QR_PREFIX)
    letters = codes.letters(text)
    size = _LETTERS + 1
    groups = [letters[i : i + size] for i in range(0, len(letters), size)]
    whole = 0
    for place, group in enumerate(groups[:GROUPS], 1):
        for value in codes.values(read_group(place, group))[:-1]:
            whole = whole << 5 | value
    if len(groups) != GROUPS:
        raise WrongGroup(0)
    number, check = whole >> 20, whole & 0xFFFFF
    if number >> 256:
        raise WrongGroup(1)
    secret = number.to_bytes(SECRET_SIZE, "big")
    if _sum(secret) != check:
        raise WrongGroup(GROUPS)
    return RecoveryKey(secret)


def read_group(place: int, text: str) -> str:
    """One group as typed, in its one spelling.

    Raises:
        WrongGroup: it is not as printed.
    """
    try:
        values = codes.values(codes.letters(text))
    except Mistyped:
        raise WrongGroup(place) from None
    if len(values) != _LETTERS + 1 or _check(place, values[:-1]) != values[-1]:
        raise WrongGroup(place)
    return "".join(codes.ALPHABET[value] for value in values)


def _group(place: int, bits: int) -> str:
    values = [bits >> (5 * i) & 31 for i in reversed(range(_LETTERS))]
    return "".join(codes.ALPHABET[value] for value in (*values, _check(place, values)))


def _check(place: int, values: list[int]) -> int:
    """Odd weights have an inverse modulo 32: a wrong letter, a group in another's place always show."""
    return (place + sum((2 * i + 3) * value for i, value in enumerate(values))) % 32


def _sum(secret: bytes) -> int:
    digest = hashlib.sha256(b"securepc/recovery/check" + secret).digest()
    return int.from_bytes(digest[:3], "big") >> 4
