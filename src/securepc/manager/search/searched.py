"""A search as the console's form asks for it: times in the viewer's zone, and PCs unless it says otherwise.

The manager's own entries, what administrators did, are left out of a search that names neither the
manager nor a kind of theirs: every search is such an entry itself, and would find the searches before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from securepc.manager.console.times import Reader
from securepc.manager.search import asked

FIELDS = ("from", "to", "device", "user", "kind", "text", "result")
EVERYTHING = "all"
"""Instead of a device: every PC and the manager."""


def conditions(form: Mapping[str, str], read: Reader, pcs: list[str]) -> dict[str, Any]:
    """The named values that `asked.read` understands. `pcs`: the agency's PCs, handles in hex."""
    values: dict[str, Any] = {name: form[name] for name in FIELDS if form.get(name)}
    if values.get("device") == EVERYTHING:
        del values["device"]
    elif only_pcs(form) and 0 < len(pcs) <= asked.MAX_VALUES:
        values["device"] = pcs
    for name in ("from", "to"):
        if name in values:
            values[name] = _with_zone(values[name], read)
    return values


def only_pcs(form: Mapping[str, str]) -> bool:
    """Whether a search is one of all PCs."""
    return not form.get("device") and not form.get("kind", "").startswith("admin.")


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
