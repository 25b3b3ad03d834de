"""Entries as people read them: one line in a list, labelled fields on a page of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from markupsafe import Markup

from securepc.manager.console.times import Reader
from securepc.manager.console.words import Word, of_result
from securepc.manager.core import Manager
from securepc.manager.search.model import Hit
from securepc.manager.search.rows import REDACTED
from securepc.wire import kinds
from securepc.wire.fields import FIELDS
from securepc.wire.gist import gist

_MAX_LINE = 300
_MAX_VALUE = 10_000
_MAX_ITEMS = 200
OWN_NAME = "マネージャー / Manager"
"""What the manager calls its own device (`setup`): one half of it in each language."""


class Line(NamedTuple):
    """An entry in a list. `path`: its own page; the ledger's for a batch that does not open."""

    path: str
    happened: int
    title: str
    text: str
    device: str
    device_name: str
    user: str
    sealed: bool
    result: Word | None  # None: as it should be


class Shown(NamedTuple):
    """A labelled field. `known`: the catalogue has a title for it."""

    title: str
    value: str | Markup
    mono: bool
    known: bool


def data_of(hit: Hit) -> dict[str, Any] | None:
    """The entry's own fields; None for an entry that is not an event as we know them."""
    try:
        data = msgspec.json.decode(hit.data)
    except msgspec.DecodeError:
        return None
    return data if isinstance(data, dict) else None


def line(hit: Hit, names: Mapping[str, str], language: str) -> Line:
    """An entry in one line. `names`: device hex → its name."""
    data = data_of(hit)
    return Line(
        path=f"/entries/{hit.id}" if hit.is_entry or hit.kind == REDACTED else "/ledger",
        happened=hit.happened,
        title=kinds.title(hit.kind, language) or "?",
        text=_summary(hit, data, language)[:_MAX_LINE],
        device=hit.device,
        device_name=names.get(hit.device, hit.device[:8]),
        user=hit.user,
        sealed=hit.sealed,
        result=None if hit.result == "ok" else of_result(hit.result),
    )


def names_of(manager: Manager, log: bytes, language: str) -> dict[str, str]:
    """The names of an agency's devices by their handles in hex."""
    own = OWN_NAME.split(" / ")[0 if language == "ja" else 1]
    names = manager.devices.names(log)
    return {device.hex(): own if name == OWN_NAME else name for device, name in names.items()}


def _summary(hit: Hit, data: dict[str, Any] | None, language: str) -> str:
    if data is None:
        return hit.entry.decode("utf-8", "replace")
    return gist(data, language)


def fields(data: dict[str, Any], read: Reader, language: str) -> list[Shown]:
    """Every field of an entry with its title, in the order the PC wrote them."""
    return [_field(name, value, read, language) for name, value in list(data.items())[:_MAX_ITEMS]]


def _field(name: str, value: Any, read: Reader, language: str) -> Shown:
    known = FIELDS.get(name)
    title = kinds.field_title(name, language)
    type_ = known.type if known else ""
    shown: str | Markup
    if type_ == "time" and _is_number(value) and value >= 0:
        shown = read.stamp(int(value))
    elif type_ == "duration" and _is_number(value):
        shown = read.duration(int(value))
    elif type_ == "bytes" and _is_number(value) and value >= 0:
        exact = f" ({read.number(value)} B)" if value >= 1000 else ""
        shown = read.size(int(value)) + exact
    else:
        shown = _plain(value)
    mono = type_ in ("path", "hex") or name in ("command", "mac", "gateway_mac")
    return Shown(title, shown, mono, known is not None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**62


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value[:_MAX_VALUE]
    if isinstance(value, list) and all(isinstance(item, (str, int)) for item in value):
        return "\n".join(str(item) for item in value[:_MAX_ITEMS])[:_MAX_VALUE]
    return msgspec.json.encode(value).decode("utf-8")[:_MAX_VALUE]
