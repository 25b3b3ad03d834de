"""The tray on a real X server with a tray area, by keyboard alone, as a screen reader hears it, with a real
agent and a real manager."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running_agent import MACHINE, OFTEN, QUICK
from running_manager import Keeper, Running, make_home, wait_for

from securepc.agent.enrol import enrol
from securepc.agent.local.server import Peer, text
from securepc.agent.service import Agent, no_collectors, no_doors

PYTHON = "/usr/bin/python3"
"""The system's own, which has what screen readers use."""
ROOT = Path(__file__).parents[2]
SPOKEN = Path(__file__).parents[1] / "support" / "spoken.py"
CONTROLS = ("push button", "combo box", "text", "spin button", "table")
Seen = list[dict[str, Any]]


class Screen:
    """An X server with a window manager and a tray area, a session's bus, the tray, a keyboard."""

    program: tuple[str, ...] = (sys.executable, "-c", "from securepc.cli import main; main()")

    def __init__(self, folder: Path, home: Path, *arguments: str, **environment: str) -> None:
        self.folder, self.home = folder, home
        self.running: list[subprocess.Popen[Any]] = []
        run = folder / "run"
        run.mkdir(mode=0o700, exist_ok=True)
        self.env = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(run),
            "XDG_STATE_HOME": str(folder),
            "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1",
            "QT_QPA_PLATFORM": "xcb",
            "SECUREPC_LANG": "ja",
            "TZ": "Asia/Tokyo",
            **environment,
        }
        self.env["DISPLAY"] = ":" + self._first_line("Xvfb", "-displayfd", "1", "-screen", "0", "1280x800x24")
        self.env["DBUS_SESSION_BUS_ADDRESS"] = self._first_line(
            "dbus-daemon", f"--config-file={_bus(folder)}", "--nofork", "--print-address"
        )
        for program in (["openbox"], ["trayer", "--edge", "top", "--height", "26"]):
            self._start(*program)
        self.arguments = arguments
        self.tray = self.start_tray()

    def start_notifications(self) -> None:
        """A desktop's notification service."""
        self._start("dunst")
        wait_for(lambda: self._dunst() is not None)

    def notified(self) -> int:
        """How many notices that service shows."""
        return self._dunst() or 0

    def _dunst(self) -> int | None:
        ran = subprocess.run(["dunstctl", "count", "displayed"], env=self.env, capture_output=True, text=True)
        return int(ran.stdout) if ran.returncode == 0 else None

    def start_tray(self) -> subprocess.Popen[Any]:
        self.tray = self._start(*self.program, "tray", "--home", str(self.home), *self.arguments)
        return self.tray

    def _start(self, *command: str, **more: Any) -> subprocess.Popen[Any]:
        with (self.folder / "programs.log").open("ab") as log:
            process = subprocess.Popen(command, env=self.env, stderr=log, **({"stdout": log} | more))
        self.running.append(process)
        return process

    def _first_line(self, *command: str) -> str:
        process = self._start(*command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 20)
        assert ready, command
        return str(process.stdout.readline().decode().strip())

    def press(self, *keys: str) -> None:
        for key in keys:
            subprocess.run(["xdotool", "key", "--delay", "60", key], env=self.env, check=True)
            time.sleep(0.1)

    def type(self, written: str) -> None:
        subprocess.run(["xdotool", "type", "--delay", "30", written], env=self.env, check=True)

    def spoken(self) -> Seen:
        """Everything that shows, as a screen reader is told."""
        command = [PYTHON, str(SPOKEN), "securepc-tray"]
        try:
            ran = subprocess.run(command, env=self.env, capture_output=True, timeout=10)
        except subprocess.TimeoutExpired:
            return []
        return list(json.loads(ran.stdout)) if ran.returncode == 0 else []

    def says(self, words: str) -> bool:
        return any(words in one["name"] or words in one["text"] for one in self.spoken())

    def focus(self) -> dict[str, Any]:
        """What has the keyboard. A table's current cell and the chosen tab call themselves focused, too."""
        focused = [one for one in self.spoken() if "focused" in one["states"]]
        others = [one for one in focused if one["role"] not in ("page tab", "table cell", "filler")]
        return (others or focused or [{"role": "", "name": "", "states": []}])[0]

    def stop(self) -> None:
        for process in reversed(self.running):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _bus(folder: Path) -> Path:
    """A session's bus that starts nothing by itself but what screen readers need."""
    services = folder / "services"
    services.mkdir(exist_ok=True)
    name = "org.a11y.Bus.service"
    (services / name).write_text(Path("/usr/share/dbus-1/services", name).read_text())
    config = folder / "bus.conf"
    config.write_text(
        '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"'
        ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">'
        f"<busconfig><type>session</type><listen>unix:path={folder}/bus</listen><auth>EXTERNAL</auth>"
        f"<servicedir>{services}</servicedir>"
        '<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>'
        '<allow own="*"/></policy></busconfig>'
    )
    return config


@pytest.fixture(scope="module")
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture(scope="module")
def manager(keeper: Keeper) -> Iterator[Running]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        make_home(home)
        with Running(home, lambda manager: manager.opener.subscribe(keeper)) as running:
            yield running


@pytest.fixture
def home(tmp_path: Path, manager: Running) -> Path:
    enrol(tmp_path / "pc" / "agent", manager.token(), MACHINE)
    return tmp_path / "pc"


def started(home: Path) -> Agent:
    options: dict[str, Any] = {"limits": QUICK, "intervals": OFTEN, "machine": MACHINE}
    agent = Agent(home / "agent", collectors=no_collectors, doors=no_doors, **options)

    def request(peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """As the network guard answers, where there is one: an entry, sealed at once."""
        purpose = text(question, "purpose", 500)
        agent.guard.context.report("network.request", {"purpose": purpose}, user=peer.user)
        agent.journal.seal(5.0)
        return {"request": "1"}

    agent.guard.local.on("network.request", request)
    agent.start()
    return agent


@pytest.fixture
def agent(home: Path) -> Iterator[Agent]:
    one = started(home)
    yield one
    one.stop(grace=0.0)


@pytest.fixture
def screen(tmp_path: Path, home: Path, agent: Agent) -> Iterator[Callable[..., Screen]]:
    made: list[Screen] = []

    def make(*arguments: str, **environment: str) -> Screen:
        made.append(Screen(tmp_path, home, *arguments, **environment))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def order(manager: Running, agent: Agent, words: str) -> None:
    """An administrator writes to the people at a PC."""
    with manager.manager.database.write() as session:
        manager.manager.commands.issue(
            session, agent.config.log, agent.config.device, "message", {"text": words}, actor="test"
        )


def entries(keeper: Keeper, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for batch in keeper.seen for line in batch.entries or []]
    return [line for line in lines if line["kind"] == kind]


def test_a_notice_appears_and_a_request_becomes_an_entry_by_keyboard(
    screen: Callable[..., Screen], manager: Running, keeper: Keeper, agent: Agent
) -> None:
    one = screen()
    wait_for(lambda: one.says("管理サーバーとの通信"), 60)
    wait_for(lambda: one.says("JST, UTC+09:00"))

    begin = time.monotonic()
    order(manager, agent, "本日18時に更新します。")
    wait_for(lambda: any("本日18時" in o["name"] for o in one.spoken() if "Secure PC –" in o["window"]))
    print(f"a message of the manager's shows after {time.monotonic() - begin:.1f} s")
    one.start_notifications()
    order(manager, agent, "明日は休業日です。")
    wait_for(lambda: one.notified() == 1)

    one.press("alt+n")
    wait_for(lambda: one.says("未確認のお知らせが2件あります。"))
    one.press("alt+a")
    wait_for(lambda: one.says("未確認のお知らせはありません。"))

    one.press("ctrl+3")
    wait_for(lambda: one.focus()["role"] == "combo box")
    one.press("Down", "alt+p")
    wait_for(lambda: one.focus()["name"] == "理由")
    one.press("alt+q")
    wait_for(lambda: one.says("理由を入力してください。"))
    one.press("alt+p")
    one.type("a branch office")
    one.press("alt+q")
    wait_for(lambda: one.says("申請を記録し"))
    wait_for(lambda: entries(keeper, "network.request"))
    (entry,) = entries(keeper, "network.request")
    assert entry["data"]["purpose"] == "a branch office"


def test_what_came_meanwhile_is_shown_and_the_agents_end_is_said(
    screen: Callable[..., Screen], home: Path, agent: Agent
) -> None:
    one = screen()
    wait_for(lambda: one.says("管理サーバーとの通信"), 60)
    one.stop()
    agent.guard.notices.post("x", "席を外している間の遮断です。", "While you were away.", level="block")
    agent.stop(grace=0.0)
    one = screen()
    wait_for(lambda: one.says("エージェントに接続できません"), 60)
    again = started(home)
    try:
        wait_for(lambda: one.says("席を外している間の遮断です。"), 60)
        wait_for(lambda: one.says("遮断しました"))
        # A second start brings the window of the first to the front, and ends.
        one.press("Escape")
        wait_for(lambda: not one.says("このPCについて"))
        first = one.tray
        second = one.start_tray()
        assert second.wait(30) == 0
        assert first.poll() is None
        wait_for(lambda: one.says("このPCについて"))
    finally:
        again.stop(grace=0.0)


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_control_has_a_name_and_is_reached_by_tab(screen: Callable[..., Screen], language: str) -> None:
    one = screen("--language", language)
    wait_for(lambda: one.says({"ja": "管理サーバー", "en": "Contact with the manager"}[language]), 60)
    for page in (1, 2, 3, 4):
        one.press(f"ctrl+{page}")
        wait_for(lambda n=page: one.focus()["role"] in ("table", "combo box", "table cell", "push button"))
        controls = [o for o in one.spoken() if {"focusable", "enabled"} <= set(o["states"])]
        controls = [o for o in controls if o["role"] in CONTROLS]
        assert all(o["name"].strip() for o in controls), controls
        reached: set[tuple[str, str]] = set()
        for _ in range(len(controls) + 6):
            focus = one.focus()
            reached.add((focus["role"], focus["name"]))
            one.press("Tab")
        wanted = {(o["role"], o["name"]) for o in controls if o["role"] != "table"}
        assert wanted <= reached, (page, wanted - reached)


def test_the_language_is_switched_and_stays(screen: Callable[..., Screen]) -> None:
    one = screen()
    wait_for(lambda: one.says("管理サーバーとの通信"), 60)
    one.press("alt+e")
    wait_for(lambda: one.says("Contact with the manager"))
    one.stop()
    one = screen()
    wait_for(lambda: one.says("Contact with the manager"), 60)
    assert not one.says("管理サーバーとの通信")


def test_what_it_costs(screen: Callable[..., Screen]) -> None:
    """Printed; asserted loosely, so that a leak or a heavy library is seen."""
    begin = time.monotonic()
    one = screen()
    wait_for(lambda: one.says("管理サーバーとの通信"), 60)
    took = time.monotonic() - begin
    lines = Path(f"/proc/{one.tray.pid}/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    resident, own = (int(status[name].split()[0]) // 1024 for name in ("VmRSS", "RssAnon"))
    print(f"tray: {resident} MB resident, {own} MB its own; on the screen after {took:.1f} s")
    assert resident < 250


def packaged(folder: Path) -> tuple[str, ...]:
    """The program as both packages install it, on the system's Python, in a mount namespace of its own."""
    code = "import pathlib, runpy, sys; runpy.run_path(sys.argv[1])['fill'](pathlib.Path(sys.argv[2]))"
    for name in ("package", "package-tray"):
        subprocess.run([sys.executable, "-c", code, ROOT / "tools" / name, folder], check=True)
    mount = (
        f"mount -t tmpfs none /opt && mkdir /opt/securepc && mount --bind {folder}/opt/securepc /opt/securepc"
    )
    return ("unshare", "-m", "sh", "-c", mount + ' && exec /opt/securepc/bin/securepc "$@"', "sh")


def test_the_package_brings_all_that_draws_it(
    screen: Callable[..., Screen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "root").mkdir()
    monkeypatch.setattr(Screen, "program", packaged(tmp_path / "root"))
    one = screen()
    wait_for(lambda: one.says("管理サーバーとの通信"), 60)
    one.press("ctrl+3")
    wait_for(lambda: one.says("申請"))
