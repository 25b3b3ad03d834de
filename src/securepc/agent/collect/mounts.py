"""Which media are mounted where, and which no longer: once each, over restarts of the agent too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from securepc.agent.collect import RUNNING, CollectorStatus, Context, kept
from securepc.agent.collect.looking import BY_POLICY, LookingCollector
from securepc.wire.policy import read_rules
from securepc.wire.shapes import prepared

NAME = "mounts.json"
"""In the agent's folder: what was told last."""
_PATIENCE = 1.0
_PAUSE = 0.05
_LIMIT = 10_000_000


@prepared
class Mounted(msgspec.Struct, frozen=True):
    """A file system of a medium in use: for whom it was mounted ("": the system does not tell), and what
    entries say of it."""

    user: str
    data: dict[str, Any]


@prepared
class _Told(msgspec.Struct):
    boot: str = ""
    mounts: dict[str, Mounted] = {}


class Lookout(Protocol):
    """A system's way to see what is mounted. Used from one thread."""

    def wait(self, seconds: float) -> None:
        """Until something was mounted or unmounted, but no longer."""

    def look(self, known: Mapping[str, Mounted]) -> dict[str, Mounted]:
        """What is mounted now, by a name that is its own while it is. What is known is not asked again."""


class MountsCollector(LookingCollector):
    """`Collector` of media that are mounted and unmounted."""

    name = "mounts"
    kinds: tuple[str, ...] = ("media.mount", "media.unmount")

    def __init__(self, context: Context, lookout: Lookout) -> None:
        super().__init__(context, _PAUSE, "媒体のマウント", "mounts")
        self._lookout = lookout
        self._path = context.home / NAME
        self._told = _Told()

    def begin(self) -> None:
        """Tell what has changed since the last time."""
        self._told = kept.read(self._path, _Told, _LIMIT)
        self._compare()

    def look(self) -> CollectorStatus:
        """See `LookingCollector`."""
        self._lookout.wait(_PATIENCE)
        return RUNNING if self._compare() else BY_POLICY

    def _compare(self) -> bool:
        rules = read_rules(self.context.rules())
        if not (rules.collect.media.on or rules.doors.shutter.on):
            self._keep(_Told())
            return False
        boot = self.context.clock.boot.hex()
        known = self._told.mounts if self._told.boot == boot else {}
        now = self._lookout.look(known)
        for kind, names, mounts in (
            ("media.unmount", known.keys() - now.keys(), known),
            ("media.mount", now.keys() - known.keys(), now),
        ):
            for name in sorted(names):
                self.emit(self.context.event(kind, mounts[name].data, user=mounts[name].user))
        self._keep(_Told(boot, now))
        return True

    def _keep(self, told: _Told) -> None:
        if told != self._told:
            self._told = told
            kept.write(self._path, told)
