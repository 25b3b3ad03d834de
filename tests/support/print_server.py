"""A real CUPS with a folder, a socket and a printer of its own, whose paper is a file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from running_manager import wait_for

PRINTER = """#!/bin/sh
[ $# = 0 ] && {{ echo 'direct paper "Unknown" "Paper"'; exit 0; }}
cat "${{6:--}}" >>{paper}
echo 'PAGE: 1 1' >&2
echo 'PAGE: 2 1' >&2
"""


class Cups:
    """A print server in a folder; `run` runs CUPS's own programs against it."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.folder, self.socket, self.paper = folder, socket, folder / "paper"
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
