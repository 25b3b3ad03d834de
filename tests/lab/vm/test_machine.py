"""The lab's machine itself: what the other scenarios stand on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from labvm import Failed, Machine


def test_commands_files_and_their_ends(vm: Machine) -> None:
    assert vm.run("echo 出力; echo 誤り >&2; exit 3", check=False) == (3, "出力\n", "誤り\n")
    with pytest.raises(Failed, match="not there"):
        vm.run("ls '/not there'")
    assert vm.run("sleep 60", check=False, timeout=1).code == -1
    data = bytes(range(256)) * 12_345
    started = time.monotonic()
    vm.push(data, "/root/控え.bin", 0o600)
    print(f"{len(data)} bytes in {time.monotonic() - started:.1f} s")
    assert vm.out("stat -c '%s %a' /root/控え.bin") == f"{len(data)} 600"
    assert vm.pull("/root/控え.bin") == data
    assert vm.out("id -un", user="hanako") == "hanako"
    assert abs(float(vm.out("date +%s")) - time.time()) < 5


def test_what_is_plugged_in_is_there_and_goes(vm: Machine, tmp_path: Path) -> None:
    """Nothing guards this machine yet: all that the guard has to stop works."""
    (tmp_path / "photo.jpg").write_bytes(b"jpeg")
    started = time.monotonic()
    stick = vm.plug_stick("KAKUU-1", {"名簿/顧客.csv": b"1,2,3\n"})
    uas = vm.plug_uas("KAKUU-2", {"x.txt": b"x"}, fs="ext4")
    card = vm.plug_sd({"c.txt": b"card"})
    phone = vm.plug_phone(tmp_path)
    mouse, keyboard = vm.plug_mouse(), vm.plug_keyboard()
    for disk in ("/dev/sda1", "/dev/sdb1", "/dev/mmcblk0p1"):
        vm.wait_run(f"test -b {disk}")
    print(f"plugged in and found after {time.monotonic() - started:.1f} s")
    by_id = vm.out("ls /dev/disk/by-id")
    assert "KAKUU-1-0:0" in by_id and "KAKUU-2" in by_id
    found = {}
    for disk in ("sda1", "sdb1", "mmcblk0p1"):
        vm.run(f"mkdir -p /mnt/{disk} && mount -o ro /dev/{disk} /mnt/{disk}")
        found[disk] = vm.out(f"cd /mnt/{disk} && find . -type f")
        vm.run(f"umount /mnt/{disk}")
    assert sorted(found.values()) == ["./c.txt", "./x.txt", "./名簿/顧客.csv"]
    assert "uas" in vm.out("readlink /sys/bus/usb/devices/*/driver /sys/bus/usb/devices/*/*/driver")
    assert "photo.jpg" in vm.out("mtp-files 2>&1", timeout=120)
    assert vm.out("grep -c -e QEMU.USB.Mouse -e QEMU.USB.Keyboard /proc/bus/input/devices") == "2"
    for one in (stick, uas, card, phone, mouse, keyboard):
        vm.unplug(one)
    vm.wait_run("! ls /dev/sd? /dev/mmcblk0 2>/dev/null && ! grep -q QEMU.USB /proc/bus/input/devices")


def test_the_cable_and_the_screen(vm: Machine, tmp_path: Path) -> None:
    vm.network(False)
    vm.wait_run("grep -q 0 /sys/class/net/eth0/carrier")
    vm.network(True)
    vm.wait_run("ip -4 addr show dev eth0 | grep -q 10.0.2.15 && ping -c1 -W2 10.0.2.2")
    assert vm.screenshot(tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG")


def test_a_session_and_the_ends_of_a_machine(vm: Machine) -> None:
    session = vm.sit_down()
    assert vm.out(f"loginctl show-session {session} -p Name -p Seat").split() == ["Name=hanako", "Seat=seat0"]
    vm.run("echo stays >/root/stays && sync")
    boot = vm.out("cat /proc/sys/kernel/random/boot_id")
    vm.reboot()
    assert vm.out("cat /root/stays; cat /proc/sys/kernel/random/boot_id") != f"stays\n{boot}"
    vm.run("echo lost >/root/lost")
    vm.power_cut()
    assert not vm.is_on
    vm.power_on()
    assert vm.out("cat /root/stays") == "stays"
    vm.power_off()
    assert not vm.is_on
