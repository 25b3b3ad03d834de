"""A PC at work, with everything recorded: `unshare -n -m python every_kind.py FOLDER` does one thing of each
kind with real programs, under a real agent, and prints as JSON what a search at a real manager then finds.

Network, mounts, /run and X displays are its own; everything ends with this process.
"""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from print_server import Cups
from running_manager import Running, make_home, wait_for
from stand_in_logind import Logind

from securepc.wire.policy import default_rules

VISIT = """
import sys
from playwright.sync_api import sync_playwright

with sync_playwright() as playwright:
    options = {"executable_path": "/usr/bin/chromium", "args": ["--no-sandbox"], "accept_downloads": True}
    browser = playwright.chromium.launch_persistent_context(sys.argv[1], **options)
    page = browser.new_page()
    page.goto(sys.argv[2])
    with page.expect_download() as download:
        page.click("a")
    download.value.path()
    page.wait_for_timeout(1_500)
    browser.close()
"""
PAGE = "<!doctype html><meta charset=utf-8><title>架空の約款</title><a href=/yakkan.pdf download>約款</a>"
DOWNLOAD = b"%PDF-" + b"1" * 4_995


BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="false"/><allow own="*"/>
<allow receive_sender="*"/><allow user="*"/></policy></busconfig>
"""
CLERK = """
import os, shutil, sys
for line in sys.stdin:
    exec(line)
    print(flush=True)
"""
# A program that stays, as a person's do: in a network of its own there is no word of those that live shorter
# than it takes to ask who they are.


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        pdf = self.path == "/yakkan.pdf"
        data = DOWNLOAD if pdf else PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/pdf" if pdf else "text/html")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None: ...


def run(*command: str | Path, **more: Any) -> str:
    options = {"check": True, "capture_output": True, "text": True, "timeout": 120}
    return str(subprocess.run([str(one) for one in command], **(options | more)).stdout)


class Pc:
    """The office of one PC."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.medium = folder / "medium"
        self.started: list[subprocess.Popen[Any]] = []
        self._mounts()
        self.env = {**os.environ, "HOME": str(self.home), "LC_ALL": "C.UTF-8"}
        for name in ("DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS"):
            self.env.pop(name, None)
        make_home(folder / "manager")
        self.running = Running(folder / "manager")
        rules = default_rules(paths=[str(self.home), str(self.medium)])
        for name in ("opens", "copies", "visits", "downloads", "windows", "clipboard"):
            rules["collect"][name]["on"] = True
        self.running.manager.policies.change(self.running.log, rules, actor="test")
        self._site = ThreadingHTTPServer(("127.0.0.1", 0), Site)
        self.site = f"http://127.0.0.1:{self._site.server_port}"
        threading.Thread(target=self._site.serve_forever, daemon=True).start()
        self.cups = Cups(folder / "cups", Path("/run/cups/cups.sock"))
        self.cups.start()
        self.cups.run("lpadmin", "-p", "kakuu-printer", "-E", "-v", "paper:/", "-m", "raw")
        self.agent = [sys.executable, "-m", "securepc", "agent"]
        self.pc = folder / "pc"
        enrol = [*self.agent, "enrol", "-", "--home", str(self.pc)]
        run(*enrol, input=self.running.token(), env=self.env)

    def _mounts(self) -> None:
        run("mount", "--make-rprivate", "/")
        run("mount", "-t", "tmpfs", "run", "/run")
        for folder in ("cups", "dbus"):
            Path("/run", folder).mkdir()
        Path("/run/utmp").touch()
        displays = Path("/tmp/.X11-unix")
        displays.mkdir(exist_ok=True, mode=0o1777)
        run("mount", "-t", "tmpfs", "-o", "mode=1777", "displays", displays)
        for place in (self.home, self.medium, self.folder / "cups"):
            place.mkdir()
        image = self.folder / "stick.img"
        run("truncate", "-s", "16M", image)
        run("mkfs.ext4", "-q", image)
        run("mount", "-o", "loop", image, self.medium)
        run("ip", "link", "set", "lo", "up")

    def start(self, *command: str | Path, **more: Any) -> subprocess.Popen[Any]:
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": self.env, **more}
        self.started.append(subprocess.Popen([str(one) for one in command], **options))
        return self.started[-1]

    def run_agent(self) -> subprocess.Popen[Any]:
        process = self.start(*self.agent, "run", "--home", self.pc, "--json", stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["pid"] == process.pid
        return process

    def entries(self, **conditions: str) -> list[dict[str, Any]]:
        """What the console's search finds."""
        query = urllib.parse.urlencode(conditions)
        token = {"Authorization": f"Bearer {self.running.manager.local_token}"}
        asked = urllib.request.Request(f"{self.running.address}/api/v1/entries?{query}", headers=token)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return [json.loads(line) for line in answer]

    def find(self, kind: str, *texts: str) -> dict[str, Any]:
        """The entry of that kind with these texts, once it is found."""

        def look() -> dict[str, Any] | None:
            for one in self.entries(kind=kind, **({"text": texts[0]} if texts else {})):
                if all(text in one["text"] for text in texts):
                    return one
            return None

        try:
            return wait_for(look, 90)
        except AssertionError:
            said = (self.pc / "agent/status.json").read_text()
            seen = [one["text"] for one in self.entries(kind=kind)[:10]]
            raise AssertionError(f"no {kind} {texts}; of that kind: {seen}; the agent says {said}") from None

    def run_bus(self) -> Logind:
        """The system's message bus, with who speaks as logind."""
        socket = Path("/run/dbus/system_bus_socket")
        config = self.folder / "bus.conf"
        config.write_text(BUS.format(path=socket))
        command = ("dbus-daemon", f"--config-file={config}", "--nofork", "--print-address")
        daemon = self.start(*command, stdout=subprocess.PIPE)
        assert daemon.stdout is not None
        assert daemon.stdout.readline()
        return Logind(str(socket))

    def end(self) -> None:
        self.cups.stop()
        for process in reversed(self.started):
            process.terminate()
            process.wait()
        self._site.shutdown()
        self.running.__exit__()


def main(folder: Path) -> dict[str, dict[str, Any]]:
    pc = Pc(folder)
    try:
        return work(pc)
    finally:
        pc.end()


def work(pc: Pc) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}

    def find(kind: str, *texts: str) -> None:
        found[kind] = pc.find(kind, *texts)

    logind = pc.run_bus()
    agent = pc.run_agent()
    for kind in ("agent.start", "power.on", "policy.applied"):
        find(kind)
    find("collect.started", "fanotify")  # that of files: the collector of programs says that it started, too
    for act in (files, programs, logon, network, screen, printing, web, medium):
        act(pc, find)
    logind.announce("PrepareForSleep", True)
    find("power.suspend", "announced")
    logind.announce("PrepareForSleep", False)
    find("power.resume")
    agent.kill()
    agent.wait()
    given = len(logind.given)
    again = pc.run_agent()
    find("agent.unclean")
    wait_for(lambda: len(logind.given) > given, 60)
    logind.announce("PrepareForShutdown", True)
    assert logind.let_go(given)
    again.send_signal(signal.SIGTERM)
    again.wait(60)
    find("agent.stop")
    find("power.off", "shutdown")
    return found


Find = Callable[..., None]


def files(pc: Pc, find: Find) -> None:
    clerk = pc.start(sys.executable, "-c", CLERK, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert clerk.stdin is not None
    assert clerk.stdout is not None

    def does(line: str, *paths: Path) -> None:
        print(f"p = {[str(path) for path in paths]}; {line}", file=clerk.stdin, flush=True)
        assert clerk.stdout is not None
        clerk.stdout.readline()

    source, folder, older = pc.home / "顧客名簿.csv", pc.home / "書類", pc.home / "旧書類"
    does("os.mkdir(p[0])", folder)
    does("open(p[0], 'wb').write(os.urandom(4_000))", source)
    find("file.create", "顧客名簿.csv")
    time.sleep(5)  # opening what was just made is part of making it
    does("shutil.copyfile(p[0], p[1])", source, pc.medium / "MEIBO.CSV")
    find("file.copy", "MEIBO.CSV")
    find("file.open", "顧客名簿.csv")
    does("open(p[0], 'ab').write(b'tsuiki\\n')", source)
    find("file.modify", "顧客名簿.csv")
    does("os.rename(p[0], p[1])", source, folder / "改名.csv")
    find("file.rename", "改名.csv")
    does("os.unlink(p[0])", folder / "改名.csv")
    find("file.delete", "改名.csv")
    does("os.rename(p[0], p[1]); os.rmdir(p[1])", folder, older)
    find("folder.create", "書類")
    find("folder.rename", "旧書類")
    find("folder.delete", "旧書類")


def programs(pc: Pc, find: Find) -> None:
    run("sleep", "4.25")  # in a network of its own there is no word of short ones
    find("process.start", "4.25")
    find("process.stop", "/sleep")


def logon(pc: Pc, find: Find) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("login", ["login", "-f", "root"], {**pc.env, "TERM": "dumb"})
    find("session.logon", "pts/")
    os.write(terminal, b"exit\n")
    ended = threading.Thread(target=os.waitpid, args=(pid, 0))
    ended.start()
    while select.select([terminal], [], [], 0.5)[0]:
        try:
            os.read(terminal, 4_096)
        except OSError:
            break
    ended.join()
    find("session.logoff", "pts/")


def network(pc: Pc, find: Find) -> None:
    office = ("office0", "address", "02:00:00:00:00:07")
    run("ip", "link", "add", *office, "type", "veth", "peer", "name", "peer0")
    run("ip", "addr", "add", "192.0.2.7/24", "dev", "office0")
    for name in ("peer0", "office0"):
        run("ip", "link", "set", name, "up")
    find("network.up", "office0")
    neighbour = ("192.0.2.1", "lladdr", "02:00:00:00:00:01", "dev", "office0", "nud", "permanent")
    run("ip", "neigh", "add", *neighbour)
    run("ip", "route", "add", "default", "via", "192.0.2.1")
    find("network.gateway", "192.0.2.1")
    run("ip", "addr", "add", "198.51.100.7/24", "dev", "office0")
    find("network.address", "198.51.100.7")
    run("ip", "link", "set", "office0", "down")
    find("network.down", "office0")


def screen(pc: Pc, find: Find) -> None:
    server = pc.start("Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", stdout=subprocess.PIPE)
    assert server.stdout is not None
    pc.env["DISPLAY"] = ":" + server.stdout.readline().decode().strip()
    pc.start("openbox")

    def copied() -> bool:
        """Again and again until the agent has begun to look at this display."""
        selection = ("-selection", "clipboard", "-t", "UTF8_STRING")
        copy = pc.start("xclip", "-quiet", *selection, stdin=subprocess.PIPE)
        assert copy.stdin is not None
        copy.stdin.write("架空 花子".encode())
        copy.stdin.close()
        time.sleep(2)
        return bool(pc.entries(kind="clipboard.copy"))

    wait_for(copied, 120)
    find("clipboard.copy", "xclip")
    window = pc.start("xterm", "-T", "架空商事様 見積書", "-e", "sleep", "600")
    visible = ("--sync", "--onlyvisible", "--name", "架空商事様")
    run("xdotool", "search", *visible, "windowactivate", "--sync", env=pc.env)
    time.sleep(3)  # a person looks at it
    window.terminate()
    find("window.active", "架空商事様 見積書")
    del pc.env["DISPLAY"]


def medium(pc: Pc, find: Find) -> None:
    image, place = pc.folder / "架空.img", pc.folder / "架空の媒体"
    place.mkdir()
    run("truncate", "-s", "16M", image)
    run("mkfs.ext4", "-q", "-L", "架空支店", image)
    run("mount", "-o", "loop", image, place)
    find("media.mount", "架空支店")
    run("umount", place)
    find("media.unmount", "架空支店")


def printing(pc: Pc, find: Find) -> None:
    document = pc.folder / "申込書.txt"
    document.write_text("架空の申込書\n")
    pc.cups.run("lp", "-d", "kakuu-printer", "-t", "申込書 架空商事様", str(document))
    find("print.job", "申込書 架空商事様")


def web(pc: Pc, find: Find) -> None:
    profile = pc.home / ".config/chromium"
    run(sys.executable, "-c", VISIT, profile, f"{pc.site}/shorui?kyaku=hanako", env=pc.env)
    find("web.visit", "/shorui")
    find("web.download", "/yakkan.pdf")


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]).resolve()), ensure_ascii=False))
