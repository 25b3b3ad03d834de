"""The Ghost Drive on a real kernel: there on the registered network, gone outside, unreadable on the disk."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from labvm import Machine
from labvm.office import Office

from securepc.manager.ghost.contents import held

pytestmark = pytest.mark.usefixtures("opened")
soak = pytest.mark.soak  # minutes under emulation
MARKER = "KAKUU-KOKYAKU-" + "4711" * 8
CONTROL = "KAKUU-HIKAKU-" + "0815" * 8
DRIVE = "/media/ghost"
HOME = "/var/lib/securepc/agent"
IS_THERE = "顧客.txt"
WIRED = {"id": "office", "name": "本店", "kind": "wired", "subnets": ["10.0.2.0/24"]}


def policy(office: Office, *networks: dict[str, Any], **more: Any) -> None:
    rules = office.manager.policies.rules(office.log)
    ghost = {"on": True, "bytes": 96 << 20, "minutes": 3, "warn_seconds": 2} | more
    rules["doors"] = {"networks": {"on": True, "registered": list(networks or [WIRED])}, "ghost": ghost}
    office.manager.policies.change(office.log, rules, actor="test")


def is_open(pc: Machine) -> bool:
    return pc.run(f"mountpoint -q {DRIVE}", check=False).code == 0


def appears(pc: Machine, seconds: float = 120) -> float:
    started = time.monotonic()
    pc.wait_for(lambda: is_open(pc), seconds, "the drive's appearing")
    return time.monotonic() - started


def gone(pc: Machine, seconds: float = 60) -> float:
    started = time.monotonic()
    pc.wait_for(lambda: not is_open(pc), seconds, "the drive's going")
    return time.monotonic() - started


def no_trace(pc: Machine) -> None:
    """Read back by other means than the agent's: no mount in any view, no mapping, no folder."""
    pc.wait_run("! dmsetup ls | grep -q securepc-ghost", 20)
    assert pc.out("cat /proc/[0-9]*/mountinfo 2>/dev/null | grep -c ghost || true") == "0"
    assert pc.run(f"ls {DRIVE}", check=False).code != 0
    assert "ghost" not in pc.out("losetup -a")


def write(pc: Machine, path: str, text: str, user: str = "hanako") -> None:
    pc.run(f"cat > {path}", input=text + "\n", user=user)


def hold(pc: Machine) -> None:
    """A program in it with a file open, and one in a view of the mounts of its own."""
    inside = f"cd {DRIVE} && exec 3<{IS_THERE} && exec sleep 1000"
    pc.run(f"systemd-run -q --unit=holder --uid=hanako sh -c '{inside}'")
    pc.run(f"systemd-run -q --unit=hidden unshare -m --propagation private sh -c 'sleep 1000; ls {DRIVE}'")
    for name in ("holder", "hidden"):
        pc.wait_run(f"grep -q {DRIVE} /proc/$(systemctl show -P MainPID {name})/mountinfo")


@pytest.fixture(scope="module")
def opened(pc: Machine, office: Office) -> None:
    """The PC is in the office, its drive open with a customer in it, its swap a plain file; so every test
    leaves it, up to those of its end."""
    pc.run("fallocate -l 64M /swapfile && chmod 600 /swapfile && mkswap -q /swapfile && swapon /swapfile")
    started = time.monotonic()
    policy(office)
    appears(pc)
    print(f"lab: made and open {time.monotonic() - started:.1f} s after the policy was signed")
    write(pc, f"{DRIVE}/{IS_THERE}", MARKER)
    write(pc, "/home/hanako/比較.txt", CONTROL)


def test_it_appears_on_the_registered_network(pc: Machine, office: Office) -> None:
    options = pc.out(f"findmnt -no OPTIONS {DRIVE}")
    assert "nosuid" in options
    assert "nodev" in options
    assert "crypt aes-xts-plain64" in pc.out("dmsetup table securepc-ghost")
    assert pc.out("swapon --show --noheadings") == ""  # nothing of it goes to the disk in clear
    assert pc.out(f"stat -c '%U %a' {HOME}/ghost/container {HOME}/ghost/share") == "root 600\nroot 600"
    assert office.wait_entry("ghost.mount")["data"]["network"] == "office"
    assert office.wait_entry("ghost.share", purpose="make")["data"]["network"] == "本店"

    def named() -> list[str]:
        with office.manager.database.read() as session:
            return [one.path for one in held(session, office.log, office.device).files]

    pc.wait_for(lambda: named() == [IS_THERE], 150, "the list of its files")


def test_it_is_gone_outside_whatever_holds_it(pc: Machine, office: Office) -> None:
    hold(pc)
    pc.network(False)
    print(f"lab: gone {gone(pc):.1f} s after the cable was pulled, 2 of them for saving")
    no_trace(pc)
    assert "active" not in pc.run("systemctl is-active holder hidden", check=False).out.split()
    assert "/swapfile" in pc.out("swapon --show --noheadings")
    pc.network(True)
    print(f"lab: back {appears(pc):.1f} s after the cable was put in")
    assert pc.out(f"cat {DRIVE}/{IS_THERE}", user="hanako") == MARKER
    assert office.wait_entry("ghost.hide", reason="offline")["data"]["observed"] == "shut"


def test_a_power_cut_leaves_nothing_readable(pc: Machine, office: Office, tmp_path: Path) -> None:
    pc.run("sync")
    pc.power_cut()
    raw = tmp_path / "disk.raw"
    command = ["qemu-img", "convert", "-O", "raw", str(pc.disk), str(raw)]
    subprocess.run(command, check=True, capture_output=True)
    found = {text: _count(raw, text) for text in (CONTROL, MARKER)}
    raw.unlink()
    print(f"lab: in the raw disk, with the drive open when the power went: {found}")
    assert found[CONTROL] > 0
    assert found[MARKER] == 0
    office.running.manager.policies.change(  # it stays closed, so that the PC can be searched
        office.log, {**office.manager.policies.rules(office.log), "doors": {}}, actor="test"
    )
    pc.power_on()
    assert not is_open(pc)
    no_trace(pc)
    # Every file of the agent, as a key: whole, by lines, by 32 bytes.
    tried = pc.out(_TRY, timeout=300)
    print(f"lab: {tried} keys made of the PC's own files, none opens it")
    assert int(tried) > 20
    policy(office)
    appears(pc)
    assert pc.out(f"cat {DRIVE}/{IS_THERE}", user="hanako") == MARKER
    assert office.wait_entry("ghost.hide", reason="power")["data"]["observed"] == "shut"
    assert "clean" in pc.out("dmesg | grep -c EXT4-fs.error || echo clean")


_TRY = f"""python3 - <<'END'
import hashlib, pathlib, subprocess
keys = set()
for path in pathlib.Path("{HOME}").rglob("*"):
    if path.is_file() and path.name != "container" and path.stat().st_size < 200_000:
        data = path.read_bytes()
        keys |= {{data[:32], data[-32:], hashlib.sha256(data).digest()}}
        if path.parent.name == "ghost" or path.name == "device.key":
            keys |= {{data[i:i + 32] for i in range(0, min(len(data), 200), 8)}}
keys = [key for key in keys if len(key) == 32][:120]
for key in keys:
    command = ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", "--keyfile-size", "32"]
    done = subprocess.run([*command, "{HOME}/ghost/container"], input=key, capture_output=True)
    assert done.returncode == 2, done
print(len(keys))
END"""


def _count(path: Path, text: str) -> int:
    found = subprocess.run(
        ["grep", "-a", "-o", "-c", "-F", text, str(path)], capture_output=True, text=True, check=False
    )
    return int(found.stdout)


@soak
def test_on_a_network_that_is_not_registered_it_goes(pc: Machine, office: Office) -> None:
    policy(office, {**WIRED, "subnets": ["192.0.2.0/24"]})
    print(f"lab: gone {gone(pc):.1f} s after its network was not registered any more")
    no_trace(pc)
    # In the bag with a mobile router: registered, but not fixed.
    policy(office, {**WIRED, "id": "router", "fixed": False})
    pc.wait_run('securepc agent ghost state --json | grep -q \'"needs": *"new-pin"\'', 60)
    assert not is_open(pc)
    policy(office)
    appears(pc)


@soak
def test_a_killed_agent_leaves_it_closed(pc: Machine, office: Office) -> None:
    since = pc.now()
    pc.run("systemctl kill -s KILL securepc-agent")
    entry = office.wait_entry("ghost.hide", reason="crashed", since=since)
    assert entry["data"]["observed"] == "shut"
    print(f"lab: closed {(entry['at'] - since) / 1e6:.1f} s after the agent was killed")
    appears(pc)


@soak
def test_an_agent_that_does_not_come_back_leaves_it_closed(pc: Machine, office: Office) -> None:
    hold(pc)
    pc.run("mkdir -p /run/systemd/system/securepc-agent.service.d")
    pc.push("[Service]\nRestart=no\n", "/run/systemd/system/securepc-agent.service.d/lab.conf")
    pc.run("systemctl daemon-reload")
    since = pc.now()
    pc.run("systemctl kill -s KILL securepc-agent")
    print(f"lab: gone {gone(pc, 120):.1f} s after the agent was killed for good")
    pc.wait_run("! dmsetup table securepc-ghost 2>/dev/null | grep crypt", 30)  # no key in the kernel
    pc.run("rm -r /run/systemd/system/securepc-agent.service.d && systemctl daemon-reload")
    pc.run("systemctl stop hidden; systemctl start securepc-agent", timeout=120)
    entry = office.wait_entry("ghost.hide", reason="crashed", since=since)
    assert entry["data"]["observed"] == "shut"
    appears(pc)
    assert pc.out(f"cat {DRIVE}/{IS_THERE}", user="hanako") == MARKER


@soak
def test_forbidden_and_allowed(pc: Machine, office: Office) -> None:
    office.manager.ghosts.forbid(office.log, office.device, "紛失の疑い", actor="test")
    print(f"lab: gone {gone(pc):.1f} s after it was forbidden")
    no_trace(pc)
    office.manager.ghosts.allow(office.log, office.device, actor="test")
    appears(pc)


@soak
def test_before_sleep_it_is_closed(pc: Machine, office: Office) -> None:
    # By default the system waits five seconds for whoever asked it to: too few for an emulated one.
    pc.run("mkdir -p /etc/systemd/logind.conf.d")
    pc.push("[Login]\nInhibitDelayMaxSec=60\n", "/etc/systemd/logind.conf.d/lab.conf")
    pc.run("systemctl restart systemd-logind")  # the agent goes on listening to the new one
    fake = "busctl emit /org/freedesktop/login1 org.freedesktop.login1.Manager PrepareForSleep b true"
    pc.run(fake, user="hanako", check=False)  # anybody may send a signal: it is not logind's
    time.sleep(1)
    assert is_open(pc)
    assert "Secure PC" in pc.out("systemd-inhibit --list --no-pager")
    since = pc.now()
    pc.run("systemctl --no-block suspend")
    pc.wait_for(lambda: pc.qmp("query-status")["status"] == "suspended", 120, "sleep")
    pc.qmp("system_wakeup")
    entry = office.wait_entry("ghost.hide", reason="sleep", since=since)
    assert entry["data"]["observed"] == "shut"
    print(f"lab: closed {(entry['at'] - since) / 1e6:.1f} s after sleep was asked for")
    slept = float(pc.out("journalctl -k -b -o short-unix --grep 'PM: suspend entry' | tail -1 | cut -d. -f1"))
    assert entry["at"] / 1e6 < slept + 1
    appears(pc)


@soak
def test_with_the_manager_away_the_sheet_opens_it_once(pc: Machine, office: Office) -> None:
    code = office.manager.ghosts.sheet(office.log, office.device, actor="test")
    pc.wait_run("securepc agent ghost state --json | grep -q '\"sheet\": *true'")
    pc.lead_to(9)  # nobody listens there
    pc.run("securepc agent ghost close")
    no_trace(pc)
    refused = pc.run("securepc agent ghost open", check=False, timeout=120)
    assert refused.code != 0
    said = pc.run("securepc agent ghost emergency", timeout=120, input=code + "\n")
    assert DRIVE in said.out
    assert pc.out(f"cat {DRIVE}/{IS_THERE}", user="hanako") == MARKER
    pc.run("securepc agent ghost close")
    again = pc.run("securepc agent ghost emergency", check=False, input=code + "\n", timeout=120)
    assert again.code != 0
    pc.lead_to(office.port)
    assert office.wait_entry("ghost.emergency", seconds=150)["data"]["requester"] == "root"
    pc.run("securepc agent ghost open", timeout=120)
    changed = office.wait_entry("ghost.key", seconds=150)
    print(f"lab: after the emergency, generation {changed['data']['generation']}")


@soak
def test_destroyed_by_the_manager_an_image_of_the_disk_opens_nothing(pc: Machine, office: Office) -> None:
    pc.run(f"securepc agent ghost close && cp -a {HOME}/ghost /root/image", timeout=120)
    since = pc.now()
    office.manager.ghosts.destroy(office.log, office.device, "廃棄", actor="test")
    entry = office.wait_entry("ghost.disable", reason="destroyed", since=since)
    assert entry["data"]["observed"].startswith("erased")
    assert pc.out(f"ls {HOME}/ghost") == "drive.json"
    no_trace(pc)
    pc.run("systemctl stop securepc-agent", timeout=120)
    pc.run(f"cp -a /root/image/. {HOME}/ghost/ && systemctl start securepc-agent", timeout=120)
    pc.wait_run('securepc agent ghost state --json | grep -q \'"why": *"ghost-destroyed"\'', 90)
    assert not is_open(pc)
    # Allowed again, it is a new and empty one: what was destroyed stays so.
    office.manager.ghosts.allow(office.log, office.device, actor="test")
    pc.wait_run('securepc agent ghost state --json | grep -q \'"why": *"ghost-unknown"\'', 90)
    pc.run("securepc agent ghost retire --destroy")
    office.manager.ghosts.allow(office.log, office.device, actor="test")
    appears(pc)
    assert pc.out(f"ls {DRIVE}") == ""
    write(pc, f"{DRIVE}/{IS_THERE}", MARKER)


@soak
def test_given_up_its_content_is_moved_out_and_the_rest_destroyed(pc: Machine, office: Office) -> None:
    refused = pc.run("securepc agent ghost retire --to /root/saved", check=False, user="hanako")
    assert refused.code != 0
    since = pc.now()
    print(pc.out("securepc agent ghost retire --to /root/saved", timeout=120))
    assert pc.out(f"cat /root/saved/{IS_THERE}") == MARKER
    no_trace(pc)
    assert pc.out(f"ls {HOME}/ghost") == "drive.json"
    entry = office.wait_entry("ghost.disable", reason="destroyed", since=since)
    assert entry["data"]["observed"].startswith("erased")
    with pytest.raises(AssertionError, match="appearing"):
        appears(pc, 5)
