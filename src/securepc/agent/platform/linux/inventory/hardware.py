"""The PC itself: maker, model, serial numbers, processor, memory, disks, TPM, secure boot, system. All from
sysfs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_SECURE_BOOT = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_NOT_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd")
_EMPTY = ("", "none", "to be filled by o.e.m.", "default string", "system serial number", "not specified")


def look(root: Path) -> dict[str, Any]:
    """The fields of `software.hardware`. What cannot be read is left out."""
    system = release(root)
    found: dict[str, Any] = {
        "kernel": os.uname().release[:100],
        "os_id": system.get("ID", "")[:40],
        "os_version": system.get("VERSION_ID", "")[:40],
        "support_end": system.get("SUPPORT_END", "")[:10],
    }
    dmi = root / "sys/class/dmi/id"
    for name, file in (
        ("maker", "sys_vendor"),
        ("model", "product_name"),
        ("serial", "product_serial"),
        ("board_serial", "board_serial"),
        ("firmware", "bios_version"),
    ):
        text = _line(dmi / file)
        if text.lower() not in _EMPTY:
            found[name] = text
    match = re.search(r"^model name\s*:\s*(.{1,200})$", _text(root / "proc/cpuinfo"), re.MULTILINE)
    if match:
        found["processor"] = match[1].strip()
    memory = re.search(r"^MemTotal:\s*(\d{1,15}) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    if memory:
        found["memory"] = int(memory[1]) * 1024
    found["disks"] = _disks(root)
    found["macs"] = _macs(root)
    tpm = _line(root / "sys/class/tpm/tpm0/tpm_version_major")
    found["tpm"] = tpm or ("yes" if (root / "sys/class/tpm/tpm0").exists() else "no")
    found["secure_boot"] = _secure_boot(root)
    return {
        "hardware": {name: value for name, value in found.items() if value != ""},
        "os": (system.get("PRETTY_NAME") or system.get("NAME") or "Linux")[:200],
    }


def release(root: Path) -> dict[str, str]:
    """os-release(5)."""
    text = _text(root / "etc/os-release") or _text(root / "usr/lib/os-release")
    values = {}
    for line in text.splitlines():
        name, found, value = line.partition("=")
        if found and name.isidentifier():
            values[name] = value.strip().strip("\"'")
    return values


def _disks(root: Path) -> list[dict[str, Any]]:
    disks = []
    for path in _folder(root / "sys/block"):
        if path.name.startswith(_NOT_DISKS) or _line(path / "removable") == "1":
            continue
        sectors = _line(path / "size")
        disk: dict[str, Any] = {
            "name": path.name[:40],
            "model": _line(path / "device/model"),
            "serial": _line(path / "device/serial") or _line(path / "serial"),
            "size": int(sectors) * 512 if sectors.isdecimal() and len(sectors) < 16 else 0,
        }
        disks.append({name: value for name, value in disk.items() if value})
    return disks[:20]


def _macs(root: Path) -> list[str]:
    return [
        _line(path / "address") for path in _folder(root / "sys/class/net") if (path / "device").exists()
    ][:20]


def _secure_boot(root: Path) -> str:
    """on, off, or legacy where the PC was not started by UEFI. The last of the variable's five bytes says
    it."""
    if not (root / "sys/firmware/efi").exists():
        return "legacy"
    try:
        with (root / "sys/firmware/efi/efivars" / _SECURE_BOOT).open("rb") as file:
            value = file.read(8)
    except OSError:
        return "unknown"
    return "unknown" if len(value) != 5 else "on" if value[4] == 1 else "off"


def _folder(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())[:200]
    except OSError:
        return []


def _line(path: Path) -> str:
    text = _text(path).strip()
    return text[:200] if text.isprintable() else ""


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(1 << 18).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
