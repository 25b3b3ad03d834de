"""The package on a PC: put in, at work, restarted, killed, taken out again without a trace."""

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
    print(
        pc.run("journalctl -b -u securepc-agent; dmesg | tail -5; ls -la /run/dbus; id").out,
        status["collectors"],
    )
