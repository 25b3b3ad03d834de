"""Where the limit of watches is reached, the folders that are not watched are named, and the rest is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import json, os, sys, time
from pathlib import Path
from securepc.agent.collect import Context
from securepc.agent.collect.files import FilesCollector
from securepc.agent.platform.linux.identity import clock
from securepc.agent.platform.linux.tree import TreeWatcher
from securepc.wire.policy import default_rules

Path("/proc/sys/user/max_inotify_watches").write_text("20")
home, agent = Path(sys.argv[1]), Path(sys.argv[2])
rules, events = default_rules(), []
collector = FilesCollector(
    Context(agent, clock(), lambda: rules), [TreeWatcher], lambda: [os.fsencode(home)], "kakuu.taro"
)
collector.start(events.append)
end = time.monotonic() + 20
while time.monotonic() < end and not any(e.kind == "collect.gap" for e in list(events)):
    time.sleep(0.05)  # the first look is over
(home / "見える.txt").write_text("x")
(home / "後から").mkdir()
while time.monotonic() < end:
    kinds = [(e.kind, e.data.get("path", e.data.get("reason"))) for e in events]
    if ("file.create", str(home / "見える.txt")) in kinds and sum(k == "collect.gap" for k, _ in kinds) == 2:
        break
    time.sleep(0.05)
status = collector.status()
collector.stop()
print(json.dumps({"events": [[e.kind, e.data] for e in events], "state": status.state, "ja": status.ja}))
"""


def test_the_limit_is_a_gap_that_names_folders(tmp_path: Path) -> None:
    """In a user namespace, whose limit is its own."""
    home, agent = tmp_path / "home", tmp_path / "agent"
    agent.mkdir()
    for number in range(40):
        (home / f"{number:02}").mkdir(parents=True)
    ran = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", _SCRIPT, str(home), str(agent)],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    gaps = [data for kind, data in told["events"] if kind == "collect.gap"]
    assert [gap["reason"] for gap in gaps] == ["limit", "limit"]
    assert gaps[0]["count"] == 41 - 20
    assert len(gaps[0]["folders"]) == 20
    assert gaps[0]["folder"].startswith(str(home))
    assert gaps[1]["folders"] == [str(home / "後から")]
    assert ["file.create", {"path": str(home / "見える.txt"), "size": 1}] in told["events"]
    assert told["state"] == "degraded"
    assert "22個のフォルダー" in told["ja"]
