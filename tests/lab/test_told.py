"""Warnings where no tray runs, and who may read whose: with a second user, real terminals, a real desktop's
notification service."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_manager import wait_for

from securepc.agent.crier import Crier
from securepc.agent.local.server import LocalServer
from securepc.agent.notices import Notices
from securepc.agent.people import People
from securepc.agent.platform import clock
from securepc.agent.platform.linux.logons import Logons
from securepc.agent.platform.linux.telling import LinuxTeller
from securepc.agent.removal import _context
from securepc.agent.state import State

USER, UID = "nobody", 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def terminal(open_folder: Path) -> Iterator[tuple[LinuxTeller, int, str]]:
    """A terminal on which somebody is logged on, as logind tells."""
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    os.chown(name, UID, -1)
    sessions = open_folder / "sessions"
    sessions.mkdir()
    (sessions / "7").write_text(f"USER={USER}\nCLASS=user\nTTY={name.removeprefix('/dev/')}\n")
    yield LinuxTeller(Logons(sessions, (), str(open_folder / "no-bus"))), master, name
    os.close(slave)
    os.close(master)


def written(master: int) -> str:
    found = b""
    while select.select([master], [], [], 0.3)[0]:
        found += os.read(master, 65_536)
    return found.decode()


def test_a_terminal_is_written_to_and_takes_no_orders(terminal: tuple[LinuxTeller, int, str]) -> None:
    teller, master, name = terminal
    assert teller.people() == {USER}
    told = teller.tell(USER, "block", "遮断\x1b[2J\r\nしました。", "It was\x07 blocked.")
    assert told == (name.removeprefix("/dev/"),)
    said = written(master)
    assert "[Secure PC 遮断] 遮断 [2J しました。" in said
    assert "\x1b" not in said
    os.chown(name, 0, -1)  # somebody else's terminal by now
    assert teller.tell(USER, "block", "一", "one") == ()
    assert written(master) == ""
    assert teller.tell("no-such-user", "block", "一", "one") == ()


def test_who_has_no_tray_is_told_and_who_has_one_is_not(
    terminal: tuple[LinuxTeller, int, str], tmp_path: Path
) -> None:
    teller, master, _ = terminal
    state = State(tmp_path)
    notices = Notices(clock(), state)
    notices.post("old", "以前の", "old", level="block")
    crier = Crier(notices, state, teller, patience=0.0)
    crier.start()
    try:
        notices.post("a", "お知らせだけ", "only told", level="info")
        notices.post("b", "別の人に", "another's", level="block", user="somebody-else")
        notices.post("c", "遮断しました。", "It was blocked.", level="block", user=USER)
        said = ""

        def more() -> bool:
            nonlocal said
            said += written(master)
            return "遮断しました。" in said

        wait_for(more)
        assert not [one for one in ("以前の", "お知らせだけ", "別の人に") if one in said]
        wait_for(lambda: state.get("notices.cried") == b"4")
        notices.after(notices.last, USER, 0.01)  # a tray of his looks
        notices.post("d", "トレイに出ます。", "It is in the tray.", level="block")
        wait_for(lambda: state.get("notices.cried") == b"5")
        assert written(master) == ""
    finally:
        crier.stop()
    # Killed in between: what came and was told nobody is told by the next.
    notices.post("e", "停止中の遮断です。", "While it was away.", level="warn")
    notices._looked.clear()
    again = Crier(notices, state, teller, patience=0.0)
    again.start()
    wait_for(lambda: "停止中の遮断です。" in written(master))
    again.stop()
    wait_for(lambda: state.get("notices.cried") == b"6")


def test_another_users_desktop(terminal: tuple[LinuxTeller, int, str], open_folder: Path) -> None:
    """Its bus takes nobody but its user: the helper becomes that user."""
    teller, master, _ = terminal
    run = Path(f"/run/user/{UID}")
    run.mkdir(parents=True, exist_ok=True)
    os.chown(run, UID, -1)
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-ac"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    programs: list[subprocess.Popen[Any]] = [server]
    try:
        assert server.stdout is not None
        address = f"unix:path={run}/bus"
        env = {
            "PATH": os.environ["PATH"],
            "DISPLAY": ":" + server.stdout.readline().decode().strip(),
            "DBUS_SESSION_BUS_ADDRESS": address,
            "XDG_RUNTIME_DIR": str(run),
            "HOME": str(run),
        }
        bus = ["dbus-daemon", "--session", "--nofork", f"--address={address}"]
        for command in (bus, ["dunst"]):
            programs.append(subprocess.Popen(command, env=env, user=UID, stderr=subprocess.DEVNULL))
            wait_for(lambda: (run / "bus").is_socket())
        count = ["dunstctl", "count", "displayed"]

        def shown() -> str:
            ran = subprocess.run(count, env=env, user=UID, capture_output=True, text=True)
            return ran.stdout.strip()

        wait_for(lambda: shown() == "0")
        told = teller.tell(USER, "block", "USBメモリーを<b>遮断</b>しました。", "A stick was blocked.")
        assert told[0] == "desktop"
        assert shown() == "1"
        assert "遮断" in written(master)
    finally:
        for one in reversed(programs):
            one.terminate()
            one.wait(10)
        shutil.rmtree(run)


def test_nobody_reads_anothers_notices(open_folder: Path, tmp_path: Path) -> None:
    local = LocalServer(open_folder / "agent.sock")
    notices = Notices(clock())
    context = _context(tmp_path, State(tmp_path))._replace(local=local, notices=notices)
    doors = {"shutter": {"state": "shut", "ja": "", "en": "", "at": 1, "data": {"user": "hanako"}}}
    People(context, lambda: doors, dict, dict)
    local.start()
    notices.post("a", "rootだけに", "for root", user="root")
    notices.post("b", "nobodyだけに", "for nobody", user=USER)
    notices.post("c", "全員に", "for all")
    program = (
        "import json, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile('rwb')\n"
        "for q in sys.argv[2:]:\n"
        "    f.write(q.encode() + b'\\n'); f.flush(); print(f.readline().decode(), end='')\n"
    )
    questions = ['{"ask":"notices","user":"root","uid":0}', '{"ask":"doors"}']
    command = ["/usr/bin/python3", "-c", program, str(local._path), *questions]
    try:
        ran = subprocess.run(command, user=UID, capture_output=True, text=True, check=True, timeout=20)
        mine, shown = [json.loads(line)["ok"] for line in ran.stdout.splitlines()]
        assert [one["code"] for one in mine["notices"]] == ["b", "c"]
        assert "data" not in shown["doors"]["shutter"]
        own = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True, check=True)
        theirs, whole = [json.loads(line)["ok"] for line in own.stdout.splitlines()]
        assert [one["code"] for one in theirs["notices"]] == ["a", "c"]
        assert whole["doors"]["shutter"]["data"] == {"user": "hanako"}
    finally:
        local.stop()
