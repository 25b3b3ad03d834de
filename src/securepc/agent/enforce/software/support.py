"""What is out of support on this PC: an entry for each when it is first seen to be, by the snapshot that
came with this version."""

from __future__ import annotations

import time

import msgspec

from securepc.agent.enforce import Context
from securepc.agent.platform.base.inventory import Installed
from securepc.wire.shapes import prepared

_NAME = "software-ended"
_EVERY = 12 * 3_600.0


@prepared
class Ended(msgspec.Struct):
    """What was told: product and cycle."""

    told: list[str]


class SupportWatch:
    """Used on the enforcer's thread."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._looked = float("-inf")

    def look(self, installed: Installed, system: dict[str, str], *, changed: bool) -> None:
        """Tell what has ended since the last time. `system`: `os_id`, `os_version`, `edition`,
        `support_end`."""
        if not changed and time.monotonic() - self._looked < _EVERY:
            return
        # Imported here: the snapshot stays in memory only where somebody looks.
        from securepc.wire import support

        at = self._context.manager_time() or self._context.clock.at()
        today = time.strftime("%Y-%m-%d", time.gmtime(at // 1_000_000))
        os = support.of_system(
            system.get("os_id", ""),
            system.get("os_version", ""),
            today,
            edition=system.get("edition", ""),
            said=system.get("support_end", ""),
        )
        found = {}
        if os.state == "ended":
            found[f"{os.product} {os.cycle}"] = (os.title, os.cycle, os.end)
        for program in installed.programs:
            its = support.of_program(program, os, today)
            if its is not None and its.state == "ended" and not its.system:
                found[f"{its.product} {its.cycle}"] = (its.title, program.version, its.end)
        support.snapshot.cache_clear()
        before = self._read()
        for name, (title, version, end) in found.items():
            if name not in before:
                data = {"software": title, "version": version, "support_end": end}
                self._context.report("software.support", data, result="failed")
        if found.keys() != before:
            if not self._context.flush(30.0):
                raise OSError("the journal did not take what is out of support")
            self._context.state.put(_NAME, msgspec.json.encode(Ended(sorted(found))))
        self._looked = time.monotonic()

    def _read(self) -> set[str]:
        found = self._context.state.get(_NAME)
        try:
            return set() if found is None else set(msgspec.json.decode(found, type=Ended).told)
        except msgspec.DecodeError:
            return set()
