"""Codes read out by telephone: a PC without a network shows a challenge, the console answers it. Pure
(docs/formats/codes.md).

    challenge = 35 random bits                                     8 characters: 7 and a check character
    response  = first 55 bits of HMAC-SHA256(key, "securepc/code/v1" LF purpose LF challenge LF details)
                                                                   12 characters: 11 and a check character

`key` is agreed at enrolment and is this device's alone; `purpose` and `details` say what is allowed (such as
"write 30"), so a code that was given for one thing is good for nothing else. Characters are Crockford's base
32 without its extra check symbols: no I, L, O, U; either case is read, and I, L, O as what they look like.
The check character finds every single wrong character and nearly every two that changed places, so that a
slip of the tongue costs no try.
"""

from __future__ import annotations

import hmac
import secrets

from securepc.wire import keys

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)} | {"I": 1, "L": 1, "O": 0}
CHALLENGE, RESPONSE = 8, 12
"""Characters, the check character included."""
MAX_DETAILS = 500


class Mistyped(Exception):
    """Not a code of this length, or its check character does not fit: say it again."""


def key_of(first_mac_key: bytes) -> bytes:
    """The key of a device's codes, from K(0) of its enrolment (docs/formats/journal.md)."""
    return keys.hkdf(first_mac_key, b"securepc/codes")


def new_challenge() -> str:
    """A challenge in its one spelling, without hyphens."""
    return new(CHALLENGE)


def new(size: int) -> str:
    """A random code of `size` characters, the last of them the check character, in its one spelling."""
    return _write(secrets.randbits(5 * (size - 1)), size - 1)


def response(key: bytes, purpose: str, challenge: str, details: str) -> str:
    """The answer to a challenge, in its one spelling, without hyphens.

    Args:
        challenge: as `read` gives it back.
        details: what the code allows; both sides must know it exactly. At most 500 characters, no line feed.
    """
    if "\n" in purpose or "\n" in details or len(details) > MAX_DETAILS:
        raise ValueError("purpose and details are one short line each")
    message = f"securepc/code/v1\n{purpose}\n{challenge}\n{details}".encode()
    digest = hmac.digest(key, message, "sha256")
    bits = 5 * (RESPONSE - 1)
    return _write(int.from_bytes(digest[:8], "big") >> (64 - bits), RESPONSE - 1)


def read(text: str, size: int) -> str:
    """A code as a person typed it, in its one spelling: spaces and hyphens are dropped.

    Raises:
        Mistyped: of another length, another character, or its check character does not fit.
    """
    found = letters(text)
    if len(found) != size:
        raise Mistyped
    numbers = values(found)
    if _check(numbers[:-1]) != numbers[-1]:
        raise Mistyped
    return "".join(ALPHABET[value] for value in numbers)


def letters(text: str) -> str:
    """What a person typed, in upper case, without what only sets groups apart."""
    return "".join(letter for letter in text.upper() if letter not in " -–ー‐\u3000\t\r\n")


def values(text: str) -> list[int]:
    """The five bits of each letter.

    Raises:
        Mistyped: a letter that no code has.
    """
    if any(letter not in _VALUES for letter in text):
        raise Mistyped
    return [_VALUES[letter] for letter in text]


def write(number: int, size: int) -> str:
    """A number of up to 5 * `size` bits as `size` letters, without a check character."""
    return "".join(ALPHABET[number >> (5 * i) & 31] for i in reversed(range(size)))


def same(one: str, other: str) -> bool:
    """Whether two codes in their one spelling are equal, in constant time."""
    return hmac.compare_digest(one.encode("ascii"), other.encode("ascii"))


def show(code: str) -> str:
    """A code in groups of four, for a person to read out."""
    return "-".join(code[i : i + 4] for i in range(0, len(code), 4))


def _write(number: int, size: int) -> str:
    values = [number >> (5 * i) & 31 for i in reversed(range(size))]
    return "".join(ALPHABET[value] for value in (*values, _check(values)))


def _check(values: list[int]) -> int:
    """Odd weights have an inverse modulo 32, so a single wrong character always shows."""
    return sum((2 * i + 1) * value for i, value in enumerate(values)) % 32
