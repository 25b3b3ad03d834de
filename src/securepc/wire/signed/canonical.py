"""The one spelling of JSON that may be signed (docs/formats/signed.md).

Objects with sorted unique keys, arrays, strings, integers of at most 53 bits, true, false and null;
UTF-8 without escapes that are not needed; no white space. No floats: their spelling is not unique.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

MAX_INTEGER = 2**53 - 1
"""Largest magnitude of an integer: what every JSON reader keeps exactly (RFC 8259, section 6)."""

MAX_DEPTH = 16
"""How deep objects and arrays may nest."""


class Malformed(ValueError):
    """The bytes are not the one accepted spelling of what they claim to be."""


def encode(value: Any) -> bytes:
    """The canonical bytes of a JSON value.

    Raises:
        Malformed: a float, a key that is not a string, an integer over 53 bits, a lone surrogate.
    """
    _check(value, 0)
    try:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise Malformed(f"not canonical JSON: {error}") from None


def decode(data: bytes, *, limit: int) -> Any:
    """The value of canonical JSON bytes, at most `limit` bytes long.

    Raises:
        Malformed: too long, not JSON, or JSON in any other spelling than `encode` gives.
    """
    if len(data) > limit:
        raise Malformed(f"longer than {limit} bytes")
    try:
        value = json.loads(
            data.decode("utf-8"), parse_float=_no_float, parse_constant=_no_float, parse_int=_integer
        )
    except RecursionError:
        raise Malformed("nested too deeply") from None
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from None
    # Duplicate keys, white space, escapes and key order all show up as a different re-encoding.
    if encode(value) != data:
        raise Malformed("not in canonical spelling")
    return value


def _no_float(_: str) -> NoReturn:
    raise Malformed("a number that is not an integer")


def _integer(digits: str) -> int:
    if len(digits) > 17:
        raise Malformed("an integer out of range")
    return int(digits)


def _check(value: Any, depth: int) -> None:
    if value is None or isinstance(value, (bool, str)):
        return
    if depth == MAX_DEPTH and isinstance(value, (dict, list)):
        raise Malformed("nested too deeply")
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise Malformed("an integer out of range")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise Malformed("a key that is not a string")
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    else:
        raise Malformed(f"a {type(value).__name__} has no canonical spelling")
