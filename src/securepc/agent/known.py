"""What any of several keys may have signed: the one in use, and those it replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from securepc.ledger.note import NoteError
from securepc.wire.signed.canonical import Malformed

Key = TypeVar("Key")
Found = TypeVar("Found")


def by_any(read: Callable[[Key], Found], keys: Sequence[Key]) -> Found:
    """What `read` gives with the first key that it accepts.

    Raises:
        Malformed, NoteError: as `read` did with the first key, where it accepts none.
    """
    first: Malformed | NoteError | None = None
    for key in keys:
        try:
            return read(key)
        except (Malformed, NoteError) as error:
            first = first or error
    assert first is not None
    raise first
