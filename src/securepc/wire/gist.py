"""An event's own fields in one line, for lists: the field that tells most, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from securepc.wire import kinds

_TELLING = (
    "command",
    "path",
    "exe",
    "folder",
    "url",
    "name",
    "software",
    "ssid",
    "interface",
    "account",
    "query",
    "entry",
    "collector",
    "version",
    "detail",
)
"""Fields that say what happened without their title, in the order in which the first is taken."""


def gist(data: Mapping[str, Any], language: str = "ja") -> str:
    """The fields of an event in one line: `old → new`, a command line, a path; else the first there is."""
    if isinstance(data.get("from"), str) and isinstance(data.get("to"), str):
        return f"{data['from']} → {data['to']}"
    for name in _TELLING:
        value = data.get(name)
        if isinstance(value, str) and value:
            return value
    for name, value in data.items():
        if value not in (None, "", [], {}):
            return f"{kinds.field_title(name, language)}: {value}"
    return ""
