"""Updates: what is pending by apt's last lists, how old those are, whether a restart is due, and whether
the PC updates itself. Nothing is fetched from the network."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from securepc.agent.platform.linux.inventory.run import find, run

STALE = 7 * 24 * 3600
"""Seconds after which package lists say too little: distributions publish security updates every few days."""
MOST = 150
_INST = re.compile(r"Inst (\S+) (?:\[(\S+)\] )?\((\S+) ([^)\[]*)")
_DAY = 24 * 3600


def look(root: Path, os_name: str) -> dict[str, Any]:
    """The fields of `software.updates`. `state`: current, pending, stale (the lists are too old to say) or
    unknown."""
    data: dict[str, Any] = {"os": os_name, "reboot": reboot(root), "automatic": automatic()}
    listed = lists_at(root)
    if find("apt-get") is None:
        return {
            **data,
            "state": "unknown",
            **_say("apt以外は調べられません。", "only apt can be asked"),
        }
    if listed is None:
        return {
            **data,
            "state": "unknown",
            **_say("更新情報を一度も取得していません。", "package lists were never fetched"),
        }
    data["lists"] = listed * 1_000_000
    try:
        ran = run(["apt-get", "-s", "-q", "-o", "Debug::NoLocking=1", "dist-upgrade"], 120.0)
    except subprocess.TimeoutExpired:
        return {**data, "state": "unknown", **_say("aptが応答しません。", "apt does not answer")}
    if ran.code:
        why = (ran.err.strip().splitlines() or ["?"])[-1][:200]
        return {
            **data,
            "state": "unknown",
            **_say(f"aptがエラーを返しました({why})。", f"apt failed ({why})"),
        }
    pending = parse(ran.out)
    data["count"] = len(pending)
    data["security"] = sum(security for *_, security in pending)
    pending.sort(key=lambda one: (not one[3], one[0]))
    data["updates"] = [[name, old, new, int(security)] for name, old, new, security in pending[:MOST]]
    age = time.time() - listed
    if age > STALE:
        days = int(age // _DAY)
        sentence = _say(
            f"更新情報が{days}日前のものです。新しい更新が出ていても分かりません。",
            f"the package lists are {days} days old: newer updates are not seen",
        )
        return {**data, "state": "stale", **sentence}
    return {**data, "state": "pending" if pending else "current"}


def parse(text: str) -> list[tuple[str, str, str, bool]]:
    """What `apt-get -s` would install: name, version before (may be empty), version after, for security."""
    found = []
    for line in text.splitlines():
        match = _INST.match(line)
        if match:
            name, old, new, origin = match.groups()
            found.append((name[:200], (old or "")[:120], new[:120], "security" in origin.lower()))
    return found


def lists_at(root: Path) -> int | None:
    """When package lists were last fetched (seconds UTC). apt gives files the server's time, so it is their
    ctime that counts."""
    times = []
    folder = root / "var/lib/apt/lists"
    try:
        times += [
            int(one.stat().st_ctime)
            for one in folder.iterdir()
            if one.name.endswith(("InRelease", "_Release", "_Packages"))
        ]
        stamp = root / "var/lib/apt/periodic/update-success-stamp"
        if times and stamp.exists():
            times.append(int(stamp.stat().st_mtime))
    except OSError:
        return None
    return max(times) if times else None


def automatic() -> bool | None:
    """Whether updates are installed without anybody's doing: unattended-upgrades is there and switched on.
    None where that cannot be read."""
    try:
        ran = run(["apt-config", "dump", "--format", "%f=%v%n", "APT::Periodic"], 20.0)
    except (OSError, subprocess.TimeoutExpired):
        return None
    values = dict(line.split("=", 1) for line in ran.out.splitlines() if "=" in line)

    def on(name: str) -> bool:
        return values.get(f"APT::Periodic::{name}", "0") not in ("", "0")

    return find("unattended-upgrade") is not None and on("Unattended-Upgrade") and on("Update-Package-Lists")


def reboot(root: Path) -> list[list[str]]:
    """Why the PC must be restarted for updates to take effect: [why, of what]."""
    reasons = []
    required = root / "run/reboot-required"
    if required.exists():
        try:
            named = sorted(set((root / "run/reboot-required.pkgs").read_text("utf-8", "replace").split()))
        except OSError:
            named = []
        reasons.append(["required", ", ".join(named)[:200]])
    kernel = _newer_kernel(root, os.uname().release)
    if kernel:
        reasons.append(["kernel", kernel])
    programs = sorted(_old_libraries())
    if programs:
        reasons.append(["libraries", ", ".join(programs)[:200]])
    return reasons


def _newer_kernel(root: Path, running: str) -> str:
    """A kernel of the same flavour that is installed and newer than the one that runs."""
    flavour = re.sub(r"^[0-9.+~\-]*", "", running)
    try:
        names = [one.name.removeprefix("vmlinuz-") for one in (root / "boot").glob("vmlinuz-*")]
    except OSError:
        return ""
    same = [name for name in names if re.sub(r"^[0-9.+~\-]*", "", name) == flavour]
    newest = max(same, key=_order, default="")
    if newest and running in same and _order(newest) > _order(running):
        return f"{running} → {newest}"
    return ""


def _order(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _old_libraries() -> set[str]:
    """Programs that still use a library which an update has replaced."""
    found = set()
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            with open(f"/proc/{pid}/maps", "rb") as lines:
                old = any(
                    line.endswith(b".so (deleted)\n") or (b".so." in line and line.endswith(b"(deleted)\n"))
                    for line in lines
                    if b" /usr/" in line or b" /lib" in line
                )
            if old:
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                    found.add(file.read().strip()[:40])
        except OSError:
            continue
    return found


def _say(ja: str, en: str) -> dict[str, str]:
    return {"ja": ja, "en": en}
