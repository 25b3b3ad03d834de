"""Software in a real machine: the service removes a package; which disks are encrypted."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from labvm import Machine
from labvm.office import Office

pytestmark = pytest.mark.soak  # minutes under emulation


def test_the_service_removes_a_package_and_sees_that_it_is_gone(
    pc: Machine, office: Office, tmp_path: Path
) -> None:
    folder = tmp_path / "anygame"
    (folder / "DEBIAN").mkdir(parents=True)
    (folder / "DEBIAN/control").write_text(
        "Package: anygame\nVersion: 1.0\nArchitecture: all\n"
        "Maintainer: Kakuu <a@example.com>\nDescription: a game\n"
    )
    # A maintainer script that does what the agent's own service may not.
    script = folder / "DEBIAN/postrm"
    script.write_text(
        "#!/bin/sh\nset -e\numask > /var/tmp/anygame-umask\nchmod 4755 /var/tmp/anygame-umask\n"
    )
    script.chmod(0o755)
    program = folder / "usr/bin/anygame"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nsleep 1\n")
    program.chmod(0o755)
    deb = tmp_path / "anygame.deb"
    command = ["dpkg-deb", "--build", "--root-owner-group", str(folder), str(deb)]
    subprocess.run(command, check=True, capture_output=True)
    pc.push(deb, "/root/anygame.deb")
    started = time.monotonic()
    pc.run("dpkg -i /root/anygame.deb", timeout=120)
    office.wait_entry("software.installed", text="anygame", seconds=120)
    print(f"known {time.monotonic() - started:.1f} s after it was begun to be installed")
    software = office.manager.software
    pc.wait_for(lambda: software.on_pcs(office.log, "dpkg", "anygame"), 60)
    started = time.monotonic()
    number = software.order(office.log, office.device, "dpkg", "anygame", hours=0, remove=True, actor="test")
    done = office.wait_entry("command.done", command_id=str(number), seconds=120)
    print(f"seen to be gone after {time.monotonic() - started:.1f} s: {done['data']}")
    assert done["data"]["observed"] == "gone"
    left = pc.run("dpkg-query -W -f '${db:Status-Abbrev}' anygame", check=False).out
    assert left.strip() in ("", "rc")  # nothing but its last script
    assert pc.run("test -e /usr/bin/anygame", check=False).code
    assert pc.out("cat /var/tmp/anygame-umask") == "0022"
    assert pc.out("stat -c %a /var/tmp/anygame-umask") == "4755"


def test_encryption_is_what_the_kernel_says(pc: Machine, office: Office) -> None:
    pc.run(
        "truncate -s 64M /var/tmp/disk && printf geheim > /var/tmp/key && "
        "cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "
        "/var/tmp/disk /var/tmp/key && "
        "cryptsetup open --key-file /var/tmp/key /var/tmp/disk lab-swap && "
        "mkswap -q /dev/mapper/lab-swap && swapon /dev/mapper/lab-swap",
        timeout=120,
    )
    number = office.issue("software.report")
    office.wait_entry("command.done", command_id=str(number), seconds=150)
    told = office.wait_entry("software.encryption", state="partly", seconds=60)["data"]
    print(told)
    assert told["volumes"]["/"] == "plain"
    assert [what for place, what in told["volumes"].items() if place.startswith("swap")] == ["encrypted"]
