"""One kind of event."""

from __future__ import annotations

from typing import NamedTuple

RESERVED = "reserved"


class Kind(NamedTuple):
    """A kind of event. `urgent`: the agent seals its batch at once. `since`: first version that may emit
    it; "reserved" names a kind whose fields are settled and whose collector is not there yet. `off`:
    not collected unless the policy asks for it."""

    name: str
    family: str
    ja: str
    en: str
    fields: tuple[str, ...]
    urgent: bool = False
    since: str = "0.1"
    off: bool = False


_GROUPS = {
    "+by": ("process", "pid", "exe"),
    "+medium": ("name", "class", "vendor", "product", "serial"),
}


def kind(
    name: str,
    ja: str,
    en: str,
    fields: str,
    family: str = "",
    *,
    urgent: bool = False,
    since: str = "0.1",
    off: bool = False,
) -> Kind:
    """A kind whose `fields` are names and groups of names, divided by spaces."""
    names = [n for group in fields.split() for n in _GROUPS.get(group, (group,))]
    return Kind(name, family or name.partition(".")[0], ja, en, tuple(names), urgent, since, off)
