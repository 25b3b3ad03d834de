"""Software in a real machine, by the service as it is installed: what is there, what is too old, what waits;
a package that nobody approved is ordered away; which disks are encrypted."""

from __future__ import annotations

import time
from typing import Any

import pytest
from debs import Repository
from labvm import Machine
from labvm.office import Office

from securepc.manager.software import judged

pytestmark = pytest.mark.soak  # minutes under emulation

REPO = "/srv/repo"
# What a maintainer script may do and the agent's own service may not.
POSTRM = "#!/bin/sh\nset -e\numask > /var/tmp/anygame-umask\nchmod 4755 /var/tmp/anygame-umask\n"


@pytest.fixture(scope="module")
def repo(pc: Machine, office: Office, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """All that the machine's apt knows; two programs of it are installed, one of them too old."""
    made = Repository(tmp_path_factory.mktemp("repo"))
    made.package("gadget", "1.0")
    made.package("nodejs", "16.20.2-1nodesource1")
    made.package("anygame", "1.0", scripts={"postrm": POSTRM})
    pc.run("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*")
    pc.push(f"deb [trusted=yes] file:{REPO} ./\n", "/etc/apt/sources.list")
    offer(pc, made)
    install(pc, "gadget", "nodejs")
    return made


def offer(pc: Machine, repo: Repository) -> None:
    pc.run(f"mkdir -p {REPO}")
    for path in repo.folder.iterdir():
        pc.push(path, f"{REPO}/{path.name}")
    pc.run("apt-get update -q", timeout=180)


def install(pc: Machine, *names: str) -> None:
    pc.run(f"DEBIAN_FRONTEND=noninteractive apt-get install -y -q {' '.join(names)}", timeout=180)


def state(office: Office, kind: str) -> dict[str, Any]:
    """What the manager knows of the machine."""
    pcs = office.manager.software.pcs(office.log)
    return judged.data_of(pcs[office.device].states, kind) if office.device in pcs else {}


def violations(office: Office) -> list[str]:
    return [one.name for one in office.manager.software.violations(office.log)]


def test_what_is_too_old_and_what_waits_is_known(pc: Machine, office: Office, repo: Repository) -> None:
    software = office.manager.software
    office.wait_entry("software.installed", text="nodejs", seconds=150)

    def ended() -> set[tuple[str, str]]:
        found = software.support(office.log, [office.device])
        return {(one.support.product, one.support.cycle) for one in found if one.support.state == "ended"}

    pc.wait_for(lambda: ("nodejs", "16") in ended(), 60, "the end of support")
    repo.package("gadget", "2.0")
    offer(pc, repo)
    pc.run("echo linux-image-amd64 > /run/reboot-required.pkgs && touch /run/reboot-required")
    number = office.issue("software.report")
    office.wait_entry("command.done", command_id=str(number), seconds=150)
    pc.wait_for(lambda: state(office, "software.updates").get("state") == "pending", 60, "the update")
    updates = state(office, "software.updates")
    print(updates)
    assert updates["updates"] == [["gadget", "1.0", "2.0", 1]]
    assert updates["security"] == 1
    assert ["required", "linux-image-amd64"] in updates["reboot"]
    install(pc, "gadget")
    number = office.issue("software.report")
    office.wait_entry("command.done", command_id=str(number), seconds=150)
    pc.wait_for(lambda: state(office, "software.updates").get("updates") == [], 60, "the update's end")


def test_a_package_nobody_approved_is_ordered_away_and_proven_gone(
    pc: Machine, office: Office, repo: Repository
) -> None:
    software = office.manager.software
    deny = {"deny": [{"name": "anygame", "publisher": "", "reason": "業務外"}]}
    software.change_rules(office.log, deny, actor="test")
    started = time.monotonic()
    install(pc, "anygame")
    office.wait_entry("software.installed", text="anygame", seconds=150)
    print(f"lab: known {time.monotonic() - started:.1f} s after it was begun to be installed")
    pc.wait_for(
        lambda: [one.name for one in software.violations(office.log)] == ["anygame"], 60, "the violation"
    )
    started = time.monotonic()
    number = software.order(office.log, office.device, "dpkg", "anygame", hours=0, remove=True, actor="test")
    done = office.wait_entry("command.done", command_id=str(number), seconds=150)
    print(f"lab: seen to be gone after {time.monotonic() - started:.1f} s: {done['data']}")
    assert done["data"]["observed"] == "gone"
    pc.wait_for(lambda: not violations(office), 60, "the violation's end")
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
