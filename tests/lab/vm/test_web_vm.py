"""The web filter as the package installs it, under systemd: what is listed is refused to any program, all
else is reached, whoever dies; switched off, nothing of it stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from labvm import Machine
from labvm.office import Office

from securepc.wire import policy

pytestmark = pytest.mark.soak  # minutes under emulation

HERE = Path(__file__).parent
LISTED, OTHER = "www.dropbox.com", "www.midori.example"
OURS = (
    "nft list tables | grep securepc; ls /etc/systemd/system/securepc-web.service /var/lib/securepc/agent/web"
    " /etc/chromium /etc/firefox/policies/policies.json 2>/dev/null; pgrep -af '[s]ieve'"
)


def set_filter(office: Office, *, on: bool) -> None:
    rules = policy.default_rules()
    rules["doors"]["web"].update(on=on, mail=True, mail_servers=["smtp.midori.example"])
    office.manager.policies.change(office.log, rules, actor="test")


def wait_door(pc: Machine, state: str) -> None:
    def found() -> bool:
        return bool(pc.agent_status()["doors"].get("web", {}).get("state") == state)

    pc.wait_for(found, 180, f"the door {state}")


def curl(pc: Machine, url: str, more: str = "") -> str:
    """What a program of an ordinary user gets, or why it gets nothing."""
    return pc.run(f"curl -4sSk -m 60 {more} {url} 2>&1", user="hanako", check=False).out


def greeting(pc: Machine, server: str) -> str:
    """What a mail server says first."""
    said = f"exec 3<>/dev/tcp/{server}/25 && timeout 20 head -n1 <&3"
    return pc.run(f"bash -c '{said}' 2>&1", user="hanako", check=False).out


def assert_filtered(pc: Machine) -> None:
    for url in (f"http://{LISTED}/", f"https://{LISTED}/"):
        assert "REACHED" not in curl(pc, url), url
    assert curl(pc, f"https://{OTHER}/") == f"REACHED {OTHER}\n"


@pytest.fixture(scope="module", autouse=True)
def world(pc: Machine, office: Office) -> None:
    pc.run("mkdir -p /root/world")
    pc.push(HERE / "web_servers.py", "/root/world/servers.py")
    pc.push(HERE / "web_world.sh", "/root/world/up.sh")
    pc.push(office.certificate, "/root/world/server.crt")
    pc.push(office.folder / "manager.key", "/root/world/server.key")
    enter(pc)


def enter(pc: Machine) -> None:
    """The network that leads there, which is gone after a restart."""
    pc.run("sh /root/world/up.sh")
    pc.wait_run(f"curl -4sS -m 5 http://{OTHER}/")


def test_a_listed_name_is_refused_and_others_are_reached(pc: Machine, office: Office) -> None:
    for name in (LISTED, OTHER):
        assert curl(pc, f"https://{name}/") == f"REACHED {name}\n"
    assert greeting(pc, "smtp.foreign.example").startswith("220")
    set_filter(office, on=True)
    wait_door(pc, "shut")
    assert_filtered(pc)
    # In words, where the protocol has any; and also to who knows the address.
    assert "会社の方針により利用できません" in curl(pc, f"http://{LISTED}/")
    for port, scheme in ((80, "http"), (443, "https")):
        known = curl(pc, f"{scheme}://{LISTED}/", f"--resolve {LISTED}:{port}:10.9.0.80")
        assert "REACHED" not in known, known
    assert greeting(pc, "smtp.foreign.example").startswith("554")
    assert greeting(pc, "smtp.midori.example").startswith("220")
    tried = office.wait_entry("web.blocked", host=LISTED, how="tls")
    assert (tried["user"], tried["data"]["process"], tried["result"]) == ("hanako", "curl", "blocked")
    assert office.wait_entry("mail.blocked", host="smtp.foreign.example")["user"] == "hanako"
    assert LISTED.removeprefix("www.") in pc.out("cat /etc/chromium/policies/managed/*securepc*")


def test_whoever_is_killed_it_holds_and_other_names_are_found(pc: Machine) -> None:
    pc.run("systemctl mask --runtime securepc-agent")
    pc.run("systemctl kill -s KILL securepc-agent; systemctl stop securepc-agent")
    assert_filtered(pc)
    before = pc.out("systemctl show -P MainPID securepc-web")
    pc.run("systemctl kill -s KILL securepc-web")
    pc.wait_run(f'test "$(systemctl show -P MainPID securepc-web)" != {before}')
    pc.wait_run(f"curl -4sSk -m 5 https://{OTHER}/")
    assert_filtered(pc)


def test_after_a_restart_it_holds_without_the_agent(pc: Machine, office: Office) -> None:
    pc.run("systemctl mask securepc-agent")
    pc.reboot()
    enter(pc)
    assert pc.run("systemctl is-active securepc-agent", check=False).code != 0
    assert_filtered(pc)
    pc.run("systemctl unmask securepc-agent && systemctl start securepc-agent", timeout=120)
    wait_door(pc, "shut")
    assert_filtered(pc)


def test_switched_off_nothing_of_it_stays(pc: Machine, office: Office) -> None:
    assert pc.run(OURS, check=False).out.count("\n") >= 5
    set_filter(office, on=False)
    wait_door(pc, "off")
    assert pc.run(OURS, check=False).out == ""
    for name in (LISTED, OTHER):
        assert curl(pc, f"https://{name}/") == f"REACHED {name}\n"
    assert greeting(pc, "smtp.foreign.example").startswith("220")
