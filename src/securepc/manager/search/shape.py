"""Take an event's data apart into what repeats and what does not, and put it together again.

    {"path":"/home/tanaka/見積.xlsx","size":48211}
        shape   {"path":␟,"size":␞}          the same for thousands of rows: costs next to nothing
        words   /home/tanaka/見積.xlsx␟48211   the values: what people search for

Storing the two instead of the JSON and a text to search halves a row (docs/decisions/search.md). In a
shape, U+001F stands for a string and U+001E for any other value; words are joined by U+001F.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

STRING = "\x1f"
OTHER = "\x1e"
EMPTY = "{}"

_encode = msgspec.json.Encoder().encode
_MARKS = re.compile(f"([{STRING}{OTHER}])")
_FLAT = frozenset((str, int))
_flat_shapes: dict[tuple[Any, ...], str | None] = {}
_MAX_SHAPES = 4_096


class Shapeless(ValueError):
    """The data can't be put together again from a shape and words; it is stored as it came."""


def take_apart(data: dict[str, Any]) -> tuple[str, str]:
    """The shape and the words of decoded JSON data.

    Raises:
        Shapeless: a value holds U+001F itself, or nesting is too deep.
    """
    signature = (tuple(data), tuple(map(type, data.values())))
    shape = _flat_shapes.get(signature, "")
    if shape == "":
        shape = _remember(signature, data)
    if shape is None:
        return _take_apart_nested(data)
    words = STRING.join(map(str, data.values()))
    if data and words.count(STRING) != len(data) - 1:
        raise Shapeless("a value with a separator in it")
    return shape, words


def put_together(shape: str, words: str) -> str:
    """The JSON text that `take_apart` was given the value of, in msgspec's spelling."""
    pieces = _pieces(shape)
    if len(pieces) == 1:
        return pieces[0]
    parts: list[str] = []
    for index, value in enumerate(words.split(STRING)):
        parts.append(pieces[2 * index])
        parts.append(_encode(value).decode("utf-8") if pieces[2 * index + 1] == STRING else value)
    parts.append(pieces[-1])
    return "".join(parts)


def words_of(value: Any) -> str:
    """The values of any decoded JSON, joined for searching only.

    Raises:
        Shapeless: nesting is too deep.
    """
    words: list[str] = []
    try:
        _walk(value, [], words)
    except RecursionError:
        raise Shapeless("nested too deeply") from None
    return STRING.join(words)


@lru_cache(maxsize=_MAX_SHAPES)
def _pieces(shape: str) -> tuple[str, ...]:
    return tuple(_MARKS.split(shape))


def _remember(signature: tuple[Any, ...], data: dict[str, Any]) -> str | None:
    """The shape of data that holds strings and integers only; None where it holds anything else."""
    shape = None
    if _FLAT.issuperset(signature[1]):
        pieces: list[str] = []
        _walk(data, pieces, [])
        shape = "".join(pieces)
    if len(_flat_shapes) >= _MAX_SHAPES:  # a device that makes up field names must not fill the memory
        _flat_shapes.clear()
    _flat_shapes[signature] = shape
    return shape


def _take_apart_nested(data: dict[str, Any]) -> tuple[str, str]:
    pieces: list[str] = []
    words: list[str] = []
    try:
        _walk(data, pieces, words)
    except RecursionError:
        raise Shapeless("nested too deeply") from None
    text = STRING.join(words)
    if words and text.count(STRING) != len(words) - 1:
        raise Shapeless("a value with a separator in it")
    return "".join(pieces), text


def _walk(value: Any, pieces: list[str], words: list[str]) -> None:
    if type(value) is str:
        pieces.append(STRING)
        words.append(value)
    elif type(value) is dict:
        mark = "{"
        for key, item in value.items():
            pieces.append(f"{mark}{_encode(key).decode('utf-8')}:")
            _walk(item, pieces, words)
            mark = ","
        pieces.append("}" if value else EMPTY)
    elif type(value) is list:
        mark = "["
        for item in value:
            pieces.append(mark)
            _walk(item, pieces, words)
            mark = ","
        pieces.append("]" if value else "[]")
    else:
        pieces.append(OTHER)
        words.append(_encode(value).decode("utf-8"))
