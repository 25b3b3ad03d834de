"""Which passwords are good enough, and how they are kept: argon2id (RFC 9106)."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib import resources
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from securepc.manager.refusal import N_, Refusal

MIN_LENGTH = 12
MAX_LENGTH = 256
"""Longer ones cost time to hash and gain nothing."""

_hasher = PasswordHasher()  # argon2id, 64 MiB, t=3, p=4: the second choice of RFC 9106
_at_once = threading.BoundedSemaphore(4)
"""Each computation takes 64 MiB: a flood of sign-ins may wait, but not eat the memory."""

_COMMON = frozenset(resources.files(__package__).joinpath("common.txt").read_text("utf-8").split())
"""Words that guessers try first, here and abroad."""


def normalise(password: str) -> str:
    """One spelling for what a person typed: keyboards differ in how they compose ガ (NFKC, RFC 8265)."""
    return unicodedata.normalize("NFKC", password)


def check(password: str, *, about: tuple[str, ...] = ()) -> None:
    """Refuse a password that is easily guessed. `about`: words tied to the account (sign-in name, person).

    Raises:
        Refusal: it is too short, too long, too common, or made from the account's own words.
    """
    plain = normalise(password)
    if len(plain) < MIN_LENGTH:
        raise Refusal(
            N_("Use at least %(count)d characters. A few words in a row are fine."), count=MIN_LENGTH
        )
    if len(plain) > MAX_LENGTH:
        raise Refusal(N_("Use at most %(count)d characters."), count=MAX_LENGTH)
    folded = plain.casefold()
    own = {word for text in about for word in _words(text)}
    rest = _without(folded, own)
    if any(word in folded for word in own) and len(rest) < MIN_LENGTH // 2:
        raise Refusal(N_("The password may not be made from your name or sign-in name."))
    if len(set(folded)) < 5 or _is_run(folded) or _is_common(folded):
        raise Refusal(N_("This password is too easy to guess. Choose another one."))


def hashed(password: str) -> str:
    """The argon2id hash to keep."""
    with _at_once:
        return _hasher.hash(normalise(password))


def matches(stored: str | None, password: str) -> bool:
    """Whether a password is the stored one. Takes as long when there is none stored (`None`)."""
    nobodys = _dummy()
    with _at_once:
        try:
            _hasher.verify(stored or nobodys, normalise(password[: MAX_LENGTH * 4]))
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def outdated(stored: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)


@cache
def _dummy() -> str:
    return _hasher.hash("nobody has this password")


def _words(text: str) -> set[str]:
    """The text and its parts of four characters or more, folded."""
    folded = normalise(text).casefold()
    parts = "".join(character if character.isalnum() else " " for character in folded).split()
    return {word for word in (folded, *parts) if len(word) >= 4}


def _without(text: str, words: Iterable[str]) -> str:
    """What is left of a password without those words and without the digits and signs put around them."""
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, "")
    return text if any(character.isalpha() for character in text) else ""


def _is_common(text: str) -> bool:
    """Common words with little else; digits alone are judged by their runs and variety."""
    return any(word in text for word in _COMMON) and len(_without(text, _COMMON)) < 4


def _is_run(text: str) -> bool:
    """A run of the alphabet or of the digits, such as abcdefghijkl or 890123456789."""
    steps = {(ord(after) - ord(before)) % 10 if text.isdigit() else ord(after) - ord(before)
             for before, after in pairwise(text)}  # fmt: skip
    return steps in ({1}, {-1}, {9})
