"""One thing of each kind done for real on a PC in namespaces of its own, and found by the search with its
fields. What needs a whole machine is shown in `vm/`: media that are plugged in, locked
screens, packages, the clock, a PC that really sleeps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

ANY = object()
"""The field is there, and not empty."""
PROGRAM = {"process": ANY, "pid": ANY, "exe": ANY}
VOLUME = {
    "volume": ANY,
    "filesystem": "ext4",
    "access": "write",
    "size": 16 << 20,
    "class": "image",
    "name": ANY,
}
TABLE: dict[str, dict[str, Any]] = {
    "agent.start": {"version": ANY, "os": ANY, "name": ANY},
    "agent.stop": {"reason": ANY},
    "agent.unclean": {"first": ANY, "last": ANY, "detail": ANY},
    "power.on": {"since": ANY},
    "power.suspend": {"reason": "announced"},
    "power.resume": {"slept": ANY},
    "power.off": {"reason": "shutdown"},
    "policy.applied": {"version": ANY},
    "collect.started": {"collector": "files", "how": "fanotify", "folders": ANY},
    "file.create": {"path": "home/顧客名簿.csv", "size": 4_000, **PROGRAM},
    "file.modify": {"path": "home/顧客名簿.csv", "size": 4_007, **PROGRAM},
    "file.open": {"path": "home/顧客名簿.csv", "size": 4_000, **PROGRAM},
    "file.copy": {"from": "home/顧客名簿.csv", "to": "medium/MEIBO.CSV", "size": 4_000, **PROGRAM},
    "file.rename": {"from": "home/顧客名簿.csv", "to": "home/書類/改名.csv", **PROGRAM},
    "file.delete": {"path": "home/書類/改名.csv", **PROGRAM},
    "folder.create": {"path": "home/書類", **PROGRAM},
    "folder.rename": {"from": "home/書類", "to": "home/旧書類", **PROGRAM},
    "folder.delete": {"path": "home/旧書類", **PROGRAM},
    "process.start": {"exe": ANY, "sha256": ANY, "command": "sleep 4.25", "pid": ANY, "parent": ANY},
    "process.stop": {"exe": ANY, "pid": ANY},
    "session.logon": {"session": ANY, "terminal": ANY, "since": ANY},
    "session.logoff": {"session": ANY, "terminal": ANY},
    "media.mount": {
        "folder": "/架空の媒体",
        "label": "架空支店",
        "filesystem": "ext4",
        "access": "write",
        **VOLUME,
    },
    "media.unmount": {"folder": "/架空の媒体", "label": "架空支店", **VOLUME},
    "network.up": {"interface": "office0", "mac": "02:00:00:00:00:07", "addresses": ["192.0.2.7/24"]},
    "network.gateway": {"gateway": "192.0.2.1", "gateway_mac": "02:00:00:00:00:01"},
    "network.address": {"interface": "office0", "addresses": ["192.0.2.7/24", "198.51.100.7/24"]},
    "network.down": {"interface": "office0"},
    "window.active": {"title": "架空商事様 見積書", "active": ANY, "process": "xterm", "pid": ANY},
    "clipboard.copy": {"format": "text", "size": 13, "process": "xclip", "pid": ANY},
    "print.job": {"document": "申込書 架空商事様", "printer": "kakuu-printer", "pages": 2, "size": ANY},
    "web.visit": {"url": "/shorui", "host": "127.0.0.1", "browser": "chromium", "visited": ANY},
    "web.download": {"url": "/yakkan.pdf", "host": "127.0.0.1", "path": ANY, "size": 5_000},
}
PATHS = ("path", "from", "to", "url", "folder")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("pc")
    folder.chmod(0o755)  # CUPS's filters run as another user
    support = Path(__file__).parents[1] / "support"
    ran = subprocess.run(
        ["unshare", "-n", "-m", sys.executable, str(support / "every_kind.py"), str(folder)],
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert ran.returncode == 0, ran.stderr[-4_000:]
    return dict(json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.parametrize("kind", TABLE)
def test_done_and_found(kind: str, found: dict[str, dict[str, Any]]) -> None:
    entry = found[kind]
    assert entry["kind"] == kind and entry["result"] == "ok"
    for name, wanted in TABLE[kind].items():
        value = entry["data"].get(name)
        if wanted is ANY:
            assert value not in (None, "", [])
        elif name in PATHS:
            assert value.endswith(wanted), (name, value)
        else:
            assert value == wanted, name


def test_each_says_who(found: dict[str, dict[str, Any]]) -> None:
    for kind in ("file.create", "process.start", "session.logon", "window.active", "print.job", "web.visit"):
        assert found[kind]["user"] == "root"
