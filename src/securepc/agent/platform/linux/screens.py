"""The X displays of this PC's people, each watched by a process that has become its user (`xwatch`): an X
server lets in only whom it knows, and what a window says of itself is parsed with that user's rights alone.

Whose display it is, the programs that use it say by their environment (`DISPLAY`, `XAUTHORITY`): the eldest
of a person's first. A Wayland compositor tells nobody which window is active; that it is so is said.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from securepc.agent.collect.changes import By
from securepc.agent.collect.screen import Copied, Focused, Left, Sight
from securepc.agent.platform.linux.people import is_person, name_of
from securepc.agent.platform.linux.processes import Processes
from securepc.wire.shapes import prepared

_SOCKETS = Path("/tmp/.X11-unix")  # noqa: S108 - where X servers put them
_PROC = Path("/proc")
_RUNTIME = Path("/run/user")
_LOOK = 15.0
"""Seconds between two looks for displays."""
_MANY = 32
_LINE = 16 * 1024
_ENVIRONMENT = 256 * 1024


@prepared
class _Line(msgspec.Struct, frozen=True):
    """A line of `xwatch`: a user's own word, so it is checked like a stranger's."""

    ready: bool = False
    title: Annotated[str, Meta(max_length=4_096)] | None = None
    format: Annotated[str, Meta(pattern="^(text|image|files|other)$")] = ""
    size: Annotated[int, Meta(ge=0, lt=2**53)] | None = None
    pid: Annotated[int, Meta(ge=0, lt=2**31)] = 0


class Claim(NamedTuple):
    """A program of a user that uses a display; `began` in clock ticks since boot."""

    display: str
    uid: int
    gid: int
    authority: str
    began: int


class _Watch:
    """One helper at one display."""

    def __init__(self, claim: Claim, *, windows: bool, clipboard: bool) -> None:
        self.claim, self.ready = claim, False
        self.user = name_of(claim.uid)
        self._rest = b""
        becoming: dict[str, Any] = {}
        if os.geteuid() == 0 and claim.uid != 0:
            becoming = {"uid": claim.uid, "gid": claim.gid}
        imports = f"import sys; sys.path[:] = {sys.path!r}; from securepc.agent.platform.linux import xwatch"
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            (sys.executable, "-IS", "-c", f"{imports}; sys.exit(xwatch.main())"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            cwd="/",
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        asked = {"display": claim.display, "authority": claim.authority, **becoming}
        asked |= {"windows": windows, "clipboard": clipboard}
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps(asked).encode() + b"\n")
            self.process.stdin.flush()

    def fileno(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def lines(self) -> list[_Line] | None:
        """What it said; None where it has ended, or said what it never should."""
        try:
            data = os.read(self.fileno(), _LINE)
        except BlockingIOError:
            return []
        except OSError:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data or len(self._rest) > _LINE:
            return None
        try:
            return [msgspec.json.decode(line, type=_Line) for line in lines]
        except msgspec.MsgspecError:
            return None

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class LinuxScreens:
    """`Screens` of X servers."""

    def __init__(self, processes: Processes, sockets: Path = _SOCKETS, runtime: Path = _RUNTIME) -> None:
        self._processes, self._sockets, self._runtime = processes, sockets, runtime
        self._asked = {"windows": False, "clipboard": False}
        self._watches: dict[str, _Watch] = {}
        self._refused: dict[str, list[Claim]] = {}
        self._looked = float("-inf")
        self._wayland: list[str] = []

    @property
    def limits(self) -> tuple[tuple[str, str], ...]:
        """Displays that let nobody look, and Wayland."""
        found = []
        unseen = sorted(set(self._refused) - {name for name, one in self._watches.items() if one.ready})
        if unseen:
            names = ", ".join(unseen[:5])
            found.append((f"画面({names})を見ることができません。", f"Displays that can't be seen: {names}."))
        if self._wayland:
            names = ", ".join(self._wayland[:5])
            found.append(
                (
                    f"Waylandの画面では操作中のウィンドウを記録できません({names})。",
                    f"On Wayland, active windows are not recorded ({names}).",
                )
            )
        return tuple(found)

    def open(self, *, windows: bool, clipboard: bool) -> None:
        """See `Screens`."""
        self._asked = {"windows": windows, "clipboard": clipboard}
        self._looked = float("-inf")
        self._refused.clear()

    def read(self, timeout: float) -> list[Sight]:
        """See `Screens`."""
        sights: list[Sight] = []
        if time.monotonic() - self._looked >= _LOOK:
            self._looked = time.monotonic()
            sights += self._look()
        ready, _, _ = select.select(list(self._watches.values()), [], [], timeout)
        for watch in ready:
            sights += self._said(watch)
        return sights

    def close(self) -> None:
        """See `Screens`."""
        for watch in self._watches.values():
            watch.end()
        self._watches.clear()

    def _look(self) -> Iterator[Sight]:
        """A watch for each display, as the user whose it is now."""
        self._wayland = sorted(_wayland(self._runtime))
        displays = _displays(self._sockets)
        claims = _claims(displays)
        for name in [name for name in self._watches if name not in displays]:
            yield from self._drop(name, failed=False)
        self._refused = {name: refused for name, refused in self._refused.items() if name in displays}
        for name in displays:
            wanted = [one for one in claims if one.display == name]
            watch = self._watches.get(name)
            foreign = watch is not None and wanted and watch.claim.uid != wanted[0].uid
            if foreign and not self._refused.get(name):
                yield from self._drop(name, failed=False)
                watch = None
            refused = self._refused.get(name, [])
            fresh = [one for one in wanted if one not in refused]
            if wanted and not fresh:  # all were refused: from the beginning
                self._refused[name] = []
                fresh = wanted
            if watch is None and fresh and len(self._watches) < _MANY:
                self._watches[name] = _Watch(fresh[0], **self._asked)

    def _said(self, watch: _Watch) -> Iterator[Sight]:
        lines = watch.lines()
        name, user = watch.claim.display, watch.user
        if lines is None:
            self._refused.setdefault(name, []).append(watch.claim)
            yield from self._drop(name, failed=watch.ready)
            return
        for line in lines:
            if line.ready:
                watch.ready = True
                self._refused.pop(name, None)
            elif line.title is not None:
                active = self._by(line.pid) if line.pid or line.title else None
                yield Focused(name, user, line.title, active)
            elif line.format:
                yield Copied(user, line.format, line.size, self._by(line.pid) if line.pid else None)

    def _drop(self, name: str, *, failed: bool) -> Iterator[Sight]:
        watch = self._watches.pop(name)
        watch.end()
        # A display that ended took its watch with it: that is no failure.
        gone = name not in _displays(self._sockets) or not _answers(self._sockets, name)
        if watch.ready:
            yield Left(name, watch.user, failed and not gone)

    def _by(self, pid: int) -> By:
        process = self._processes.get(pid) if pid else None
        return By(pid) if process is None else By(pid, process.name, process.exe, process.user)


def _displays(sockets: Path) -> list[str]:
    with contextlib.suppress(OSError):
        names = sorted(name for name in os.listdir(sockets) if name[:1] == "X" and name[1:].isdigit())
        return [f":{int(name[1:])}" for name in names][:_MANY]
    return []


def _answers(sockets: Path, display: str) -> bool:
    """Whether somebody listens at a display's socket."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.settimeout(1.0)
        one.connect(str(sockets / f"X{display[1:]}"))
        return True
    return False


def _claims(displays: list[str]) -> list[Claim]:
    """Who uses these displays, people before others, the eldest program first; one of a user and display."""
    found: dict[tuple[str, int], Claim] = {}
    for name in os.listdir(_PROC) if displays else ():
        if name.isdigit() and (claim := _claim(_PROC / name)) and claim.display in displays:
            key = claim.display, claim.uid
            if key not in found or claim.began < found[key].began:
                found[key] = claim
    return sorted(found.values(), key=lambda one: (not is_person(one.uid), one.began))


def _claim(folder: Path) -> Claim | None:
    try:
        with open(folder / "environ", "rb") as file:
            environment = file.read(_ENVIRONMENT)
        if b"DISPLAY=" not in environment:
            return None
        owner = folder.stat()
        began = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
    values = dict(one.split(b"=", 1) for one in environment.split(b"\0") if b"=" in one)
    display = os.fsdecode(values.get(b"DISPLAY", b"")).removeprefix("unix").partition(".")[0]
    authority = values.get(b"XAUTHORITY", b"") or values.get(b"HOME", b"") + b"/.Xauthority"
    return Claim(display, owner.st_uid, owner.st_gid, os.fsdecode(authority), began)


def _wayland(runtime: Path) -> set[str]:
    """Whose compositors run here."""
    found = set()
    with contextlib.suppress(OSError):
        for user in os.listdir(runtime):
            with contextlib.suppress(OSError, ValueError):
                if any((runtime / user / f"wayland-{n}").is_socket() for n in range(4)):
                    found.add(name_of(int(user)))
    return found
