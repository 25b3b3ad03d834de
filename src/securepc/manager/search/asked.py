"""Read a search as it comes from outside: from a URL's parameters, or from a body of JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from securepc.manager.search.model import Cursor, EntryId, Invalid, Query
from securepc.wire.signed.batch import MAX_TIME
from securepc.wire.signed.canonical import MAX_INTEGER

NAMES = ("from", "to", "device", "user", "kind", "text", "result", "limit", "before")
MAX_VALUES = 1_000
"""Devices or kinds that one search may name."""
MAX_LENGTH = 500
_SHORT = re.compile(r"([0-9a-f]{6,31})\.([0-9]{1,16})")
_HANDLE = re.compile(r"[0-9a-f]{32}")
_START = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


def read(values: Mapping[str, Any], devices: Mapping[bytes, str]) -> Query:
    """The search that named values ask for; each value is text, a number or a list of them.

    Args:
        devices: the agency's devices and their names: a device may be called by either.

    Raises:
        Invalid: says which value is wrong.
    """
    unknown = sorted(values.keys() - set(NAMES))
    if unknown:
        raise Invalid(
            f"{unknown[0]} という検索条件はありません", f"there is no condition called {unknown[0]}"
        )
    given = {name: _texts(name, value) for name, value in values.items()}
    before = _one(given, "before")
    return Query(
        start=_time("from", _one(given, "from")),
        end=_time("to", _one(given, "to")),
        devices=tuple(handle for text in given.get("device", ()) for handle in _device(text, devices)),
        user=_one(given, "user"),
        kinds=tuple(given.get("kind", ())),
        text=_one(given, "text"),
        result=_one(given, "result"),
        limit=_limit(_one(given, "limit")),
        before=None if before is None else Cursor.parse(before),
    )


def entry(text: str, devices: Mapping[bytes, str]) -> EntryId:
    """The name of an entry, whose device may be given by its first digits (at least six).

    Raises:
        Invalid: it is not one, or the digits are not those of exactly one device.
    """
    short = _SHORT.fullmatch(text)
    if short is None:
        return EntryId.parse(text)
    found = [handle.hex() for handle in devices if handle.hex().startswith(short[1])]
    if len(found) != 1:
        raise Invalid(
            f"{short[1]} で始まるPCは{len(found)}台あります。PCの番号をすべて指定してください",
            f"{len(found)} devices begin with {short[1]}; give all digits",
        )
    return EntryId.parse(f"{found[0]}.{short[2]}")


def described(query: Query) -> str:
    """A search in one line, for the record of who searched for what."""
    parts = {
        "from": query.start,
        "to": query.end,
        "device": ",".join(query.devices),
        "user": query.user,
        "kind": ",".join(query.kinds),
        "text": query.text,
        "result": query.result,
        "limit": query.limit,
    }
    return " ".join(f"{name}={value}" for name, value in parts.items() if value not in (None, ""))


def _texts(name: str, value: Any) -> list[str]:
    """The texts of a condition; empty ones ask for nothing."""
    many = value if isinstance(value, list) else [value]
    if len(many) > MAX_VALUES:
        raise Invalid(f"{name} が多すぎます({MAX_VALUES}個まで)", f"{name}: at most {MAX_VALUES} values")
    texts = []
    for each in many:
        if not isinstance(each, (str, int)) or isinstance(each, bool) or len(str(each)) > MAX_LENGTH:
            raise Invalid(
                f"{name} の値が正しくありません", f"{name} is not text of up to {MAX_LENGTH} characters"
            )
        if str(each):
            texts.append(str(each))
    return texts


def _one(given: Mapping[str, list[str]], name: str) -> str | None:
    texts = given.get(name, [])
    if len(texts) > 1:
        raise Invalid(f"{name} は一つだけ指定してください", f"{name} can be given once only")
    return texts[0] if texts else None


def _time(name: str, text: str | None) -> int | None:
    """Microseconds since 1970 UTC, or ISO 8601 with its offset from UTC."""
    if text is None:
        return None
    if _NUMBER.fullmatch(text) and int(text) <= MAX_TIME:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return max(0, (moment - _START) // timedelta(microseconds=1))
    except (ValueError, OverflowError):
        pass
    raise Invalid(
        f"{name} は 2026-11-23T09:00:00+09:00 のように、時差を付けた日時で指定してください",
        f"{name} must be a time with its offset from UTC, like 2026-11-23T09:00:00+09:00",
    )


def _device(text: str, devices: Mapping[bytes, str]) -> list[str]:
    if _HANDLE.fullmatch(text):
        return [text]
    found = [handle.hex() for handle, name in devices.items() if name.casefold() == text.casefold()]
    if not found:
        raise Invalid(f"「{text}」というPCはありません", f"there is no device called “{text}”")
    return found


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= MAX_INTEGER:
        raise Invalid("limit は1以上の整数で指定してください", "limit must be a whole number of at least 1")
    return int(text)
