"""Take an event's data apart into what repeats and what does not, and put it together again.

    {"path":"/home/tanaka/見積.xlsx","size":48211}
        shape   {"path":␟,"size":␞}          the same for thousands of rows: costs next to nothing
        words   /home/tanaka/見積.xlsx␟48211   the values: what people search for

Storing the two instead of the JSON and a text to search halves a row (docs/decisions/0016-search.md). In a
shape, U+001F stands for a string and U+001E for any other value; words are joined by U+001F.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

STRING = "\x1f"
OTHER = "\x1e"
EMPTY = "{}"

_encode = msgspec.json.Encoder().encode
_MARKS = re.compile(f"([{STRING}{OTHER}])")
_CONTROL = re.compile("[\\x00-\\x1e]")
_FLAT = frozenset((str, int))
_flat_shapes: dict[tuple[Any, ...], tuple[str, int]] = {}
_MAX_SHAPES = 4_096


class Shapeless(ValueError):
    """The data can't be put together again from a shape and words; it is stored as it came."""


def take_apart(data: Sequence[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """The shapes and the words of decoded JSON data.

    Raises:
        Shapeless: a value holds U+001F itself, or nesting is too deep.
    """
    shapes: list[str] = []
    words: list[str] = []
    separators = 0
    known = _flat_shapes.get
    for each in data:
        values = each.values()
        signature = (tuple(each), tuple(map(type, values)))
        found = known(signature) or _remember(signature, each)
        shape, between = found
        if shape:
            shapes.append(shape)
            words.append(STRING.join(map(str, values)))
        else:
            shape, text, between = _take_apart_nested(each)
            shapes.append(shape)
            words.append(text)
        separators += between
    # A value with a separator in it would only add to their number: one look at all of them will do.
    if STRING.join(words).count(STRING) != separators + max(0, len(words) - 1):
        raise Shapeless("a value with a separator in it")
    return shapes, words


def put_together(shape: str, words: str) -> str:
    """The JSON text that `take_apart` was given the value of, in msgspec's spelling."""
    pattern, strings = _pattern(shape)
    if not strings:
        return pattern % ()
    if _CONTROL.search(words):
        values = tuple(
            _encode(value).decode("utf-8")[1:-1] if is_string else value
            for is_string, value in zip(strings, words.split(STRING), strict=True)
        )
    else:
        # Escaping goes by character, so all values are escaped at once.
        values = tuple(words.replace("\\", "\\\\").replace('"', '\\"').split(STRING))
    return pattern % values


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
def _pattern(shape: str) -> tuple[str, tuple[bool, ...]]:
    """The text with `%s` for each value, and which values are strings: these have quotes around them."""
    marks = tuple(mark == STRING for mark in _MARKS.findall(shape))
    return shape.replace("%", "%%").replace(STRING, '"%s"').replace(OTHER, "%s"), marks


def _remember(signature: tuple[Any, ...], data: dict[str, Any]) -> tuple[str, int]:
    """The shape of data that holds strings and integers only, and how many separators its words have; an
    empty shape where it holds anything else."""
    found = "", 0
    if _FLAT.issuperset(signature[1]):
        pieces: list[str] = []
        _walk(data, pieces, [])
        found = "".join(pieces), max(0, len(data) - 1)
    if len(_flat_shapes) >= _MAX_SHAPES:  # a device that makes up field names must not fill the memory
        _flat_shapes.clear()
    _flat_shapes[signature] = found
    return found


def _take_apart_nested(data: dict[str, Any]) -> tuple[str, str, int]:
    pieces: list[str] = []
    words: list[str] = []
    try:
        _walk(data, pieces, words)
    except RecursionError:
        raise Shapeless("nested too deeply") from None
    return "".join(pieces), STRING.join(words), max(0, len(words) - 1)


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
