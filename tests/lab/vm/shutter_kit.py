"""What scenarios about the Storage Shutter share: its policy, questions at the agent's socket, grants."""

from __future__ import annotations

import json
from typing import Any

from labvm import Failed, Machine
from labvm.office import Office

from securepc.wire import policy

STICK, OTHER, UAS = "KAKUU-STICK-1", "KAKUU-STICK-2", "KAKUU-UAS-1"
LIST = "氏名,電話\n架空 花子,000-0000-0000\n".encode()
BUSES = "grep -H . /sys/bus/usb/devices/usb*/interface_authorized_default /sys/bus/*/drivers_autoprobe"
OURS = (
    "ls -d /etc/udev/rules.d/*securepc* /etc/securepc/shutter /etc/modprobe.d/securepc* /run/securepc/shutter"
    " /etc/systemd/user/obex.service"
)
MEDIA = "ls /dev/sd? /dev/sd?? /dev/mmcblk* /dev/sg* /dev/sr* 2>/dev/null || true"


def set_policy(office: Office, **shutter: Any) -> None:
    """Rules for the whole office, as the console signs them."""
    rules = policy.default_rules()
    rules["doors"] = {**rules.get("doors", {}), "shutter": {"test_days": 0, **shutter}}
    office.manager.policies.change(office.log, rules, actor="test")


def door(pc: Machine) -> dict[str, Any]:
    """What the agent read back of its door; empty while it does not answer."""
    try:
        return dict(ask(pc, "doors")["doors"].get("shutter", {}))
    except Failed:
        return {}


def ask(pc: Machine, name: str, *, user: str = "", **more: Any) -> dict[str, Any]:
    """A question at the agent's socket, as a program of a user's session asks it."""
    line = json.dumps({"ask": name, **more})
    script = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect('/run/securepc/agent.sock');"
        " s.sendall(sys.stdin.buffer.read()+b'\\n'); print(s.makefile().readline())"
    )
    answer = json.loads(pc.run(f'python3 -c "{script}"', input=line, user=user, timeout=60).out)
    assert "ok" in answer, answer
    return dict(answer["ok"])


def up(pc: Machine) -> int:
    """Microseconds of the machine's boot-time clock."""
    return int(float(pc.out("cut -d' ' -f1 /proc/uptime")) * 1_000_000)


def grant(
    pc: Machine,
    office: Office,
    serial: str,
    seconds: int,
    *,
    access: str = "read",
    kind: str = "usb",
    product: str = "",
) -> str:
    """A grant for one serial number, or for a product where a kind has none; its number."""
    boot = pc.out("tr -d - </proc/sys/kernel/random/boot_id")
    fields = {
        "boot": boot,
        "until_up": up(pc) + seconds * 1_000_000,
        "user": None,
        "access": access,
        "medium": {"kind": kind, "vendor": "", "product": product, "serial": serial},
        "purpose": "見積書の持出し",
        "requester": "hanako",
        "approver": "taro",
    }
    with office.manager.database.write() as session:
        number = office.manager.commands.grant(
            session, office.log, office.device, fields, actor="taro", lifetime=3_600_000_000
        )
    return str(number)


def node(pc: Machine, serial: str) -> str:
    """The disk's name, once udev knows it."""
    pc.wait_run(f"ls /dev/disk/by-id/*{serial}*-part1")
    return pc.out(f"basename $(readlink -f /dev/disk/by-id/*{serial}*-part1)")
