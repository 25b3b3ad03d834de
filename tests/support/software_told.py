"""What a PC of a test tells of its software."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiny_device import Device, now

from securepc.wire import event, software
from securepc.wire.software import Program

CHROME = Program("dpkg", "google-chrome-stable", "amd64", "140.0.1-1", "Google <g@google.com>")
VIM = Program("dpkg", "vim", "amd64", "2:9.0", "Debian Vim <team+vim@tracker.debian.org>")
MINER = Program("dpkg", "xmrig", "amd64", "6.2", "=cmd|' /C calc'!A0")
LIBRARY = Program("dpkg", "libtinfo6", "amd64", "6.4", "Craig Small <csmall@debian.org>", "", True)
PROGRAMS = (CHROME, VIM, MINER, LIBRARY)
MACHINE = {
    "os_id": "debian",
    "os_version": "10",
    "maker": "架空電子",
    "model": "NX-1",
    "serial": "SN-001",
    "memory": 8 * 2**30,
    "disks": [{"name": "sda", "model": "SSD", "serial": "D-1", "size": 256_000_000_000}],
    "tpm": "2",
}
STATES: dict[str, dict[str, Any]] = {
    "software.hardware": {"hardware": MACHINE, "os": "Debian GNU/Linux 10 (buster)"},
    "software.updates": {
        "state": "pending",
        "count": 2,
        "security": 1,
        "lists": 1_795_000_000_000_000,
        "updates": [["libssl3", "3.0.15", "3.0.17", 1], ["tzdata", "2024a", "2025b", 0]],
        "reboot": [["kernel", "6.1.0-9-amd64 → 6.1.0-30-amd64"]],
        "automatic": False,
    },
    "software.antivirus": {
        "state": "none",
        "ja": "ウイルス対策ソフトは見つかりません。",
        "en": "none was found",
    },
    "software.encryption": {
        "state": "plain",
        "volumes": {"/": "plain"},
        "ja": "暗号化されていません: /",
        "en": "not encrypted: /",
    },
    "software.firewall": {"state": "on"},
    "software.accounts": {
        "state": "open",
        "administrators": ["root", "tanaka"],
        "unprotected": ["guest"],
        "autologon": ["tanaka"],
        "ja": "パスワードのないアカウント: guest。",
        "en": "accounts without a password: guest",
    },
}


def told(kind: str, user: str = "", **data: Any) -> bytes:
    """An entry of now."""
    return event.to_entry(event.Event(kind, now(), 1_000_000, "ab" * 16, user, "1.1", data=data))


def inventory(programs: Sequence[Program], **more: Any) -> list[bytes]:
    """The entries of a whole inventory."""
    parts = list(software.parts(programs))
    report = software.digest(programs)
    return [
        told(
            "software.inventory",
            report=report,
            part=number,
            parts=len(parts),
            count=len(programs),
            programs=rows,
            unseen=[["見えません。", "Not seen."]],
            **more,
        )
        for number, rows in enumerate(parts, 1)
    ]


def everything(pc: Device) -> None:
    """Its whole inventory and its state."""
    entries = inventory(PROGRAMS) + [told(kind, **data) for kind, data in STATES.items()]
    entries.append(
        told(
            "software.violation", software="xmrig", arch="amd64", source="dpkg", rule="xmrig*", action="told"
        )
    )
    pc.send(pc.seal_batch(entries))
