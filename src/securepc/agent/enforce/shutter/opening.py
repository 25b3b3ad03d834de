"""Opens media for their grants and closes them again: at the deadline, at a reboot, when taken back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from securepc.agent.enforce import Context
from securepc.agent.enforce.shutter.openings import Opening, Openings
from securepc.agent.enforce.shutter.watching import Watching
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.ports import Port, Ports, Seen
from securepc.wire import doors, media

_LOOK = 2.0
"""Seconds between two looks at the clock while something is open: timers sleep when the PC does."""
_REASONS = {
    "deadline": ("時間になりました", "its time was over"),
    "reboot": ("PCが再起動されました", "the PC was restarted"),
    "taken back": ("管理者が取り消しました", "an administrator took it back"),
    "user": ("利用者が終了しました", "the user ended it"),
    "policy": ("ポリシーが変わりました", "the policy changed"),
    "unsupported": ("この方法では開放できません", "it cannot be opened in this way"),
}


class Opener:
    """Everything about ports that a grant opens. Called from the enforcer's thread."""

    def __init__(self, context: Context, ports: Ports, openings: Openings, watching: Watching) -> None:
        self._context = context
        self._ports = ports
        self._openings = openings
        self._watching = watching
        self._ending: dict[str, str] = {}
        self._kept: set[str] = set()
        self._told: set[tuple[str, str]] = set()  # failures that are entries already: (grant, what)
        self._stopped = threading.Event()
        self._wake: Callable[[], None] = lambda: None
        self._connected: dict[str, Port] = {}

    def start(self, wake: Callable[[], None]) -> None:
        """Look at the clock while something is open."""
        self._wake = wake
        self._stopped.clear()
        threading.Thread(target=self._look_at_clock, name="shutter-clock", daemon=True).start()

    def stop(self) -> None:
        """Look no longer."""
        self._stopped.set()

    def ask_to_end(self, opening: Opening, reason: str) -> None:
        """Close it at the next look."""
        self._ending[opening.number] = reason

    def end_what_is_over(self, rules: doors.Shutter, *, expired: bool) -> None:
        """Close everything whose time, boot or ground is over."""
        self._connected = {port.id: port for port in self._ports.ports()}
        for opening in self._openings.all():
            if reason := self._over(opening, rules, expired):
                self.end(opening, reason)

    def of(self, port: Port) -> Opening | None:
        """The opening that a connection is open for; binds the first one that fits and whose connection is
        gone."""
        bound = self._openings.of_port(port.id)
        if bound is not None:
            return bound
        for opening in self._openings.all():
            free = not opening.port or opening.port not in self._connected
            if free and opening.fits(port.medium):
                self._openings.change(opening, lambda one: _bind(one, port))
                self._kept.discard(opening.number)
                return opening
        return None

    def keep(self, opening: Opening, port: Port, seen: Seen) -> Seen:
        """Make a port as its opening says; gives what was read back."""
        others = [user for user in self._ports.users() if user != opening.user]
        if opening.user and others:
            # Somebody else sits here now: it is not for them.
            self._watching.end(opening)
            return self._shut(port)
        try:
            if opening.number not in self._kept:
                self._ports.keep_closing(opening.number, port, opening.until_up)
                self._kept.add(opening.number)
            self._ports.open(port, write=opening.write)
        except Unsupported as error:
            self._tell_opened(opening, error.en, failed=(error.ja, error.en))
            self.end(opening, "unsupported")
            return self._ports.look(port)
        except OSError as error:
            if not opening.seen_open and self._first(opening, "open"):
                self._tell_opened(opening, f"{type(error).__name__}: {error}"[:300], failed=(str(error),) * 2)
            return self._shut(port)
        seen = self._ports.look(port)
        if seen.ready and seen.writable and not opening.write:
            return self._shut(port)  # never open in a way that was not allowed
        refused = self._watching.keep(opening, seen.places)
        if seen.ready and not opening.seen_open:
            self._openings.change(opening, lambda one: setattr(one, "seen_open", True))
            self._tell_opened(opening, seen.facts)
        if refused:
            data = {
                **opening.fields(),
                "collector": "media",
                "folders": refused,
                "ja": "この媒体のファイル操作は記録できません。",
                "en": "what is done to files of this medium is not seen",
            }
            self._context.report("collect.gap", data, result="failed")
        return seen

    def mounted(self) -> None:
        """A file system appeared, perhaps that of an open medium: watch it at once. From any thread."""
        for opening in self._openings.all():
            port = self._connected.get(opening.port)
            if port is not None and opening.number in self._kept:
                self._watching.add(opening, self._ports.places(port))

    def missed(self, connected: set[str]) -> None:
        """Openings whose medium was pulled out: nothing is to be watched there."""
        for opening in self._openings.all():
            if opening.port and opening.port not in connected:
                self._watching.end(opening)

    def end(self, opening: Opening, reason: str, *, leave: bool = False) -> None:
        """Close it, read back, and say how it went. `leave`: the shutter is switched off, so nothing is
        closed."""
        port = self._connected.get(opening.port)
        observed, closed = "gone", True
        limits = self._watching.limits(opening)
        self._watching.end(opening)
        if port is not None and not leave:
            seen = self._shut(port)
            observed, closed = seen.facts, seen.closed
        with contextlib.suppress(OSError):
            self._ports.forget_closing(opening.number)
        self._kept.discard(opening.number)
        ja, en = _REASONS.get(reason, (reason, reason))
        data = {
            **opening.fields(),
            "reason": reason,
            "files": opening.reads + opening.writes + opening.deletes,
            "size": opening.size,
            "counts": {"read": opening.reads, "write": opening.writes, "delete": opening.deletes},
            "observed": observed,
            "ja": ja,
            "en": en,
        }
        if opening.lost:
            data["lost"] = opening.lost
        if limits:
            data["detail"] = "; ".join(en for _, en in limits)
        if closed or self._first(opening, "close"):
            self._context.report(
                "shutter.close", data, user=opening.user, result="ok" if closed else "failed"
            )
        if closed:  # else it is tried again
            self._told -= {(opening.number, what) for what in ("open", "close")}
            self._openings.drop(opening)
            self._ending.pop(opening.number, None)
            self._context.notices.post(
                "shutter-closed",
                f"媒体「{opening.name or opening.medium.product}」の使用を終了しました({ja})。",
                f"The medium {opening.name or opening.medium.product} was closed ({en}).",
                user=opening.user,
            )

    def _over(self, opening: Opening, rules: doors.Shutter, expired: bool) -> str:
        clock = self._context.clock
        if opening.boot != clock.boot.hex():
            return "reboot"
        if opening.number in self._ending:
            return self._ending[opening.number]
        if clock.up() >= opening.until_up:
            return "deadline"
        if expired or not media.registered(rules.media, opening.medium):
            return "policy"
        return ""

    def _first(self, opening: Opening, what: str) -> bool:
        if (opening.number, what) in self._told:
            return False
        self._told.add((opening.number, what))
        return True

    def _shut(self, port: Port) -> Seen:
        with contextlib.suppress(OSError):
            self._ports.close(port)
        return self._ports.look(port)

    def _tell_opened(self, opening: Opening, observed: str, *, failed: tuple[str, ...] = ()) -> None:
        clock = self._context.clock
        data: dict[str, Any] = {
            **opening.fields(),
            "approver": opening.approver,
            "requester": opening.requester,
            "purpose": opening.purpose,
            "read": "yes",
            "write": "yes" if opening.write else "no",
            "until": clock.at() + opening.until_up - clock.up(),
            "observed": observed,
            "class": opening.medium.kind,
            "vendor": opening.medium.vendor,
            "product": opening.medium.product,
            "serial": opening.medium.serial,
        }
        if failed:
            data |= {"ja": failed[0], "en": failed[-1]}
        self._context.report("shutter.open", data, user=opening.user, result="failed" if failed else "ok")
        minutes = max(1, (opening.until_up - clock.up()) // 60_000_000)
        if failed:
            ja, en = f"「{opening.name}」を開放できませんでした。{failed[0]}", f"{opening.name}: {failed[-1]}"
        else:
            how = ("読み書き", "reading and writing") if opening.write else ("読み取り専用", "reading")
            ja = f"「{opening.name}」を{how[0]}で約{minutes}分間使えます。操作したファイルは記録されます。"
            en = f"{opening.name} is open for {how[1]} for about {minutes} min; what you do is recorded."
        self._context.notices.post(
            "shutter.open", ja, en, level="warn" if failed else "info", user=opening.user
        )

    def _look_at_clock(self) -> None:
        pause = _LOOK
        while not self._stopped.wait(pause):
            now = self._openings.all()
            left = [(one.until_up - self._context.clock.up()) / 1_000_000 for one in now]
            pause = min([_LOOK, *(max(0.2, seconds) for seconds in left)])
            if any(seconds <= 0 for seconds in left) or any(one.user or one.is_opening for one in now):
                self._wake()


def _bind(opening: Opening, port: Port) -> None:
    opening.port = port.id
    opening.name = port.name
    # From here on it is for this one medium, also where the grant named it loosely.
    opening.medium = port.medium
