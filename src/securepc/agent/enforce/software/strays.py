"""Programs that run without being installed: seen when they start. They are told, not stopped."""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from securepc.agent.enforce import Context
from securepc.agent.platform.base.inventory import Inventory
from securepc.wire import software
from securepc.wire.doors import Software, SoftwareRule
from securepc.wire.event import Event
from securepc.wire.software import Program

_WAITING = 1_000
_KEPT = 1_000
_AGAIN = 86_400 * 1_000_000
"""Microseconds after which the same program is told again."""


class Strays:
    """`look` on the enforcer's thread; the recorder's threads only put what started in line."""

    def __init__(self, context: Context, inventory: Inventory) -> None:
        self._context = context
        self._inventory = inventory
        self._started: deque[Event] = deque(maxlen=_WAITING)
        self._told: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._wake: Callable[[], None] = lambda: None
        self._strict = False
        self._denied: tuple[SoftwareRule, ...] = ()

    def start(self, wake: Callable[[], None]) -> None:
        """Begin to hear of programs that start."""
        self._wake = wake
        self._context.listen("process.start", self._heard)

    def _heard(self, event: Event) -> None:
        if self._strict or self._denied:
            self._started.append(event)
            self._wake()

    def look(self, rules: Software) -> None:
        """Judge what has started since the last time."""
        self._strict, self._denied = software.restrictive(rules), rules.deny
        while self._started:
            self._judge(rules, self._started.popleft())

    def _judge(self, rules: Software, event: Event) -> None:
        exe = event.data.get("exe")
        if not isinstance(exe, str) or not exe.startswith("/") or exe.startswith(sys.prefix + "/"):
            return
        rule = self._broken(rules, exe)
        if rule is None:
            return
        name, now = PurePath(exe).name, self._context.clock.at()
        key = exe, str(event.data.get("sha256", ""))
        if now - self._told.get(key, -_AGAIN) < _AGAIN:
            return
        self._told[key] = now
        self._told.move_to_end(key)
        while len(self._told) > _KEPT:
            self._told.popitem(last=False)
        ja = f"許可されていないプログラム「{name}」が起動されました。"
        en = f"“{name}”, which is not allowed, was started."
        data: dict[str, Any] = {
            "exe": exe,
            "process": name,
            "rule": rule,
            "action": "told",
            "ja": ja,
            "en": en,
        }
        data |= {part: event.data[part] for part in ("sha256", "pid") if part in event.data}
        self._context.report("process.violation", data, user=event.user, result="failed")
        self._context.notices.post("software", ja, en, level="warn", user=event.user, data={"exe": exe})

    def _broken(self, rules: Software, exe: str) -> str | None:
        """The pattern that an executable falls under, empty where it is on no list and ought to be; None
        where nothing is wrong with it."""
        names = [Program(source, name) for source, name in (("loose", PurePath(exe).name), ("loose", exe))]
        for rule in rules.deny:
            if any(software.fits(rule, one) for one in names):
                return rule.name
        if not software.restrictive(rules) or self._inventory.owned(exe):
            return None
        return None if any(software.fits(rule, one) for rule in rules.allow for one in names) else ""
