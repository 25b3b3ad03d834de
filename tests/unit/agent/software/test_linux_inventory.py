"""The files of a Linux system, read as they are: packages, accounts, disks, updates; hostile ones too."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from securepc.agent.platform.linux.inventory import (
    LinuxInventory,
    accounts,
    dpkg,
    hardware,
    protection,
    updates,
)
from securepc.wire.software import Program

STATUS = """\
Package: vim
Status: install ok installed
Priority: optional
Architecture: amd64
Maintainer: Debian Vim Maintainers <team+vim@tracker.debian.org>
Version: 2:9.0.1378-2
Depends: vim-common (= 2:9.0.1378-2), libc6 (>= 2.36) | libc6-udeb,
 libtinfo6
Description: Vi IMproved
 Version: 6.6.6
 Package: fake

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install reinstreq half-installed
Architecture: amd64
Version: 1

Package: dpkg
Essential: yes
Status: install ok installed
Architecture: amd64
Version: 1.21.22

Package: libtinfo6
Status: install ok installed
Architecture: amd64
Version: 6.4-4

Package: ../../etc
Status: install ok installed
Architecture: amd64
Version: 1

Package: spaced
Status: installed
Architecture: amd64
Version: 1
"""


def put(root: Path, path: str, text: str | bytes, mode: int = 0o644) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.encode() if isinstance(text, str) else text)
    target.chmod(mode)


def test_dpkg_is_read_strictly(tmp_path: Path) -> None:
    put(tmp_path, dpkg.STATUS, STATUS)
    put(
        tmp_path,
        "var/lib/apt/extended_states",
        "Package: libtinfo6\nArchitecture: amd64\nAuto-Installed: 1\n",
    )
    found = dpkg.read(tmp_path)
    programs = {one.program.name: one for one in found.packages}
    assert set(programs) == {"vim", "half", "dpkg", "libtinfo6"}
    assert found.odd == 2
    assert programs["vim"].program.version == "2:9.0.1378-2"
    assert programs["vim"].program.publisher.startswith("Debian Vim")
    assert (programs["dpkg"].kept, programs["vim"].kept) == (True, False)
    assert programs["libtinfo6"].program.auto
    assert found.needed == {("dpkg", "libtinfo6", "amd64")}
    inventory = LinuxInventory(list, tmp_path)
    assert any("2" in en for _, en in inventory.installed().unseen)


def test_who_installed_it(tmp_path: Path) -> None:
    put(
        tmp_path,
        "var/log/apt/history.log",
        "\nStart-Date: 2026-11-01  10:00:00\nCommandline: apt install nmap\nRequested-By: tanaka (1000)\n"
        "Install: libblas3:amd64 (3.11.0-2, automatic), nmap:amd64 (7.93+dfsg1-1)\n"
        "\nStart-Date: 2026-11-02  10:00:00\nCommandline: apt-get upgrade\nUpgrade: ls:amd64 (1, 2)\n",
    )
    found = dpkg.origin(tmp_path, Program("dpkg", "nmap", "amd64"))
    assert found == ("tanaka", "apt install nmap")
    assert dpkg.origin(tmp_path, Program("dpkg", "map", "amd64")) == ("", "")
    assert dpkg.origin(tmp_path, Program("dpkg", "ls", "amd64")).command == "apt-get upgrade"


def test_what_lies_beside_packages(tmp_path: Path) -> None:
    put(tmp_path, dpkg.STATUS, STATUS)
    put(tmp_path, "var/lib/dpkg/info/chrome.list", "/opt\n/opt/google\n/opt/google/chrome\n/usr/bin/chrome\n")
    put(tmp_path, "opt/google/chrome", "x")
    put(tmp_path, "opt/zoom/zoom", "x")
    put(tmp_path, "usr/local/bin/tool", "#!/bin/sh\n", 0o755)
    put(tmp_path, "usr/local/bin/readme", "x")
    home = tmp_path / "home/tanaka"
    put(home, "Downloads/Viber.bin", b"\x7fELF\x02\x01\x01\x00AI\x02" + bytes(50), 0o755)
    put(home, "Downloads/a\u202eb.bin", b"\x7fELF\x02\x01\x01\x00AI\x02")
    os.mkfifo(home / "Downloads/pipe")
    put(tmp_path, "var/lib/flatpak/app/org.gimp.GIMP/x86_64/stable/active/metadata", "[Application]")
    put(
        tmp_path,
        "var/lib/flatpak/app/org.gimp.GIMP/x86_64/stable/active/files/share/metainfo/org.gimp.GIMP.metainfo.xml",
        '<releases><release date="2026-01-01" version="3.0.4"/></releases>',
    )
    put(tmp_path, "snap/hello/current/meta/snap.yaml", "name: hello\nversion: '2.10'\n")
    found = LinuxInventory(lambda: [home], tmp_path).installed().programs
    assert {(one.source, one.name, one.version) for one in found if one.source != "dpkg"} == {
        ("loose", "/opt/zoom", ""),
        ("loose", "/usr/local/bin/tool", ""),
        ("appimage", "/home/tanaka/Downloads/Viber.bin", ""),
        ("flatpak", "org.gimp.GIMP", "3.0.4"),
        ("snap", "hello", "2.10"),
    }


def test_accounts_without_password_administrators_and_automatic_logon(tmp_path: Path) -> None:
    put(
        tmp_path,
        "etc/passwd",
        "root:x:0:0::/root:/bin/bash\ntoor:x:0:0::/:/bin/sh\ntanaka:x:1000:1000::/home/tanaka:/bin/bash\n"
        "sato::1001:1001::/home/sato:/bin/bash\nguest:x:1002:1002::/home/guest:/bin/bash\nboss:x:1003:27::/:/bin/sh\n",
    )
    put(tmp_path, "etc/shadow", "root:*:1::::::\ntoor:!:1\ntanaka:$y$x:1\nguest::1\nboss:$y$x:1\nsato:!:1\n")
    put(tmp_path, "etc/group", "sudo:x:27:tanaka\nbackup:x:34:guest\n")
    put(
        tmp_path, "etc/sudoers", "Defaults env_reset\n%backup ALL=(ALL:ALL) NOPASSWD: ALL\nsato ALL=/bin/ls\n"
    )
    put(tmp_path, "etc/gdm3/daemon.conf", "[daemon]\nAutomaticLoginEnable = true\nAutomaticLogin = tanaka\n")
    put(tmp_path, "etc/lightdm/lightdm.conf", "[Seat:*]\n#autologin-user=no\nautologin-user=sato\n")
    put(tmp_path, "etc/sddm.conf", "[Autologin]\nUser=\n")
    put(
        tmp_path,
        "etc/systemd/system/getty@tty1.service.d/a.conf",
        "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin guest --noclear %I $TERM\n",
    )
    put(tmp_path, "etc/dconf/db/local.d/00", "[org/gnome/desktop/session]\nidle-delay=uint32 300\n")
    found = accounts.look(tmp_path)
    assert found["administrators"] == ["boss", "guest", "root", "tanaka", "toor"]
    assert found["unprotected"] == ["guest", "sato"]
    assert found["autologon"] == ["guest", "sato", "tanaka"]
    assert (found["state"], found["screen_lock"]) == ("open", 300)
    assert accounts.look(tmp_path / "nowhere")["state"] == "unknown"


def block(root: Path, number: str, **files: str) -> Path:
    folder = root / "sys/dev/block" / number
    put(folder, "dev", number + "\n")
    for name, text in files.items():
        put(folder, name.replace("_", "/"), text)
    return folder


@pytest.mark.parametrize(
    ("uuid", "below", "state"),
    [
        ("CRYPT-LUKS2-00-x\n", [], "encrypted"),
        ("LVM-abc\n", ["CRYPT-LUKS2-00-x\n"], "encrypted"),
        ("LVM-abc\n", [""], "plain"),
        ("LVM-abc\n", ["CRYPT-PLAIN-x", ""], "plain"),
        ("", [], "plain"),
    ],
)
def test_encryption_is_what_the_kernel_says_of_all_layers(
    tmp_path: Path, uuid: str, below: list[str], state: str
) -> None:
    put(
        tmp_path,
        "proc/self/mountinfo",
        "22 1 254:0 / / rw - ext4 /dev/x rw\n23 22 0:5 / /home rw - tmpfs t rw\n",
    )
    put(tmp_path, "proc/swaps", "Filename Type Size Used Priority\n")
    top = block(tmp_path, "254:0", **({"dm_uuid": uuid} if uuid else {}))
    for number, its in enumerate(below):
        folder = block(tmp_path, f"8:{number}", **({"dm_uuid": its} if its else {}))
        (top / "slaves").mkdir(exist_ok=True)
        (top / "slaves" / f"sd{number}").symlink_to(folder)
    found = protection.encryption(tmp_path)
    assert found["volumes"]["/"] == state
    assert found["volumes"]["/home"] == "unknown"
    assert found["state"] == ("unknown" if state == "encrypted" else "plain")


def test_pending_updates_and_how_old_the_lists_are(tmp_path: Path) -> None:
    said = (
        "NOTE: This is only a simulation!\n"
        "Inst libssl3 [3.0.15-1] (3.0.17-1~deb12u2 Debian-Security:12/oldstable-security [amd64])\n"
        "Inst tzdata [2024a] (2025b Debian:12/oldstable [all])\n"
        "Inst new (1 local [all]) []\nConf tzdata (2025b x)\n"
    )
    assert updates.parse(said) == [
        ("libssl3", "3.0.15-1", "3.0.17-1~deb12u2", True),
        ("tzdata", "2024a", "2025b", False),
        ("new", "", "1", False),
    ]
    assert updates.lists_at(tmp_path) is None
    put(tmp_path, "var/lib/apt/lists/deb_InRelease", "x")
    listed = updates.lists_at(tmp_path)
    assert listed is not None
    assert abs(listed - time.time()) < 60
    put(tmp_path, "run/reboot-required", "")
    put(tmp_path, "run/reboot-required.pkgs", "linux-image-6.1.0-30-amd64\nlinux-image-6.1.0-30-amd64\n")
    assert ["required", "linux-image-6.1.0-30-amd64"] in updates.reboot(tmp_path)
    for name in ("6.1.0-9-amd64", "6.1.0-30-amd64", "6.12.1-rt-amd64"):
        put(tmp_path, f"boot/vmlinuz-{name}", "")
    assert updates._newer_kernel(tmp_path, "6.1.0-9-amd64") == "6.1.0-9-amd64 → 6.1.0-30-amd64"
    assert updates._newer_kernel(tmp_path, "6.1.0-30-amd64") == ""
    assert updates._newer_kernel(tmp_path, "6.1.0-99-wsl") == ""


def test_virus_definitions_say_when_they_were_built(tmp_path: Path) -> None:
    head = b"ClamAV-VDB:22 Aug 2026 07-21 -0400:27377:2075643:90:x:y:raynman:1755861660"
    put(tmp_path, "var/lib/clamav/daily.cvd", head.ljust(512))
    found = protection.antivirus(tmp_path)
    assert found["definitions"] == "2026-08-22 (27377)"
    assert found["state"] in ("stopped", "old")
    put(tmp_path, "var/lib/clamav/daily.cvd", b"ClamAV-VDB:99 Foo")
    assert protection.antivirus(tmp_path)["state"] in ("none", "old")


def test_hardware_is_an_asset_register(tmp_path: Path) -> None:
    put(
        tmp_path,
        "etc/os-release",
        'ID=fedora\nVERSION_ID="42"\nPRETTY_NAME="Fedora 42"\nSUPPORT_END=2026-05-13\n',
    )
    put(tmp_path, "sys/class/dmi/id/sys_vendor", "架空電子\n")
    put(tmp_path, "sys/class/dmi/id/product_serial", "To Be Filled By O.E.M.\n")
    put(tmp_path, "sys/class/dmi/id/board_serial", "SN-1\n")
    put(tmp_path, "sys/block/nvme0n1/size", "1000\n")
    put(tmp_path, "sys/block/nvme0n1/device/serial", "S4X\n")
    put(tmp_path, "sys/block/sdb/removable", "1\n")
    put(tmp_path, "sys/firmware/efi/efivars/" + hardware._SECURE_BOOT, b"\x06\0\0\0\x01")
    found = hardware.look(tmp_path)
    assert found["os"] == "Fedora 42"
    machine = found["hardware"]
    assert machine["support_end"] == "2026-05-13"
    assert machine["secure_boot"] == "on"
    assert machine["disks"] == [{"name": "nvme0n1", "serial": "S4X", "size": 512_000}]
    assert "serial" not in machine
    assert machine["board_serial"] == "SN-1"


def test_this_pc_is_read_as_it_is() -> None:
    found = LinuxInventory(list)
    programs = found.installed().programs
    assert len({one.key for one in programs}) == len(programs)
    assert found.owned("/usr/bin/env")
    assert not found.owned("/home/nobody/x")
