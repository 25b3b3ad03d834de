"""A search as the console's form asks for it: its times are in the viewer's zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from securepc.manager.console.times import Reader

FIELDS = ("from", "to", "device", "user", "kind", "text", "result")


def conditions(form: Mapping[str, str], read: Reader) -> dict[str, Any]:
    """The named values that `asked.read` understands."""
    values: dict[str, Any] = {name: form[name] for name in FIELDS if form.get(name)}
    for name in ("from", "to"):
        if name in values:
            values[name] = _with_zone(values[name], read)
    return values


def midnight(day: date, read: Reader) -> str:
    """The first moment of a day in the viewer's zone, in ISO 8601 with its offset."""
    return datetime(day.year, day.month, day.day, tzinfo=read.zone).isoformat()


def _with_zone(text: str, read: Reader) -> str:
    """What is no time is left as it is, for `asked` to refuse."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (moment if moment.tzinfo else moment.replace(tzinfo=read.zone)).isoformat()
