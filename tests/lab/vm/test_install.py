"""The package on a PC: put in, at work, restarted, killed, taken out again without a trace."""

from __future__ import annotations

from labvm import Machine
from labvm.office import Office


def test_what_is_done_on_the_pc_is_found_at_the_office(pc: Machine, office: Office) -> None:
    assert office.wait_entry("agent.start")["data"]["name"] == "lab"
    pc.run("echo 見積もり > ~/見積書.txt", user="hanako")
    found = office.wait_entry("file.create", text="見積書")
    print(found, pc.agent_status())
    print(
        pc.out(
            "systemd-analyze security securepc-agent | tail -3; systemctl status securepc-agent; systemd-analyze blame | head; ss -ltnx | head -30"
        )
    )
