"""Windows and the clipboard on a real X server with a window manager: as root looks at another's screen, and
as he who sits there does."""

from __future__ import annotations

import os
import pwd
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from securepc.agent.collect.screen import ScreenCollector
from securepc.agent.platform.linux import screens
from securepc.agent.platform.linux.processes import Processes
from securepc.agent.platform.linux.screens import LinuxScreens
from securepc.wire.policy import default_rules

if TYPE_CHECKING:
    from collecting import Gathered, Rules

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]
pytestmark = pytest.mark.lab
NOBODY = pwd.getpwnam("nobody")


class Desk:
    """A display of one user, whom its X server alone lets in, with a window manager."""

    def __init__(self, folder: Path) -> None:
        self.running: list[subprocess.Popen[Any]] = []
        self.authority = folder / "authority"
        self.authority.touch(0o600)
        cookie = os.urandom(16).hex()
        server = ["Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-auth", str(self.authority)]
        os.chown(self.authority, NOBODY.pw_uid, NOBODY.pw_gid)
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        self.env = {"PATH": os.environ["PATH"], "XAUTHORITY": str(self.authority), "LC_ALL": "C.UTF-8"}
        self._xauth(":0", cookie)  # the server reads the cookie, whatever display it stands for
        said = folder / "xvfb.log"
        with said.open("wb") as log:
            one = self.start(*server, stdout=subprocess.PIPE, stderr=log)
        assert one.stdout is not None
        ready, _, _ = select.select([one.stdout], [], [], 20)
        number = one.stdout.readline().decode().strip() if ready else ""
        assert number, said.read_text()
        self.display = f":{number}"
        self._xauth(self.display, cookie)
        self.env |= {"DISPLAY": self.display, "HOME": str(folder)}
        self.start("openbox")

    def _xauth(self, display: str, cookie: str) -> None:
        subprocess.run(["xauth", "-f", str(self.authority), "add", display, ".", cookie], check=True)
        shutil.chown(self.authority, NOBODY.pw_uid, NOBODY.pw_gid)

    def start(self, *command: str, **more: Any) -> subprocess.Popen[Any]:
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        options = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": [], "cwd": "/"}
        self.running.append(subprocess.Popen(command, env=self.env, **(silent | options | more)))
        return self.running[-1]

    def run(self, *command: str) -> str:
        return subprocess.run(
            command, env=self.env, user=NOBODY.pw_uid, check=True, capture_output=True, text=True, timeout=20
        ).stdout

    def copy(self, data: bytes, target: str = "UTF8_STRING") -> None:
        program = self.start(
            "xclip", "-quiet", "-selection", "clipboard", "-t", target, stdin=subprocess.PIPE
        )
        assert program.stdin is not None
        program.stdin.write(data)
        program.stdin.close()

    def stop(self) -> None:
        for process in reversed(self.running):
            process.terminate()
            process.wait()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with tempfile.TemporaryDirectory() as folder:
        one = Desk(Path(folder))
        yield one
        one.stop()


@pytest.fixture
def collector(
    context: Context, gathered: Gathered, rules: Rules, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ScreenCollector]:
    value = default_rules()
    value["collect"] |= {"windows": {"on": True, "untitled": ["xmessage"]}, "clipboard": {"on": True}}
    rules.value = value
    # The system's Python, as in the package: root's own need not be everybody's. Other displays are others'.
    monkeypatch.setattr(screens, "_displays", lambda sockets: [desk.display])
    one = ScreenCollector(context, LinuxScreens(Processes()))
    one.start(gathered.emit)
    gathered.until(lambda g: one.status().state == "running" and one._screens._watches[desk.display].ready)  # type: ignore[attr-defined]
    yield one
    one.stop()


def test_windows_of_another_user(desk: Desk, gathered: Gathered, collector: ScreenCollector) -> None:
    window = desk.start("xterm", "-T", "架空商事様 見積書 - 表計算", "-e", "sleep", "60")
    desk.run("xdotool", "search", "--sync", "--onlyvisible", "--name", "架空商事様")
    gathered.until(lambda g: collector._active)
    [active] = collector._active.values()
    gathered.until(lambda g: collector.context.clock.up() - active.up > 1_200_000)
    secret = desk.start("xmessage", "秘密")
    desk.run("xdotool", "search", "--sync", "--onlyvisible", "--class", "xmessage")
    [seen] = gathered.until(lambda g: g.of("window.active"))
    assert seen["title"] == "架空商事様 見積書 - 表計算"
    assert (seen["process"], seen["pid"]) == ("xterm", window.pid)
    assert 1_000_000 < seen["active"] < 60_000_000
    assert gathered.events[0].user == "nobody"
    [active] = collector._active.values()
    gathered.until(lambda g: collector.context.clock.up() - active.up > 1_200_000)
    secret.terminate()
    untitled = gathered.until(lambda g: g.of("window.active")[1:])[0]
    assert untitled["process"] == "xmessage" and "title" not in untitled


def test_what_is_copied_is_counted_never_read(
    desk: Desk, gathered: Gathered, collector: ScreenCollector
) -> None:
    desk.copy("架空 花子の電話番号".encode())
    [text] = gathered.until(lambda g: g.of("clipboard.copy"))
    assert (text["format"], text["size"], text["process"]) == ("text", 28, "xclip")
    desk.copy(b"\x89PNG" + bytes(200_000), "image/png")
    image = gathered.until(lambda g: g.of("clipboard.copy")[1:])[0]
    assert (image["format"], image["size"]) == ("image", 200_004)
    desk.copy(bytes(3_000_000), "image/png")  # would go in parts, and xclip does not say how large
    large = gathered.until(lambda g: g.of("clipboard.copy")[2:])[0]
    assert large["format"] == "image" and "size" not in large
    desk.copy(b"file:///home/kakuu/meibo.csv\n", "text/uri-list")
    files = gathered.until(lambda g: g.of("clipboard.copy")[3:])[0]
    assert files["format"] == "files" and "size" not in files
    assert "花子" not in str(gathered.events) and "meibo" not in str(gathered.events)


def test_a_killed_watch_is_a_gap_and_comes_back(
    desk: Desk, gathered: Gathered, collector: ScreenCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "_LOOK", 0.2)
    watches = collector._screens._watches  # type: ignore[attr-defined]
    killed = watches[desk.display].process
    killed.kill()
    [gap] = gathered.until(lambda g: g.of("collect.gap"))
    assert gap["collector"] == "screen"
    gathered.until(lambda g: desk.display in watches and watches[desk.display].ready)
    gathered.until(lambda g: collector.status().state == "running")
    desk.copy(b"again")
    gathered.until(lambda g: g.of("clipboard.copy"))


def test_off_by_policy_nobody_looks(
    desk: Desk, gathered: Gathered, collector: ScreenCollector, rules: Rules
) -> None:
    watches = collector._screens._watches  # type: ignore[attr-defined]
    rules.value = default_rules()
    gathered.until(lambda g: collector.status().state == "off" and not watches)
