"""The PC's state, each part of it an entry when it becomes another, and weekly; and what is out of
support."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from securepc.agent.enforce import Context
from securepc.agent.platform.base.inventory import Inventory

_NAME = "software-states"
_EVERY = 3_600.0
"""Seconds between two looks, as some of it costs a second of a processor."""
_WEEK = 7 * 86_400 * 1_000_000
_PASSING = {
    "software.updates": frozenset(("lists", "ja", "en")),
    "software.antivirus": frozenset(("definitions",)),
}
"""Fields that change by themselves: no news on their own. What they mean for the state is in `state`."""


class States:
    """Used on the enforcer's thread."""

    def __init__(self, context: Context, inventory: Inventory) -> None:
        self._context = context
        self._inventory = inventory
        self._looked = float("-inf")
        self._machine: dict[str, str] = {}

    def look(self, *, changed: bool = False, all_of_them: bool = False) -> dict[str, str]:
        """Tell what is news; `changed` where something was installed, `all_of_them` where it was asked for.
        Gives the texts of the hardware entry, the system's id and version among them."""
        if not changed and not all_of_them and time.monotonic() - self._looked < _EVERY:
            return self._machine
        found = self._inventory.states()
        told, now = self._read(), self._context.clock.at()
        news = False
        for kind, data in found.items():
            essence = _essence(kind, data)
            before = told.get(kind)
            same = before is not None and before[0] == essence
            if same and before is not None and 0 <= now - before[1] < _WEEK and not all_of_them:
                continue
            self._context.report(kind, data)
            told[kind] = (essence, now)
            news = True
        if news:
            if not self._context.flush(30.0):
                raise OSError("the journal did not take the PC's state")
            self._context.state.put(_NAME, msgspec.json.encode(told))
        self._looked = time.monotonic()
        machine = found.get("software.hardware", {}).get("hardware", {})
        self._machine = {name: value for name, value in machine.items() if isinstance(value, str)}
        return self._machine

    def _read(self) -> dict[str, tuple[str, int]]:
        found = self._context.state.get(_NAME)
        try:
            return {} if found is None else msgspec.json.decode(found, type=dict[str, tuple[str, int]])
        except msgspec.DecodeError:
            return {}


def _essence(kind: str, data: Mapping[str, Any]) -> str:
    passing = _PASSING.get(kind, frozenset())
    kept = {name: value for name, value in data.items() if name not in passing}
    return hashlib.sha256(msgspec.json.encode(kept, order="sorted")).hexdigest()
