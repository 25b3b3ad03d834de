"""The Storage Shutter whatever happens: the agent killed, the PC restarted, the agent removed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from labvm import Machine
from labvm.office import Office
from shutter_kit import (
    BUSES,
    LIST,
    MEDIA,
    OURS,
    STICK,
    UAS,
    door,
    grant,
    set_policy,
)

pytestmark = pytest.mark.soak  # minutes under emulation


@pytest.fixture(scope="module")
def before(pc: Machine) -> str:
    return pc.out(BUSES)


@pytest.fixture(scope="module", autouse=True)
def shut(pc: Machine, office: Office, before: str) -> Iterator[None]:
    set_policy(office, on=True)
    pc.plug_stick(STICK, {"名簿.csv": LIST})
    pc.plug_uas(UAS, {"x.txt": b"x"}, fs="ext4")
    pc.plug_sd({"c.txt": b"card"})
    pc.wait_for(lambda: door(pc).get("state") == "shut", what="the door")
    yield


def test_the_agent_killed_closed_stays_closed_and_open_ends(pc: Machine, office: Office) -> None:
    number = grant(pc, office, STICK, 60, access="write")
    office.wait_entry("shutter.open", grant=number)
    pc.wait_run("systemctl is-active securepc-shutter-*")
    pc.run("systemctl kill -s KILL securepc-agent; systemctl stop securepc-agent")
    pc.run("systemctl mask --runtime securepc-agent")
    pc.plug_stick("KAKUU-STICK-3", {"z.txt": b"z"})
    mouse = pc.plug_mouse()
    pc.wait_run("grep -q QEMU.USB.Mouse /proc/bus/input/devices")
    pc.wait_run("! ls /dev/sd?", seconds=120)
    print("closed without the agent")
    assert pc.out(MEDIA) == ""
    pc.unplug(mouse)
    pc.run("systemctl unmask --runtime securepc-agent; systemctl start securepc-agent", timeout=120)
    closed = office.wait_entry("shutter.close", grant=number)
    assert closed["data"]["reason"] == "deadline"
    office.wait_entry("media.denied", serial="KAKUU-STICK-3")


def test_a_reboot_ends_a_grant_and_nothing_is_open_in_between(pc: Machine, office: Office) -> None:
    number = grant(pc, office, STICK, 3000)
    office.wait_entry("shutter.open", grant=number)
    pc.reboot()
    pc.wait_for(lambda: door(pc).get("state") == "shut", what="the door")
    assert pc.out(MEDIA) == ""
    assert office.wait_entry("shutter.close", grant=number)["data"]["reason"] == "reboot"
    log = pc.out("journalctl -b -o short-monotonic -g 'Attached SCSI|mmcblk' -k --no-pager || true")
    print(f"what the kernel saw before udev had its rules:\n{log}")


def as_before(pc: Machine, before: str) -> bool:
    """Each bus as it was, and those that a module brought since then as the kernel makes them."""
    now = pc.out(BUSES).splitlines()
    return set(before.splitlines()) <= set(now) and all(
        line.endswith(("drivers_autoprobe:1", "_default:1")) for line in set(now) - set(before.splitlines())
    )


def test_removed_everything_is_as_before(pc: Machine, office: Office, before: str) -> None:
    set_policy(office, on=False)
    pc.wait_for(lambda: door(pc).get("state") == "off", what="the door off")
    assert as_before(pc, before)
    assert pc.run(OURS, check=False).out.strip() == ""
    pc.wait_run("ls /dev/sda1 /dev/sdb1 /dev/mmcblk0p1")
    set_policy(office, on=True)
    pc.wait_for(lambda: door(pc).get("state") == "shut", what="the door")
    assert pc.out(MEDIA) == ""
    pc.run("systemctl stop securepc-agent && securepc agent remove", timeout=120)
    assert as_before(pc, before)
    assert pc.run(OURS, check=False).out.strip() == ""
    pc.wait_run("ls /dev/sda1 /dev/sdb1 /dev/mmcblk0p1")
