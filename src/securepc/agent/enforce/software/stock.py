"""What is installed, compared with what was known: changes become entries, and the whole of it does when
nothing was known, each week, and when it is asked for.

An entry is on the disk before what it says is remembered, so a PC that loses power in between says it twice
rather than not at all; the manager takes both as one.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from securepc.agent.enforce import Context
from securepc.agent.platform.base.inventory import Installed, Inventory
from securepc.wire import software
from securepc.wire.shapes import prepared
from securepc.wire.software import Program

_NAME = "software-known"
_WEEK = 7 * 86_400 * 1_000_000
_DAY = 86_400 * 1_000_000
_ANYWAY = 3_600.0
"""Seconds after which it is looked at though nothing seems to have changed."""


@prepared
class _Known(msgspec.Struct):
    """`whole`, `confirmed`: when it was last told (µs of the PC's clock)."""

    rows: list[list[str | int]]
    whole: int
    confirmed: int


class Stock:
    """Used on the enforcer's thread."""

    def __init__(self, context: Context, inventory: Inventory) -> None:
        self._context = context
        self._inventory = inventory
        self._stamp = ""
        self._looked = float("-inf")
        self._installed: Installed | None = None
        self.digest = ""
        self.changed = False
        """Whether the last look found something installed, updated or removed."""

    def stale(self) -> None:
        """Something has changed: look, whatever the stamp says."""
        self._stamp = ""

    def look(self, whole: bool = False) -> Installed:
        """Everything installed now, told where that is news.

        Raises:
            OSError, ValueError: it cannot be read, or the journal does not take it; next time again.
        """
        stamp, now = self._inventory.stamp(), self._context.clock.at()
        recent = time.monotonic() - self._looked < _ANYWAY
        self.changed = False
        if self._installed is not None and stamp == self._stamp and recent and not whole:
            return self._installed
        installed = self._inventory.installed()
        known = self._read()
        digest = software.digest(installed.programs)
        if known is None or whole or not 0 <= now - known.whole < _WEEK:
            self.changed = known is not None and digest != self.digest
            if known is not None:
                self._tell_changes(known, installed.programs)
            self._tell_all(installed, digest)
            self._keep(installed.programs, now, now)
        else:
            self.changed = self._tell_changes(known, installed.programs)
            if self.changed or not 0 <= now - known.confirmed < _DAY:
                self._context.report("software.state", {"report": digest, "count": len(installed.programs)})
                self._keep(installed.programs, known.whole, now)
        self._stamp, self._looked = stamp, time.monotonic()
        self._installed, self.digest = installed, digest
        return installed

    def _tell_changes(self, known: _Known, programs: tuple[Program, ...]) -> bool:
        before = {one.key: one for one in map(software.read_row, known.rows) if one is not None}
        after = {one.key: one for one in (software.read_row(software.row(p)) for p in programs) if one}
        told = False
        for key in before.keys() | after.keys():
            old, new = before.get(key), after.get(key)
            if old is not None and new is None:
                self._tell("software.removed", old)
            elif new is not None and old is None:
                self._tell("software.installed", new)
            elif new is not None and old is not None and new.version != old.version:
                self._tell("software.updated", new, old.version)
            else:
                continue
            told = True
        return told

    def _tell(self, kind: str, program: Program, previous: str = "") -> None:
        origin = self._inventory.origin(program)
        data = described(program)
        if kind == "software.updated":
            data["previous"] = previous
            data.pop("publisher", None)
        if origin.command:
            data["command"] = origin.command
        self._context.report(kind, data, user=origin.user)

    def _tell_all(self, installed: Installed, digest: str) -> None:
        programs = sorted(installed.programs)
        parts = list(software.parts(programs))
        for number, rows in enumerate(parts, 1):
            data: dict[str, Any] = {
                "report": digest,
                "part": number,
                "parts": len(parts),
                "count": len(programs),
                "programs": rows,
            }
            if number == len(parts):
                data["unseen"] = [list(sentences) for sentences in installed.unseen]
            self._context.report("software.inventory", data)

    def _read(self) -> _Known | None:
        found = self._context.state.get(_NAME)
        try:
            return None if found is None else msgspec.json.decode(found, type=_Known)
        except msgspec.DecodeError:
            return None

    def _keep(self, programs: tuple[Program, ...], whole: int, confirmed: int) -> None:
        if not self._context.flush(30.0):
            raise OSError("the journal did not take the inventory")
        known = _Known([software.row(one) for one in programs], whole, confirmed)
        self._context.state.put(_NAME, msgspec.json.encode(known))


def described(program: Program) -> dict[str, Any]:
    """A program as entries name it. `software` is the source's own name."""
    data = {
        "software": program.name,
        "arch": program.arch,
        "version": program.version,
        "publisher": program.publisher,
        "source": program.source,
    }
    return {name: value for name, value in data.items() if value}
