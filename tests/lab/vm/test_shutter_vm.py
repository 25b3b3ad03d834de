"""The Storage Shutter on a real kernel: nothing of a medium can be read unless it was granted, everything
else works; what is opened is recorded and closes on time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labvm import Machine
from labvm.office import Office
from shutter_kit import (
    LIST,
    MEDIA,
    OTHER,
    STICK,
    UAS,
    ask,
    door,
    grant,
    node,
    set_policy,
)

soak = pytest.mark.soak  # minutes under emulation


@pytest.fixture(scope="module", autouse=True)
def shut(pc: Machine, office: Office) -> Iterator[None]:
    set_policy(office, on=True)
    pc.wait_for(lambda: door(pc).get("state") == "shut", what="the door")
    yield


def closed_kinds(pc: Machine) -> list[str]:
    return sorted(one["kind"] for one in ask(pc, "shutter.media")["media"] if one["closed"])


def pc_time(pc: Machine) -> int:
    """Microseconds by the PC's own clock."""
    return int(pc.out("date +%s%6N"))


def take_back(office: Office, number: str) -> None:
    """An administrator closes what is open."""
    office.issue("shutter.close", {"grant": number})


def read_again(pc: Machine, office: Office, number: str) -> dict[str, Any] | None:
    """A medium is watched a moment after it was mounted, a long one on a slow machine."""
    pc.run("cat /mnt/m/名簿.csv", user="hanako")
    found = [one for one in office.entries(kind="media.read") if one["data"]["grant"] == number]
    return found[0] if found else None


def test_no_file_of_any_medium_can_be_read_and_the_rest_works(
    pc: Machine, office: Office, tmp_path: Path
) -> None:
    (tmp_path / "写真.jpg").write_bytes(b"jpeg")
    started = time.monotonic()
    pc.plug_stick(STICK, {"名簿.csv": LIST})
    pc.plug_uas(UAS, {"x.txt": b"x"}, fs="ext4")
    pc.plug_sd({"c.txt": b"card"})
    pc.plug_drive({"d.txt": b"disc"})
    phone = pc.plug_phone(tmp_path)
    mouse, keyboard = pc.plug_mouse(), pc.plug_keyboard()
    for serial in (STICK, UAS):
        office.wait_entry("media.denied", serial=serial)
    print(f"told after {time.monotonic() - started:.1f} s")
    denied = office.wait_entry("media.denied", serial=STICK)
    assert denied["result"] == "blocked" and "authorized=0" in denied["data"]["observed"]
    kinds = ["optical", "phone", "sd", "usb", "usb"]
    pc.wait_for(lambda: closed_kinds(pc) == kinds, what="five closed media")
    assert pc.out(MEDIA) == ""
    # A phone: there, charging (its configuration is set), but nobody gets at its files.
    found = pc.run("mtp-files 2>&1", check=False, timeout=120).out
    assert "写真" not in found, found
    folder = pc.out("dirname $(grep -l -x 06 /sys/bus/usb/devices/*/bInterfaceClass)").rpartition(":")[0]
    assert pc.out(
        f"cat {folder}/authorized {folder}/bConfigurationValue {folder}/*:1.0/authorized"
    ).split() == [
        "1",
        "1",
        "0",
    ]
    # Mouse and keyboard work: the kernel has them as inputs, and a moved mouse is an event.
    pc.wait_run("test $(grep -c -e QEMU.USB.Mouse -e QEMU.USB.Keyboard /proc/bus/input/devices) = 2")
    event = pc.out("grep -l 'QEMU USB Mouse' /sys/class/input/event*/device/name | cut -d/ -f5")
    pc.run(f"setsid cat /dev/input/{event} >/root/moved 2>&1 </dev/null & echo $! >/root/reading; sleep 1")
    pc.qmp("input-send-event", events=[{"type": "rel", "data": {"axis": "x", "value": 9}}])
    pc.wait_run("test -s /root/moved")
    pc.run("kill $(cat /root/reading)")
    assert door(pc)["state"] == "shut"
    # Files by Bluetooth: what a desktop would start for them is not to be started.
    assert pc.out("readlink /etc/systemd/user/obex.service") == "/dev/null"
    for one in (phone, mouse, keyboard):
        pc.unplug(one)


@soak
def test_closed_media_refuse_those_who_try(pc: Machine, office: Office) -> None:
    """The self-test that administrators order: as a driver and as a program would."""
    office.issue("shutter.test")
    found = office.wait_entry("shutter.test")
    assert found["result"] == "ok"
    assert found["data"]["read"] == "refused", found
    assert "claim=" in found["data"]["observed"]


@soak
def test_a_grant_for_reading_lets_nothing_be_written(pc: Machine, office: Office) -> None:
    pc.plug_stick(OTHER, {"y.txt": b"y"})
    office.wait_entry("media.denied", serial=OTHER)
    asked = pc_time(pc)
    number = grant(pc, office, STICK, 90)
    opened = office.wait_entry("shutter.open", grant=number)
    assert opened["result"] == "ok" and "(ro)" in opened["data"]["observed"]
    assert opened["at"] < asked + 40_000_000, "a PC that waits for its next look takes a minute"
    part = node(pc, STICK)
    disk = part.rstrip("0123456789")
    assert pc.out("ls /dev/sd?") == f"/dev/{disk}"  # neither the other stick nor the UAS disk
    for name in (disk, part):
        written = pc.run(f"dd if=/dev/zero of=/dev/{name} bs=512 count=1 conv=fsync 2>&1", check=False)
        assert written.code != 0, written
        assert pc.out(f"blockdev --getro /dev/{name}") == "1"
    pc.run(f"mkdir -p /mnt/m; mount -o rw /dev/{part} /mnt/m", check=False)
    assert pc.run("mountpoint -q /mnt/m && touch /mnt/m/x", check=False).code != 0
    pc.run(f"! mountpoint -q /mnt/m || umount /mnt/m; mount -o ro /dev/{part} /mnt/m && sleep 1")
    assert pc.run("cat /mnt/m/名簿.csv", user="hanako").out == LIST.decode()
    read = pc.wait_for(lambda: read_again(pc, office, number), what="the reading among the entries")
    assert read["data"]["path"] == "/mnt/m/名簿.csv" and read["user"] == "hanako"
    # It closes on time, with the network down and the clock set back, though it is in use.
    pc.network(False)
    pc.shift_clock(-7200)
    pc.run("cd /mnt/m && setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $! >/root/holder; sleep 1")
    pc.wait_run("! ls /dev/sd?", seconds=150)
    print("closed with the network down and the clock set back")
    assert pc.out(MEDIA) == ""
    pc.run("kill $(cat /root/holder) || true")
    pc.shift_clock(7200)
    pc.network(True)
    closed = office.wait_entry("shutter.close", grant=number)
    assert closed["data"]["reason"] == "deadline" and closed["data"]["counts"]["read"] >= 1
    assert "authorized=0" in closed["data"]["observed"]


@soak
def test_what_is_copied_is_found_with_its_hash(pc: Machine, office: Office) -> None:
    number = grant(pc, office, STICK, 300, access="write")
    office.wait_entry("shutter.open", grant=number)
    part = node(pc, STICK)
    pc.run(f"mount -o uid=hanako /dev/{part} /mnt/m && sleep 1")
    pc.wait_for(lambda: read_again(pc, office, number), what="the watch")
    text = "見積書 第12号\n" * 1000
    pc.run("cat > ~/見積書.txt && cp ~/見積書.txt /mnt/m/ && rm /mnt/m/名簿.csv", user="hanako", input=text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    found = office.wait_entry("media.write", grant=number, sha256=digest)
    assert found["data"]["size"] == len(text.encode())
    assert found["data"]["path"] == "/mnt/m/見積書.txt" and found["data"]["process"] == "cp"
    office.wait_entry("media.delete", grant=number, path="/mnt/m/名簿.csv")
    take_back(office, number)
    closed = office.wait_entry("shutter.close", grant=number)
    assert closed["data"]["reason"] == "taken back" and closed["data"]["counts"]["write"] >= 1
    assert pc.out(MEDIA) == ""


@soak
@pytest.mark.parametrize(
    ("kind", "product", "device", "text"),
    [("sd", "", "mmcblk0p1", "card"), ("optical", "QEMU CD-ROM", "sr0", "disc")],
)
def test_a_card_and_a_disc_open_each_for_itself(
    pc: Machine, office: Office, kind: str, product: str, device: str, text: str
) -> None:
    number = grant(pc, office, "", 300, kind=kind, product=product)
    assert office.wait_entry("shutter.open", grant=number)["result"] == "ok"
    pc.wait_run(f"test -b /dev/{device}")
    assert pc.out("ls /dev/sd? /dev/sr? /dev/mmcblk?p? 2>/dev/null || true") == f"/dev/{device}"
    assert pc.run(f"mount -o ro /dev/{device} /mnt/m && cat /mnt/m/?.txt").out == text
    take_back(office, number)
    assert office.wait_entry("shutter.close", grant=number)["result"] == "ok"
    assert pc.out(MEDIA) == ""
