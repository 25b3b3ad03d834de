"""The package on a PC, enrolled: at work, through a reboot, a power cut and being killed."""

from __future__ import annotations

from labvm import Machine
from labvm.office import Office


def test_what_is_done_on_the_pc_is_found_at_the_office(pc: Machine, office: Office) -> None:
    assert office.wait_entry("agent.start")["data"]["name"] == "lab"
    pc.run("echo 見積もり > ~/見積書.txt", user="hanako")
    found = office.wait_entry("file.create", text="見積書")
    assert found["data"]["path"] == "/home/hanako/見積書.txt"
    assert (found["user"], found["data"]["exe"]) == ("hanako", "/usr/bin/dash")
    status = pc.agent_status()
    assert status["running"] and status["private"]
    rights = pc.out("stat -c '%U %a' /var/lib/securepc /var/lib/securepc/agent /run/securepc")
    assert rights.splitlines() == ["root 700", "root 700", "root 755"]
    assert pc.run("cat /var/lib/securepc/agent/device.key", user="hanako", check=False).code


def test_a_session_is_seen_and_whether_its_screen_can_be_locked(pc: Machine, office: Office) -> None:
    """What the service may not do is not to keep it from asking logind."""
    session = pc.sit_down("hanako")
    assert office.wait_entry("session.logon", session=session)["user"] == "hanako"
    assert len(office.entries(kind="session.logon")) == 1
    pc.wait_for(lambda: pc.agent_status()["collectors"]["sessions"]["state"] == "running", 90)


def test_killed_it_is_back_and_says_that_it_was_gone(pc: Machine, office: Office) -> None:
    since = pc.now()
    before = pc.out("systemctl show -P MainPID securepc-agent")
    pc.run("systemctl kill -s KILL securepc-agent")
    pc.wait_run(f'test "$(systemctl show -P MainPID securepc-agent)" != {before} && securepc agent status')
    pc.run("echo 続き > ~/続き.txt", user="hanako")
    office.wait_entry("agent.unclean", since=since)
    office.wait_entry("agent.start", since=since)
    pc.wait_run("systemctl is-active securepc-agent")
    pc.run("echo 後 > ~/後.txt", user="hanako")
    office.wait_entry("file.create", text="後.txt")


def test_after_a_reboot_it_is_back_before_anybody_may_log_on(pc: Machine, office: Office) -> None:
    since = pc.now()
    pc.reboot()
    order = pc.out(
        "systemctl show -P ActiveEnterTimestampMonotonic securepc-agent systemd-user-sessions"
    ).split()
    assert 0 < int(order[0]) <= int(order[1])
    for kind in ("agent.stop", "power.on", "agent.start"):
        office.wait_entry(kind, since=since)
    office.wait_entry("power.off", since=since, reason="reboot")
    assert not office.entries(kind="agent.unclean", since=since)
    assert not office.entries(kind="collect.gap", since=since)


def test_after_a_power_cut_it_goes_on_where_it_was(pc: Machine, office: Office) -> None:
    pc.run("echo 停電前 > ~/停電前.txt; sync", user="hanako")
    office.wait_entry("file.create", text="停電前")
    since = pc.now()
    pc.power_cut()
    pc.power_on()
    office.wait_entry("agent.unclean", since=since)
    pc.run("echo 停電後 > ~/停電後.txt", user="hanako")
    office.wait_entry("file.create", text="停電後")
    pc.wait_for(lambda: not pc.agent_status()["queue"]["unsent"], what="sending")
