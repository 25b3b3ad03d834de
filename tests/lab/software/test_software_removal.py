"""A real Debian system with the real agent: what is installed, in which state, what is removed on order."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from office_root import Office, office
from running_manager import Running, make_home, wait_for

from securepc.manager.devices.model import Device
from securepc.manager.software import judged

LONG = 90.0


class Shop:
    """A manager and one PC of it."""

    def __init__(self, running: Running, pc: Office) -> None:
        self.running, self.pc = running, pc
        self.software = running.manager.software

    @property
    def device(self) -> Device:
        return self.running.manager.devices.all(self.running.log)[0]

    def versions(self) -> dict[str, str]:
        rows = self.software.of_device(self.running.log, self.device.device)
        return {row.name: row.version for row in rows}

    def state(self, kind: str) -> dict[str, Any]:
        pcs = self.software.pcs(self.running.log)
        return judged.data_of(pcs[self.device.device].states, kind) if self.device.device in pcs else {}

    def order(self, name: str, hours: int = 0) -> int:
        return self.software.order(
            self.running.log, self.device.device, "dpkg", name, hours=hours, remove=True, actor="test"
        )

    def removal(self, number: int) -> tuple[str, str]:
        for row, state in self.software.removals(self.running.log):
            if row.number == number:
                return state, row.ja
        return "", ""

    def ended(self, number: int) -> tuple[str, str]:
        begin = time.monotonic()
        wait_for(lambda: self.removal(number)[0] in ("gone", "failed"), LONG)
        print(f"order {number}: {self.removal(number)} after {time.monotonic() - begin:.1f} s")
        return self.removal(number)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("software")
    with office(folder) as pc:
        pc.package("gadget", "1.0")
        pc.package("anygame", "1.0", program="usr/bin/sleep")
        pc.package("office-core", "1.0")
        pc.package("office-suite", "1.0", Depends="office-core")
        pc.package("nodejs", "16.20.2-1nodesource1")
        pc.run("apt-get", "update", "-q")
        pc.run("apt-get", "install", "-y", "-q", "gadget", "office-suite", "nodejs")
        pc.package("gadget", "2.0")
        pc.run("apt-get", "update", "-q")
        pc.run("useradd", "--create-home", "guest")
        pc.run("usermod", "--append", "--groups", "sudo", "guest", check=False)
        pc.run("passwd", "--delete", "guest")
        lightdm = pc.root / "etc/lightdm/lightdm.conf"
        lightdm.parent.mkdir()
        lightdm.write_text("[Seat:*]\nautologin-user=guest\n")
        (pc.root / "run/reboot-required").write_text("")
        (pc.root / "run/reboot-required.pkgs").write_text("linux-image-amd64\n")
        make_home(folder / "home")
        with Running(folder / "home") as running:
            pc.agent(running.token())
            made = Shop(running, pc)
            wait_for(lambda: made.state("software.accounts"), LONG)
            yield made


def test_everything_installed_is_known_as_dpkg_knows_it(shop: Shop) -> None:
    said = shop.pc.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}|${Package}|${Version}\n").stdout
    lines = [line.split("|") for line in said.splitlines()]
    assert shop.versions() == {name: version for status, name, version in lines if status[1] != "n"}


def test_the_state_of_the_pc_is_what_was_made_of_it(shop: Shop) -> None:
    accounts = shop.state("software.accounts")
    assert accounts["unprotected"] == ["guest"]
    assert accounts["autologon"] == ["guest"]
    updates = shop.state("software.updates")
    assert updates["updates"] == [["gadget", "1.0", "2.0", 1]]
    assert (updates["state"], updates["security"]) == ("pending", 1)
    assert ["required", "linux-image-amd64"] in updates["reboot"]
    assert shop.state("software.antivirus")["state"] == "none"
    found = shop.software.support(shop.running.log, [shop.device.device])
    ended = {(one.support.product, one.support.cycle) for one in found if one.support.state == "ended"}
    assert ("nodejs", "16") in ended
    assert any(one.support.product == "debian" and one.support.end == "2026-07-11" for one in found)


def test_an_unapproved_package_is_seen_told_ordered_away_and_proven_gone(shop: Shop) -> None:
    shop.software.change_rules(
        shop.running.log, {"deny": [{"name": "anygame", "publisher": "", "reason": "業務外"}]}, actor="test"
    )
    begin = time.monotonic()
    shop.pc.run("apt-get", "install", "-y", "-q", "anygame")
    wait_for(lambda: "anygame" in shop.versions(), LONG)
    wait_for(lambda: [row.name for row in shop.software.violations(shop.running.log)], LONG)
    print(f"known {time.monotonic() - begin:.1f} s after the installation")
    assert [row.name for row in shop.software.violations(shop.running.log)] == ["anygame"]
    number = shop.order("anygame")
    assert shop.ended(number)[0] == "gone"
    assert shop.pc.run("dpkg-query", "-W", "anygame", check=False).returncode != 0
    assert not (shop.pc.root / "usr/bin/anygame").exists()
    wait_for(lambda: "anygame" not in shop.versions(), LONG)
    wait_for(lambda: not shop.software.violations(shop.running.log), LONG)


def test_what_others_need_and_what_the_pc_needs_stays_and_says_why(shop: Shop) -> None:
    state, why = shop.ended(shop.order("office-core"))
    assert state == "failed"
    assert "office-suite" in why
    state, why = shop.ended(shop.order("bash"))
    assert state == "failed"
    assert "欠かせない" in why
    said = shop.pc.run(
        "dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n", "office-core", "bash"
    ).stdout
    assert said.split() == ["bash", "ii", "office-core", "ii"]


def test_a_deadline_is_kept_over_a_loss_of_power_and_changes_meanwhile_are_told(shop: Shop) -> None:
    number = shop.order("office-suite", hours=5)
    wait_for(lambda: shop.removal(number)[0] == "told", LONG)
    shop.pc.kill()
    shop.pc.run("apt-get", "install", "-y", "-q", "gadget")
    shop.pc.agent()
    wait_for(lambda: shop.versions().get("gadget") == "2.0", LONG)
    wait_for(lambda: shop.software.pcs(shop.running.log)[shop.device.device].in_step, LONG)
    assert shop.removal(number)[0] == "told"
    assert "office-suite" in shop.versions()
    shop.pc.run("apt-get", "remove", "-y", "-q", "office-suite")  # the user does as told
    assert shop.ended(number)[0] == "gone"


def test_a_program_beside_all_packages_is_told_when_it_starts(shop: Shop) -> None:
    stray = shop.pc.root / "opt/stray/stray-tool"
    stray.parent.mkdir()
    stray.write_bytes((shop.pc.root / "usr/bin/sleep").read_bytes())
    stray.chmod(0o755)
    deny = [{"name": "stray-*", "publisher": "", "reason": ""}]
    shop.software.change_rules(shop.running.log, {"deny": deny}, actor="test")
    agent = shop.pc._agent
    assert agent is not None
    # In the agent's own PID namespace, as on a PC: processes there are what it sees.
    child = int(Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()[0])
    end = time.monotonic() + LONG
    while not shop.running.alerts("software-stray") and time.monotonic() < end:
        command = [
            "nsenter",
            "--target",
            str(child),
            "--pid",
            "--mount",
            "--root",
            "/opt/stray/stray-tool",
            "2",
        ]
        subprocess.run(command, check=True, timeout=20)
    (alert,) = shop.running.alerts("software-stray")
    assert alert.data["exe"] == "/opt/stray/stray-tool"
    wait_for(lambda: "/opt/stray" in shop.versions(), LONG)
