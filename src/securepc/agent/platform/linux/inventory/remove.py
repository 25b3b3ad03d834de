"""Take a program away with its own package manager, and look whether it is gone."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from securepc.agent.platform.base.inventory import NotRemoved
from securepc.agent.platform.linux.inventory import dpkg
from securepc.agent.platform.linux.inventory.run import run
from securepc.wire.software import Program

OURS = ("securepc", "securepc-agent")
_NEVER = re.compile(
    r"linux-image-.*|systemd(-sysv)?|dbus|sudo|apt|dpkg|passwd|login|libc6|grub-.*|shim-.*|cryptsetup.*"
    r"|network-manager|wpasupplicant|nftables|openssh-server|gdm3|lightdm|sddm|python3(\.\d+)?(-minimal)?"
)
"""What a PC does not start, log on or reach the manager without, and what the agent runs on."""
_REMOVED = re.compile(r"^(?:Remv|Purg) (\S+)", re.MULTILINE)
_LOCKED = ("Could not get lock", "dpkg frontend lock", "is another process using it")
_BROKEN = "dpkg was interrupted"
_LONG = 900.0


def package(root: Path, program: Program, may_go: frozenset[str]) -> str:
    """Remove a Debian package with apt-get. First apt says what else it would remove: if that is anything but
    `may_go`, nothing is touched.

    Raises:
        NotRemoved: see `Inventory.remove`.
    """
    before = _packages(root)
    found = before.get(program.key)
    if found is None:
        return "gone"
    if _is_kept(found):
        raise NotRemoved(
            f"「{program.name}」はこのPCに欠かせないため、削除しません。",
            f"{program.name} is something this PC cannot do without; it is not removed",
        )
    name = f"{program.name}:{program.arch}" if program.arch not in ("all", "") else program.name
    kept = {one.program.name for one in before.values() if _is_kept(one)}
    others = _would_go(name) - (may_go - kept)
    if others:
        listed = ", ".join(sorted(others)[:8])
        raise NotRemoved(
            f"「{program.name}」を削除すると、ほかのソフトウェアも失われるため、削除しませんでした({listed})。",
            f"removing {program.name} would take others with it, so it was not done ({listed})",
        )
    files = dpkg.files(root, program)
    _apt_get(["remove", "--", name], _LONG)
    after = _packages(root)
    if program.key in after:
        raise NotRemoved(
            f"削除の後も「{program.name}」がパッケージとして残っています。",
            f"after the removal {program.name} is still there as a package",
            again=True,
        )
    left = [path for path in files if os.path.lexists(root / path.lstrip("/"))]
    if left:
        raise NotRemoved(
            f"「{program.name}」のパッケージは削除されましたが、プログラムのファイルが残っています({left[0]})。",
            f"the package {program.name} is gone, but files of it are left ({left[0]})",
        )
    seen = ["gone"]
    lost = sorted(key[1] for key in before.keys() - after.keys() - {program.key})
    if lost:
        seen.append(f"gone with it: {', '.join(lost[:8])}")
    running = _still_running(set(files))
    if running:
        seen.append(f"still running: {', '.join(running[:5])}")
    return "; ".join(seen)


def _is_kept(package: dpkg.Package) -> bool:
    name = package.program.name
    return package.kept or name in OURS or _NEVER.fullmatch(name) is not None


def _packages(root: Path) -> dict[tuple[str, str, str], dpkg.Package]:
    try:
        packages = dpkg.read(root).packages
    except (OSError, ValueError) as error:
        raise NotRemoved(
            f"パッケージの一覧を読めません({error})。", f"the list of packages cannot be read ({error})"
        ) from None
    return {one.program.key: one for one in packages}


def _would_go(name: str) -> set[str]:
    """What apt would remove, by name, `:arch` left off."""
    said = _apt_get(["-s", "remove", "--", name], 120.0)
    return {one.partition(":")[0] for one in _REMOVED.findall(said)} - {name.partition(":")[0]}


def _apt_get(arguments: list[str], seconds: float) -> str:
    options = ["-y", "-q", "-o", "Dpkg::Use-Pty=0", "-o", "Dpkg::Options::=--force-confold"]
    try:
        command = ["apt-get", *options, "-o", "DPkg::Lock::Timeout=60", *arguments]
        ran = run(command, seconds, apart="-s" not in arguments)
    except FileNotFoundError:
        raise NotRemoved("apt-getがありません。", "there is no apt-get") from None
    except subprocess.TimeoutExpired:
        raise NotRemoved(
            "削除が時間内に終わりませんでした。", "the removal did not end in time", again=True
        ) from None
    if ran.code:
        lines = [line for line in (ran.err or ran.out).splitlines() if line.strip()]
        why = (next((line for line in lines if line.startswith("E: ")), lines[0] if lines else "?"))[:200]
        again = any(word in ran.err for word in _LOCKED)
        if _BROKEN in ran.err:
            why = "dpkg --configure -a"
        raise NotRemoved(f"apt-getがエラーを返しました({why})。", f"apt-get failed ({why})", again=again)
    return ran.out


def _still_running(files: set[str]) -> list[str]:
    """Processes whose program is one of these files, removed as it is."""
    found = []
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            exe = os.readlink(f"/proc/{pid}/exe")
        except OSError:
            continue
        if exe.removesuffix(" (deleted)") in files:
            found.append(f"{os.path.basename(exe.removesuffix(' (deleted)'))} ({pid})")
    return found
