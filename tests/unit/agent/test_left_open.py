"""What closes a Ghost Drive that an agent left open: it names the same drive as the agent, and is where the
service looks for it. That it closes is tried on a real kernel (tests/lab/vm/test_ghost_vm.py)."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

from securepc.agent.platform import linux
from securepc.agent.platform.linux import luks

SCRIPT = resources.files(linux) / "left_open.sh"
SERVICE = Path(__file__).parents[3] / "packaging/linux/files/securepc-agent.service"


def test_it_names_the_drive_as_the_agent_does() -> None:
    lines = SCRIPT.read_text("ascii").splitlines()
    assert f"name={luks.NAME}" in lines
    assert f"folder={luks.FOLDER}" in lines


def test_the_service_runs_it() -> None:
    lines = SERVICE.read_text("ascii").splitlines()
    (line,) = (line for line in lines if line.startswith("ExecStopPost="))
    assert line == "ExecStopPost=-/bin/sh /opt/securepc/lib/securepc/agent/platform/linux/left_open.sh"


def test_where_no_drive_is_open_it_does_nothing() -> None:
    with resources.as_file(SCRIPT) as path:
        for arguments in ([], ["5"]):
            ran = subprocess.run(
                ["/bin/sh", path, *arguments], capture_output=True, text=True, timeout=20, check=False
            )
            assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
