"""`securepc agent release`: on a terminal of its own, with and without an agent."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from securepc.agent import codes as desk
from securepc.agent import files, release
from securepc.agent.lockfile import NAME, Lock, LockFile
from securepc.cli.agent import command
from securepc.wire import codes

KEY = bytes(range(32))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "agent"
    files.make_folder(folder)
    desk.write_key(folder, KEY)
    return tmp_path


def locked(home: Path) -> None:
    LockFile(home / "agent").put(Lock("contact", 1, reason="no contact"))


def test_a_free_pc_says_so(home: Path) -> None:
    ran = CliRunner().invoke(command, ["release", "--home", str(home)])
    assert "not locked" in str(ran.exception)


class Terminal:
    """A screen and a keyboard."""

    def __init__(self, home: Path) -> None:
        self.fd, child = pty.openpty()
        self.shown = ""
        where = ("--home", str(home))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "securepc", "agent", "release", "--screen", "--patience", "0", *where],
            stdin=child,
            stdout=child,
            stderr=child,
            env={**os.environ, "TERM": "linux", "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )
        os.close(child)

    def until(self, text: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            if select.select([self.fd], [], [], 0.1)[0]:
                self.shown += os.read(self.fd, 4096).decode("utf-8", "replace")

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())


@pytest.mark.lab  # without an agent only root is judged
def test_the_screen_cannot_be_left_and_the_right_code_releases(home: Path) -> None:
    locked(home)
    terminal = Terminal(home)
    try:
        terminal.until("Number to read out:", 90)
        assert "KANRISHA NI DENWA" in terminal.shown, "this console's font knows no Japanese"
        number = terminal.shown.split("Number to read out:")[1].split()[0]
        terminal.type("\x03\x1c\x1a")  # Ctrl-C, Ctrl-\\, Ctrl-Z
        terminal.type("\n0000-0000-0001\n")
        terminal.until("mistyped")
        code = codes.response(KEY, release.PURPOSE, codes.read(number, codes.CHALLENGE), release.DETAILS)
        assert terminal.process.poll() is None
        terminal.type(codes.show(code).lower() + "\n")
        assert terminal.process.wait(60) == 0
    finally:
        terminal.process.kill()
        os.close(terminal.fd)
    assert not release.is_locked(home / "agent")
    assert (home / "agent" / NAME).exists(), "the agent is still to record it"
