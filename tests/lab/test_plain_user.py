"""What an agent that an ordinary user runs for himself sees of each kind, and that it says what it cannot."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.lab

NOBODY = pwd.getpwnam("nobody")
WORK = """
import json, os, subprocess, sys, time
from pathlib import Path
from securepc.agent.collect import Context
from securepc.agent.platform import linux
from securepc.wire.policy import default_rules

home = Path.home()
(home / "agent").mkdir()
rules = default_rules()
for name in ("opens", "copies", "visits", "downloads", "windows", "clipboard"):
    rules["collect"][name]["on"] = True
context = Context(home / "agent", linux.clock(), lambda: rules)
seen = []
collectors = linux.collectors(context)
for one in collectors:
    one.start(seen.append)
(home / "見積書.txt").write_text("架空")
subprocess.run(["sleep", "2.5"])
wanted = {"file.create", "process.start", "process.stop"}
end = time.monotonic() + 60
while time.monotonic() < end and not wanted <= {event.kind for event in seen}:
    time.sleep(0.1)
said = {one.name: one.status() for one in collectors}
while time.monotonic() < end and any("Not started" in one.en for one in said.values()):
    time.sleep(0.1)
    said = {one.name: one.status() for one in collectors}
for one in collectors:
    one.stop()
events = [{"kind": event.kind, "user": event.user, **event.data} for event in seen]
states = {name: [one.state, one.ja, one.en] for name, one in said.items()}
print(json.dumps({"said": states, "events": events}))
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    # The system's Python, as in the package: root's own need not be everybody's.
    own = [path for path in sys.path if "site-packages" in path]
    imports = f"import sys; sys.path[:0] = {[str(Path(__file__).parents[2] / 'src'), *own]!r}\n"
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)
        ran = subprocess.run(
            ["/usr/bin/python3", "-IS", "-c", imports + WORK],
            env={"HOME": home, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            user=NOBODY.pw_uid,
            group=NOBODY.pw_gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=150,
        )
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


def test_own_files_and_programs_are_seen(seen: dict[str, Any]) -> None:
    [made] = [one for one in seen["events"] if one["kind"] == "file.create"]
    assert made["path"].endswith("/見積書.txt") and made["user"] == "nobody" and made["size"] == 6
    assert "sleep 2.5" in [one.get("command") for one in seen["events"] if one["kind"] == "process.start"]


@pytest.mark.parametrize(
    ("name", "state", "words"),
    [
        ("files", "degraded", "Only the home folder is watched"),
        ("opens", "off", "Without administrator rights openings and copies"),
        ("processes", "degraded", "programs of under a second"),
        ("network", "running", ""),
        ("visits", "running", ""),
        ("downloads", "running", ""),
        ("screen", "running", ""),
    ],
)
def test_what_it_cannot_see_it_says(name: str, state: str, words: str, seen: dict[str, Any]) -> None:
    said, ja, en = seen["said"][name]
    assert said == state and words in en and bool(ja) == bool(en)
