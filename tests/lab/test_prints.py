"""What is printed on a real CUPS with a server, a socket and a printer of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from running_manager import wait_for

from securepc.agent.collect.prints import PrintsCollector
from securepc.agent.platform.linux.cups import CupsSpooler

if TYPE_CHECKING:
    from collecting import Gathered, Rules

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]
pytestmark = pytest.mark.lab

Run = Callable[..., subprocess.CompletedProcess[str]]

PRINTER = """#!/bin/sh
[ $# = 0 ] && {{ echo 'direct paper "Unknown" "Paper"'; exit 0; }}
cat "${{6:--}}" >>{paper}
echo 'PAGE: 1 1' >&2
echo 'PAGE: 2 1' >&2
"""


class Cups:
    """A print server in a folder; `run` runs CUPS's own programs against it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.socket, self.paper = folder, folder / "cups.sock", folder / "paper"
        for name in ("spool", "spool/tmp", "cache", "state", "log", "root", "bin", "bin/backend"):
            (folder / name).mkdir()
        (folder / "bin/daemon").symlink_to("/usr/lib/cups/daemon")
        backend = folder / "bin/backend/paper"
        backend.write_text(PRINTER.format(paper=self.paper))
        backend.chmod(0o700)  # so CUPS runs it as root
        (folder / "cupsd.conf").write_text(
            f"Listen {self.socket}\nLogLevel warn\nBrowsing No\nDefaultAuthType Basic\nWebInterface No\n"
            "<Location />\n  Order allow,deny\n  Allow all\n</Location>\n"
            "<Policy default>\n"
            "  JobPrivateAccess default\n  JobPrivateValues default\n"
            "  <Limit All>\n    Order deny,allow\n  </Limit>\n"
            "</Policy>\n"
        )
        (folder / "cups-files.conf").write_text(
            f"ServerRoot {folder}/root\nRequestRoot {folder}/spool\nTempDir {folder}/spool/tmp\n"
            f"CacheDir {folder}/cache\nStateDir {folder}/state\nAccessLog {folder}/log/access\n"
            f"ErrorLog {folder}/log/error\nPageLog {folder}/log/page\nServerBin {folder}/bin\n"
            "SystemGroup root\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["-f", "-c", self.folder / "cupsd.conf", "-s", self.folder / "cups-files.conf"]
        self.process = subprocess.Popen(["/usr/sbin/cupsd", *options])
        wait_for(self.socket.exists)
        wait_for(lambda: self.run("lpstat", "-r", check=False).returncode == 0)

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(20)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "CUPS_SERVER": str(self.socket), "LC_ALL": "C.UTF-8"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=check)


@pytest.fixture
def cups() -> Iterator[Cups]:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # its filters run as the user `lp`
        server = Cups(Path(folder))
        server.start()
        yield server
        server.stop()


def test_a_printed_document_is_told_once(
    cups: Cups, context: Context, gathered: Gathered, tmp_path: Path, rules: Rules
) -> None:
    cups.run("lpadmin", "-p", "kakuu-printer", "-E", "-v", "paper:/", "-m", "raw")
    document = tmp_path / "申込書.txt"
    document.write_text("架空の申込書\n")
    cups.run("lp", "-d", "kakuu-printer", "-t", "以前の文書", str(document))
    wait_for(lambda: not cups.run("lpstat", "-o").stdout)

    collector = PrintsCollector(context, CupsSpooler(cups.socket), every=0.2)
    collector.start(gathered.emit)
    gathered.until(lambda g: collector.status().state == "running")
    gathered.until(lambda g: (context.home / "prints.json").exists())
    cups.run("lp", "-d", "kakuu-printer", "-t", "申込書 架空商事様", str(document))
    [job] = gathered.until(lambda g: g.of("print.job"))
    assert (job["document"], job["printer"]) == ("申込書 架空商事様", "kakuu-printer")
    assert (job["pages"], job["size"]) == (2, 1024)
    assert cups.paper.read_text("utf-8") == "架空の申込書\n" * 2, "it was printed for real"
    assert gathered.events[0].user == "root" and gathered.events[0].result == "ok"
    collector.stop()

    # Held, then cancelled, while the agent is away; and CUPS starts anew.
    again = PrintsCollector(context, CupsSpooler(cups.socket), every=0.2)
    cups.run("lp", "-d", "kakuu-printer", "-H", "hold", "-t", "取りやめた文書", str(document))
    cups.run("cancel", "-a", "kakuu-printer")
    cups.stop()
    cups.start()
    again.start(gathered.emit)
    gathered.until(lambda g: len(g.of("print.job")) == 2)
    last = gathered.events[-1]
    assert (last.data["document"], last.data["reason"], last.result) == (
        "取りやめた文書",
        "cancelled",
        "failed",
    )
    cups.stop()
    cups.socket.unlink(missing_ok=True)
    gathered.until(lambda g: again.status().state == "off" and "CUPS" in again.status().en)
    again.stop()
    assert len(gathered.of("print.job")) == 2
    cups.start()
