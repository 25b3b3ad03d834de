"""How a medium is named in few characters, and when it is the one that a rule means. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Protocol

from securepc.wire.codes import ALPHABET
from securepc.wire.orders import Medium

TAG = 4
"""Characters of a medium's number."""


class Named(Protocol):
    """What names a medium by its hardware; an empty text means "any"."""

    @property
    def vendor(self) -> str: ...
    @property
    def product(self) -> str: ...
    @property
    def serial(self) -> str: ...


def tag(medium: Medium) -> str:
    """The medium's number: 20 bits of a hash over what it says of itself, to be read out by telephone."""
    text = "\n".join(("securepc/medium/v1", *medium))
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8", "backslashreplace")).digest()[:4], "big")
    return "".join(ALPHABET[number >> (5 * i) & 31] for i in reversed(range(TAG)))


def code_details(access: str, minutes: int, medium_tag: str) -> str:
    """What a code read out by telephone allows (`wire.codes`), as both sides spell it."""
    return f"{access} {minutes} {medium_tag}"


def fits(named: Named, medium: Medium) -> bool:
    """Whether a medium is the one named, ignoring case of hex numbers."""
    pairs = (
        (named.vendor.lower(), medium.vendor.lower()),
        (named.product.lower(), medium.product.lower()),
        (named.serial, medium.serial),
    )
    return all(not wanted or wanted == found for wanted, found in pairs)


def registered(known: Iterable[Named], medium: Medium) -> bool:
    """Whether a medium may be asked for at all: an empty list means any."""
    listed = list(known)
    return not listed or any(fits(one, medium) for one in listed)
