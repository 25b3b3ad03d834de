"""`Ports` of Linux: USB, cards and optical drives together."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import msgspec

from securepc.agent import files
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.ports import Port, Seen, Tried
from securepc.agent.platform.linux.logons import LOGIND
from securepc.agent.platform.linux.storage import blocks, cards, discs, rules, trying, usb
from securepc.agent.platform.linux.storage.blocks import Block
from securepc.agent.platform.linux.storage.sysfs import SYS, attribute, names, put
from securepc.agent.platform.linux.storage.uevents import Uevents
from securepc.agent.platform.linux.storage.usb import Interface

_BEFORE = "shutter-before.json"
_UDEV = Path("/run/udev")
_SYSTEMD = Path("/run/systemd/system")
_GRACE = 5
"""Seconds that the agent has for closing in good order before the watch closes."""


class LinuxPorts:
    """See `platform.base.ports.Ports`."""

    def __init__(self, home: Path) -> None:
        """`home`: where is kept what was before the first change."""
        self._before = home / _BEFORE
        self._uevents: Uevents | None = None
        self._watches: dict[str, subprocess.Popen[bytes]] = {}

    def listen(self, wake: Callable[[], None], mounted: Callable[[], None]) -> None:
        """Wake at every event of the kernel's about storage."""
        if os.geteuid() == 0:
            self._uevents = Uevents(wake, mounted)

    def stop(self) -> None:
        """Listen no longer."""
        if self._uevents is not None:
            self._uevents.close()
            self._uevents = None

    def guard(self, classes: Iterable[str]) -> None:
        """Rules of udev first, then the buses; the other way round when it ends."""
        closed = frozenset(classes)
        if os.geteuid() != 0:
            raise Unsupported(
                "管理者権限(root)がないため、外部媒体を遮断できません。",
                "without root's rights no medium can be closed",
            )
        if closed:
            self._remember()
            rules.install(closed)
        usb.guard(on=bool(closed & {"usb", "phone"}))
        cards.guard(on="sd" in closed)
        usb.let_through(closed, usb.interfaces())
        system = blocks.of_system()
        cards.let_through([port for port in cards.ports(system) if port.system or "sd" not in closed])
        if "optical" not in closed:
            discs.let_through(discs.ports(system))
        if not closed:
            rules.install(())
            rules.unmark_all()
            self._restore()

    def unguarded(self, classes: Iterable[str]) -> list[tuple[str, str]]:
        """Read rules and buses back."""
        closed = set(classes)
        found: list[tuple[str, str]] = []
        if missing := rules.missing(closed):
            paths = ", ".join(str(path) for path in missing)
            found.append((f"設定ファイルがありません({paths})。", f"files are missing ({paths})"))
        loose = usb.unguarded() if closed & {"usb", "phone"} else []
        loose += cards.unguarded() if "sd" in closed else []
        if loose:
            buses = ", ".join(loose)
            found.append(
                (f"新しい機器を通すバスがあります({buses})。", f"buses let new devices through ({buses})")
            )
        if not (_UDEV / "control").exists() and closed & {"usb", "phone", "sd", "optical"}:
            found.append(
                ("udevが動いていません。", "udev is not running: while the agent is down nothing is closed")
            )
        return found

    def ports(self) -> list[Port]:
        """Everything that is connected and holds files."""
        system = blocks.of_system()
        found = [usb.port(one, system) for one in usb.interfaces() if one.kind]
        return found + cards.ports(system) + discs.ports(system)

    def look(self, port: Port) -> Seen:
        """Read its place in sysfs."""
        if port.kind in ("usb", "phone"):
            interface = self._interface(port)
            if interface is None:
                return Seen(True, False, False, (), (), "gone")
            nodes = blocks.below(interface.folder)
            shut = not interface.authorized and not interface.driver and not nodes
            facts = f"authorized={int(interface.authorized)} driver={interface.driver or '-'}"
            if port.kind == "phone":
                return Seen(shut, interface.authorized, interface.authorized, (), (), facts)
            return _seen(shut, nodes, facts)
        place = cards.folder(port) if port.kind == "sd" else discs.folder(port)
        if not place.exists():
            gone = "gone" if port.kind == "sd" else "scsi=deleted"
            return Seen(True, False, False, (), (), gone)
        if port.kind == "sd":
            nodes, driver = blocks.below(place), cards.driver(port)
            return _seen(not nodes and not driver, nodes, f"driver={driver or '-'}")
        return _seen(False, blocks.below(place), "scsi=present")

    def places(self, port: Port) -> tuple[str, ...]:
        """By the block devices below it."""
        if port.kind == "phone":
            return ()
        nodes = blocks.below(discs.folder(port) if port.kind == "optical" else self._place(port))
        return tuple(os.fsdecode(mount.path) for mount in blocks.places(nodes))

    def close(self, port: Port) -> None:
        """Take the mark away first, so that nobody opens it in between."""
        name = _name(port)
        rules.unmark("open", name)
        rules.unmark("write", name)
        if port.kind in ("usb", "phone"):
            interface = self._interface(port)
            if interface is not None:
                usb.close(interface)
        elif port.kind == "sd":
            if cards.folder(port).exists():
                cards.close(port)
        else:
            discs.close(port)

    def open(self, port: Port, *, write: bool) -> None:
        """Say what is allowed, then let it through; what is there already becomes read-only here."""
        if not write and port.kind == "phone":
            raise Unsupported(
                "スマートフォン等(MTP/PTP)は読み取り専用で開放できません。",
                "a phone or camera (MTP, PTP) cannot be opened for reading only",
            )
        if not write and port.kind == "optical" and discs.can_write():
            raise Unsupported(
                "書き込みのできる光学ドライブは読み取り専用で開放できません。",
                "an optical drive that can write cannot be opened for reading only",
            )
        name = _name(port)
        rules.mark("open", name)
        if write:
            rules.mark("write", name)
        else:
            rules.unmark("write", name)
        if port.kind in ("usb", "phone"):
            interface = self._interface(port)
            if interface is None:
                raise OSError("it is gone")
            if not interface.authorized:
                usb.open_(interface)
        elif port.kind == "sd":
            if not cards.driver(port):
                cards.open_(port)
        elif not discs.folder(port).exists():
            discs.open_(port)
        if not write and port.kind != "optical":
            for node in blocks.below(self._place(port)):
                if not node.read_only:
                    blocks.make_read_only(node)

    def keep_closing(self, name: str, port: Port, until_up: int) -> None:
        """A small unit of its own, which systemd keeps apart from the agent's."""
        until = str(until_up // 1_000_000 + _GRACE)
        self.forget_closing(name)
        shell, script = rules.program("sh"), str(rules.CLOSER)
        if shell is None or not rules.CLOSER.exists():
            raise OSError("what closes without the agent is not there")
        command = [shell, script, until, _target(port)]
        if _SYSTEMD.is_dir():
            unit = f"--unit={_unit(name)}"
            if not rules.tell("systemd-run", "--quiet", "--collect", unit, "--", *command):
                raise OSError("systemd did not start what closes without the agent")
            return
        self._watches[name] = subprocess.Popen(  # noqa: S603 - our own words only
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def forget_closing(self, name: str) -> None:
        """End the unit."""
        if _SYSTEMD.is_dir():
            rules.tell("systemctl", "stop", _unit(name))
        watch = self._watches.pop(name, None)
        if watch is not None:
            watch.terminate()
            watch.wait(5.0)

    def users(self) -> tuple[str, ...]:
        """By logind's account of sessions."""
        found = set()
        for name in names(LOGIND):
            text = rules.read(LOGIND / name)
            values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
            here = values.get("ACTIVE") == "1" and values.get("REMOTE", "0") == "0"
            if here and values.get("CLASS", "user") == "user" and values.get("USER"):
                found.add(values["USER"])
        return tuple(sorted(found))

    def attempt(self, ports: list[Port]) -> list[Tried]:
        """See `trying`."""
        found = []
        for port in ports:
            interface = self._interface(port) if port.kind in ("usb", "phone") else None
            found.append(trying.of_port(port, interface, partial(self.look, port)))
        return found

    def remove(self) -> None:
        """Also what an earlier agent did."""
        if os.geteuid() != 0:
            return
        for name in list(self._watches):
            self.forget_closing(name)
        if self._before.exists() or rules.RULES.exists() or rules.SCRIPT.exists() or rules.RUN.exists():
            if _SYSTEMD.is_dir():
                rules.tell("systemctl", "stop", _unit("*"))
            self.guard(())

    def _interface(self, port: Port) -> Interface | None:
        return next((one for one in usb.interfaces() if one.id == port.id), None)

    def _place(self, port: Port) -> Path:
        return cards.folder(port) if port.kind == "sd" else usb.DEVICES / _name(port)

    def _remember(self) -> None:
        """What the buses were like before: once, and before the first change."""
        if self._before.exists():
            return
        paths = [host / "interface_authorized_default" for host in usb.hosts()]
        paths += [SYS / "bus" / bus / "drivers_autoprobe" for bus in cards.BUSES]
        before = {str(path): attribute(path) for path in paths if path.exists()}
        if rules.is_masked():
            before[str(rules.OBEX)] = "masked"
        files.replace(self._before, msgspec.json.encode(before))

    def _restore(self) -> None:
        """What was closed before the shutter is again; then nothing is remembered."""
        with contextlib.suppress(OSError, ValueError, msgspec.DecodeError):
            before = msgspec.json.decode(files.read(self._before, 64 * 1024), type=dict[str, str])
            for path, value in before.items():
                if value == "masked":
                    rules.mask()
                elif value == "0" and Path(path).exists():
                    put(Path(path), value)
        files.unlink(self._before)


def _seen(shut: bool, nodes: list[Block], facts: str) -> Seen:
    known = not (_UDEV / "control").exists() or all((_UDEV / "data" / f"b{n.number}").exists() for n in nodes)
    places = tuple(os.fsdecode(mount.path) for mount in blocks.places(nodes))
    writable = any(not node.read_only for node in nodes)
    shown = ",".join(f"{node.name}({'ro' if node.read_only else 'rw'})" for node in nodes) or "-"
    return Seen(
        shut, bool(nodes) and known, writable, tuple(n.name for n in nodes), places, f"{facts} nodes={shown}"
    )


def _name(port: Port) -> str:
    """As the kernel names its place."""
    return port.id.partition("#")[0].rpartition("/")[2]


def _target(port: Port) -> str:
    """The port in the words of closer.sh."""
    place, _, connection = port.id.partition("#")
    if port.kind in ("usb", "phone"):
        return f"usb,{place},{connection}"
    bus, _, name = place.partition("/")
    return f"card,{bus},{name}" if port.kind == "sd" else f"scsi,{name}"


def _unit(name: str) -> str:
    return f"securepc-shutter-{name}.service"
