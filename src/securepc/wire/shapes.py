"""Shapes that several threads may read at once."""

from __future__ import annotations

from typing import TypeVar

import msgspec

S = TypeVar("S", bound=type)


def prepared(shape: S) -> S:
    """Have msgspec learn a shape (and those in it) now, while one thread alone knows of it.

    msgspec (0.22) learns a Struct or NamedTuple when it is first read, and other threads see its tables
    half made: the process ends with a segmentation fault. A decoder of one's own has the same effect.
    """
    msgspec.json.Decoder(shape)
    return shape
