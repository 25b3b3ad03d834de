"""What stands in the operating system itself while the shutter is on: udev rules, a script that they run, and
a module that is not loaded. They work without the agent, also before it starts; `remove` takes all away.

Every bus is told to offer new interfaces and cards to no driver; udev's script lets through what is no
storage. A device that is connected while the PC starts meets drivers for a moment, before udev has read its
rules; the same script takes it away from them, before file systems are mounted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from securepc.agent import files

RULES = Path("/etc/udev/rules.d/71-securepc-shutter.rules")
SCRIPT = Path("/etc/securepc/shutter/guard.sh")
CLOSER = Path("/etc/securepc/shutter/closer.sh")
MODULES = Path("/etc/modprobe.d/securepc-shutter.conf")
OBEX = Path("/etc/systemd/user/obex.service")
RUN = Path("/run/securepc/shutter")
PROGRAMS = "/usr/sbin:/usr/bin:/sbin:/bin"
_NOWHERE = "/dev/null"

_HEAD = """\
# Secure PC, Storage Shutter: closes storage that is connected. Written and removed by the agent.
ACTION!="add", GOTO="securepc_shutter_end"
"""
_USB = """\
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", KERNEL=="usb[0-9]*", ATTR{interface_authorized_default}="0"
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_interface", RUN+="/bin/sh SCRIPT interface %k"
"""
_CARDS = """\
SUBSYSTEM=="subsystem", KERNEL=="mmc|memstick", ATTR{drivers_autoprobe}="0"
SUBSYSTEM=="mmc", RUN+="/bin/sh SCRIPT card mmc %k"
SUBSYSTEM=="memstick", RUN+="/bin/sh SCRIPT card memstick %k"
"""
_DISCS = """\
SUBSYSTEM=="block", KERNEL=="sr[0-9]*", RUN+="/bin/sh SCRIPT disc %k"
"""
_USB_BLOCKS = """\
SUBSYSTEM=="block", SUBSYSTEMS=="usb", DRIVERS=="usb-storage|uas|ums-*", ENV{SECUREPC_PORT}="$id"
"""
_CARD_BLOCKS = """\
SUBSYSTEM=="block", SUBSYSTEMS=="mmc|memstick", DRIVERS=="?*", ENV{SECUREPC_PORT}="$id"
"""
_TAIL = """\
SUBSYSTEM=="block", ENV{SECUREPC_PORT}=="?*", PROGRAM=="/bin/sh SCRIPT block %k $env{SECUREPC_PORT}"
LABEL="securepc_shutter_end"
"""
_FIREWIRE = """\
# Secure PC, Storage Shutter: no disks at FireWire. Written and removed by the agent.
install firewire_sbp2 /bin/false
"""


def wanted(classes: Iterable[str]) -> dict[Path, str]:
    """The files that stand for these classes, by their path."""
    closed = sorted(set(classes))
    found: dict[Path, str] = {}
    parts = [_HEAD]
    if {"usb", "phone"} & set(closed):
        parts.append(_USB)
    if "sd" in closed:
        parts.append(_CARDS)
    if "optical" in closed:
        parts.append(_DISCS)
    if "usb" in closed:
        parts.append(_USB_BLOCKS)
        found[MODULES] = _FIREWIRE
    if "sd" in closed:
        parts.append(_CARD_BLOCKS)
    if len(parts) > 1:
        found[RULES] = "".join([*parts, _TAIL]).replace("SCRIPT", str(SCRIPT))
        found[SCRIPT] = _script(closed)
        found[CLOSER] = (resources.files(__package__) / CLOSER.name).read_text("ascii")
    return found


def install(classes: Iterable[str]) -> None:
    """Put them in place, and take away those that are not wanted.

    Raises:
        OSError: the disk or udev refuses.
    """
    classes = set(classes)
    stand = wanted(classes)
    changed = False
    for path in (SCRIPT, CLOSER, RULES, MODULES):  # the script is there before anything runs it
        text = stand.get(path)
        if text is None:
            continue
        if read(path) != text:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            files.replace(path, text.encode("ascii"))
            path.chmod(0o644)
            changed = True
    for path in (RULES, MODULES, SCRIPT, CLOSER):
        if path not in stand and path.exists():
            files.unlink(path)
            changed = True
    if not stand:
        with contextlib.suppress(OSError):
            SCRIPT.parent.rmdir()
            SCRIPT.parent.parent.rmdir()
    changed |= _obex(masked="bluetooth" in classes)
    if changed:
        tell("udevadm", "control", "--reload")


def missing(classes: Iterable[str]) -> list[Path]:
    """Files that should stand and do not, or say something else."""
    classes = set(classes)
    found = [path for path, text in wanted(classes).items() if read(path) != text]
    if "bluetooth" in classes and not is_masked() and _has_user_units():
        found.append(OBEX)
    return found


def read(path: Path) -> str:
    """A file's text, empty where there is none."""
    try:
        return files.read(path, 64 * 1024).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def program(name: str) -> str | None:
    """Where a program of the system is; users' folders are not looked at."""
    return shutil.which(name, path=PROGRAMS)


def tell(name: str, *arguments: str, seconds: float = 30.0) -> bool:
    """Run a program of the system; whether it went well."""
    path = program(name)
    if path is None:
        return False
    try:
        done = subprocess.run(  # noqa: S603 - a program of the system
            [path, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def mark(kind: str, name: str) -> None:
    """Let the script know of a port that a grant opened: `open`, or `write` besides."""
    (RUN / kind).mkdir(mode=0o755, parents=True, exist_ok=True)
    (RUN / kind / name).touch()


def unmark(kind: str, name: str) -> None:
    """The port is to be closed again."""
    (RUN / kind / name).unlink(missing_ok=True)


def unmark_all() -> None:
    """No port is open."""
    shutil.rmtree(RUN, ignore_errors=True)


def _script(closed: list[str]) -> str:
    text = (resources.files(__package__) / "guard.sh").read_text("ascii")
    settings = f'CLOSED="{" ".join(closed)}" RUN={RUN} BLOCKDEV={program("blockdev") or "/usr/sbin/blockdev"}'
    return text.replace("#SETTINGS", settings, 1)


def _obex(*, masked: bool) -> bool:
    """Files by Bluetooth go through obexd, which a user's systemd starts: unless it is masked."""
    if masked == is_masked():
        return False
    if not masked:
        files.unlink(OBEX)
        return False
    if not _has_user_units() or OBEX.is_symlink() or OBEX.exists():
        return False
    mask()
    for pid in _pids_of("obexd"):
        with contextlib.suppress(OSError):
            os.kill(pid, 15)
    return False


def mask() -> None:
    """Nobody's systemd starts obexd."""
    with contextlib.suppress(FileExistsError):
        OBEX.symlink_to(_NOWHERE)


def is_masked() -> bool:
    """Whether nobody's systemd starts obexd."""
    try:
        return os.readlink(OBEX) == _NOWHERE
    except OSError:
        return False


def _has_user_units() -> bool:
    return OBEX.parent.is_dir()


def _pids_of(name: str) -> list[int]:
    pids = [pid for pid in os.listdir("/proc") if pid.isdigit()]
    return [int(pid) for pid in pids if read(Path("/proc") / pid / "comm").strip() == name]
