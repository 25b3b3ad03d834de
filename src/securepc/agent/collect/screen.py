"""What people have before them: the active window and its title, and that something was copied to the
clipboard. Both off unless the policy asks for them.

A window is told when it is left, with the time of its beginning and for how long it was active; what does not
stay for a second is passed over, so that a title which runs like a ticker makes no entries. Of the clipboard
it is told that something was put there, what kind, how large, and by which program: what was copied is never
read.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from securepc.agent.collect import RUNNING, CollectorStatus, Context
from securepc.agent.collect.changes import By
from securepc.agent.collect.looking import BY_POLICY, LookingCollector
from securepc.wire.event import Event
from securepc.wire.policy import Rules, Windows, read_rules

SHORTEST = 1_000_000
"""Microseconds that a window must be active to be told."""
LONGEST = 600_000_000
"""Microseconds after which a window that stays active is told, and counted anew."""
_WAIT = 0.5
_LONGEST_TITLE = 1_024
_SCREENS = 64


class Focused(NamedTuple):
    """Another window is active, or has another title. `screen` names the session; without `by` there is no
    active window now."""

    screen: str
    user: str
    title: str
    by: By | None


class Copied(NamedTuple):
    """Something was put on the clipboard. `format`: `text`, `image`, `files`, `other`; `size` in bytes."""

    user: str
    format: str
    size: int | None
    by: By | None


class Left(NamedTuple):
    """A screen is not seen any more. `failed`: it should be."""

    screen: str
    user: str
    failed: bool


Sight = Focused | Copied | Left


class Screens(Protocol):
    """A system's way to see the screens of this PC's people. Used from one thread."""

    @property
    def limits(self) -> tuple[tuple[str, str], ...]:
        """What it cannot see now, each as a sentence in Japanese and English."""

    def open(self, *, windows: bool, clipboard: bool) -> None:
        """Begin to look at these.

        Raises:
            Unsupported: this PC has no screens.
        """

    def read(self, timeout: float) -> list[Sight]:
        """What was seen, waiting at most so many seconds for the first of it."""

    def close(self) -> None:
        """Look no longer. Harmless where it never began."""


class _Active(NamedTuple):
    sight: Focused
    at: int
    up: int


class ScreenCollector(LookingCollector):
    """`Collector` of windows and of the clipboard."""

    name = "screen"
    kinds: tuple[str, ...] = ("window.active", "clipboard.copy", "collect.gap")

    def __init__(self, context: Context, screens: Screens) -> None:
        super().__init__(context, 0.0, "操作中のウィンドウ", "windows")
        self._screens = screens
        self._wanted = (False, False)
        self._active: dict[str, _Active] = {}

    def begin(self) -> None:
        """Nothing is looked at yet."""
        self._wanted = (False, False)

    def look(self) -> CollectorStatus:
        """Running, what cannot be seen, or off by policy."""
        rules = read_rules(self.context.rules())
        wanted = (rules.collect.windows.on, rules.collect.clipboard.on)
        if wanted != self._wanted:
            self._shut()
            if any(wanted):
                self._screens.open(windows=wanted[0], clipboard=wanted[1])
            self._wanted = wanted
        if not any(wanted):
            self.ending.wait(2.0)
            return BY_POLICY
        for sight in self._screens.read(_WAIT):
            self._take(sight, rules)
        for screen in list(self._active):
            if self.context.clock.up() - self._active[screen].up >= LONGEST:
                self._follow(self._active[screen].sight, rules.collect.windows)
        limits = self._screens.limits
        if not limits:
            return RUNNING
        return CollectorStatus("degraded", "".join(ja for ja, _ in limits), " ".join(en for _, en in limits))

    def stop(self) -> None:
        """End; what is active until then is told."""
        super().stop()
        self._shut()

    def _shut(self) -> None:
        for screen in list(self._active):
            self._leave(screen, read_rules(self.context.rules()).collect.windows)
        self._screens.close()
        self._wanted = (False, False)

    def _take(self, sight: Sight, rules: Rules) -> None:
        if isinstance(sight, Focused):
            self._follow(sight, rules.collect.windows)
        elif isinstance(sight, Copied):
            data: dict[str, Any] = {"format": sight.format, **_by(sight.by)}
            if sight.size is not None:
                data["size"] = sight.size
            self.emit(self.context.event("clipboard.copy", data, user=sight.user))
        else:
            self._leave(sight.screen, rules.collect.windows)
            if sight.failed:
                self.emit(self._gap(sight))

    def _follow(self, sight: Focused, rules: Windows) -> None:
        self._leave(sight.screen, rules)
        if sight.by is not None and len(self._active) < _SCREENS:
            clock = self.context.clock
            self._active[sight.screen] = _Active(sight, clock.at(), clock.up())

    def _leave(self, screen: str, rules: Windows) -> None:
        before = self._active.pop(screen, None)
        if before is None:
            return
        active = self.context.clock.up() - before.up
        if active < SHORTEST:
            return
        sight = before.sight
        data: dict[str, Any] = {"active": active, **_by(sight.by)}
        if rules.titles and not {data.get("process"), data.get("exe")} & set(rules.untitled):
            data["title"] = sight.title[:_LONGEST_TITLE]
        boot = self.context.clock.boot.hex()
        self.emit(Event("window.active", before.at, before.up, boot, sight.user, data=data))

    def _gap(self, left: Left) -> Event:
        data = {
            "collector": self.name,
            "reason": "ended",
            "ja": "画面を見るためのプログラムが利用者の環境で終了しました。再開まで記録できません。",
            "en": "The program that looks at the screen has ended. Until it runs again nothing is recorded.",
        }
        return self.context.event("collect.gap", data, user=left.user)


def _by(by: By | None) -> dict[str, Any]:
    if by is None:
        return {}
    data = {"process": by.process, "pid": by.pid, "exe": by.exe}
    return {name: value for name, value in data.items() if value}
