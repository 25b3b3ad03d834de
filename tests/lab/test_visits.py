"""Web pages opened in real browsers, read from the histories that these write; one's as another user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from marionette import Firefox

from securepc.agent.collect.visits import VisitsCollector
from securepc.agent.platform.linux import histories
from securepc.agent.platform.linux.histories import LinuxHistories
from securepc.wire.policy import default_rules

if TYPE_CHECKING:
    from collecting import Gathered, Rules

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]
pytestmark = pytest.mark.lab

PYTHON = "/usr/bin/python3"
SOURCES = Path(__file__).parents[2] / "src"
PAGE = "<!doctype html><meta charset=utf-8><title>架空のお見積もり</title><iframe src=/inner></iframe>"


VISIT = """
import sys
from playwright.sync_api import sync_playwright

with sync_playwright() as playwright:  # in a process of its own: one of these a process
    options = {"executable_path": "/usr/bin/chromium", "args": ["--no-sandbox"]}
    browser = playwright.chromium.launch_persistent_context(sys.argv[1], **options)
    page = browser.new_page()
    page.goto(sys.argv[2])
    page.wait_for_timeout(1_000)
    browser.close()
"""


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data if self.path != "/inner" else b" " * len(data))

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def site() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def collector(context: Context, gathered: Gathered, rules: Rules, home: Path) -> Iterator[VisitsCollector]:
    value = default_rules()
    value["collect"]["visits"] = {"on": True}
    rules.value = value
    one = VisitsCollector(context, LinuxHistories(lambda: [str(home).encode()]), every=0.5)
    one.start(gathered.emit)
    yield one
    one.stop()


def test_a_page_in_chromium(site: str, home: Path, gathered: Gathered, collector: VisitsCollector) -> None:
    page = f"{site}/shorui?kyaku=hanako"
    subprocess.run(
        [sys.executable, "-c", VISIT, str(home / ".config/chromium"), page], check=True, timeout=120
    )
    found = gathered.until(lambda g: g.of("web.visit"), 60)
    assert [one["url"] for one in found] == [f"{site}/shorui"]
    assert found[0]["browser"] == "chromium"
    assert found[0]["title"] in ("架空のお見積もり", ""), "Chromium may write a title after the visit"
    assert collector.status().state == "running"


def test_a_page_in_firefox(site: str, home: Path, gathered: Gathered, collector: VisitsCollector) -> None:
    folder = home / ".mozilla/firefox"
    with Firefox(folder, 2_977, trust=lambda profile: None) as firefox:
        firefox.visit(f"{site}/keiyaku#dai-ni-jo")
        found = gathered.until(lambda g: g.of("web.visit"), 60)
    assert [one["url"] for one in found] == [f"{site}/keiyaku"]
    assert (found[0]["host"], found[0]["browser"]) == ("127.0.0.1", "firefox")


def test_anothers_history_is_opened_as_that_user_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only root may read is not read for a user who puts it where his history should be."""
    # The system's Python, as in the package: root's own need not be everybody's.
    said = subprocess.check_output(
        [PYTHON, "-IS", "-c", "import sys; print('\\n'.join(sys.path))"], text=True
    )
    monkeypatch.setattr(histories.sys, "executable", PYTHON)
    monkeypatch.setattr(histories.sys, "path", [str(SOURCES), *said.splitlines()])
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        home = Path(folder) / "home"
        profile = home / ".config/chromium/Default"
        profile.mkdir(parents=True)
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        (profile / "History").write_bytes(b"")
        (profile / "History").chmod(0o600)  # root's own
        looked = LinuxHistories(lambda: [str(home).encode()])
        [found] = looked.profiles()
        assert found.user == "nobody"
        with pytest.raises(histories.Unreadable, match="PermissionError"):
            looked.read(found, histories.Seen())
        shutil.chown(profile / "History", nobody.pw_uid)
        with pytest.raises(histories.Unreadable, match="no such table"):
            looked.read(found, histories.Seen())
