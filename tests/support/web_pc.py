"""A PC in a lab: network and mounts of its own (`unshare -n -m`), a copy of /etc, the web filter.

`python web_pc.py SCENARIO FOLDER` runs a scenario and prints what was seen as one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from marionette import Firefox
from web_tools import banner, etc, lookup
from web_world import DNS, DNS6, DOH, LISTED, MAIL, OTHER_DNS, WEB

from securepc.agent.enforce import Context, Enforcer
from securepc.agent.enforce.web import WebFilter
from securepc.agent.platform import linux
from securepc.agent.platform.linux.browsers import FILE
from securepc.agent.removal import _context, remove_all
from securepc.agent.state import State
from securepc.wire.event import Event
from securepc.wire.policy import Rules, read_rules
from securepc.wire.web import dns

HOSTS = [
    "mail.google.com",
    "drive.google.com",
    "www.dropbox.com",
    "gigafile.nu",
    "www.icloud.com",
    "midori.example",
    "other.example",
    "midori.box.com",
    "www.box.com",
    "cloudflare-dns.com",
]
RULES = {
    "on": True,
    "block": ["other.example"],
    "allow": ["midori.box.com"],
    "mail": True,
    "mail_servers": ["smtp.midori.example"],
}


def run(*command: str, check: bool = True, **more: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if check and done.returncode:
        raise AssertionError(f"{command}: {done.stderr}")
    return done.stdout


class Pc:
    """The PC, its world, its filter; everything of it ends with this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "agent"
        self.events: list[Event] = []
        self.rules: Rules = read_rules({"doors": {"web": RULES}})
        self._own_etc()
        self._certificates()
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "pc0", "type", "veth", "peer", "name", "world")
        self.world = subprocess.Popen(
            ["unshare", "-n", sys.executable, str(Path(__file__).with_name("web_world.py")), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.world.stdin is not None and self.world.stdout is not None
        ours = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.world.pid}/ns/net") == ours:
            time.sleep(0.01)
        run("ip", "link", "set", "world", "netns", str(self.world.pid))
        run("ip", "addr", "add", "10.9.0.1/24", "dev", "pc0")
        run("ip", "-6", "addr", "add", "fd09::1/64", "dev", "pc0", "nodad")
        run("ip", "link", "set", "pc0", "up")
        run("ip", "route", "add", "default", "via", "10.9.0.254", "dev", "pc0")
        assert self.world.stdout.readline() == b"ready\n"
        self.context = _context(self.home, State(self.home))._replace(
            rules=lambda: self.rules, record=lambda event: self.events.append(event) or True
        )

    def _own_etc(self) -> None:
        copy = self.folder / "etc"
        run("cp", "-a", "/etc", str(copy))
        run("mount", "--bind", str(copy), "/etc")
        (copy / "resolv.conf").unlink(missing_ok=True)
        Path("/etc/resolv.conf").write_text(f"nameserver {DNS}\n")
        Path("/etc/nsswitch.conf").write_text("hosts: files dns\n")

    def _certificates(self) -> None:
        here = self.folder
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        ca = ["-keyout", f"{here}/ca.key", "-out", f"{here}/ca.pem", "-subj", "/CN=lab", "-days", "30"]
        run("openssl", "req", "-x509", *key, *ca, "-addext", "basicConstraints=critical,CA:TRUE")
        request = ["-keyout", f"{here}/server.key", "-out", f"{here}/server.csr", "-subj", "/CN=world"]
        run("openssl", "req", *key, *request)
        names = ",".join([*(f"DNS:{host}" for host in HOSTS), f"IP:{DOH}", f"IP:{WEB}"])
        (here / "names").write_text(f"subjectAltName={names}\n")
        sign = ["-CA", f"{here}/ca.pem", "-CAkey", f"{here}/ca.key", "-CAcreateserial", "-days", "20"]
        files = ["-in", f"{here}/server.csr", "-extfile", f"{here}/names", "-out", f"{here}/server.pem"]
        run("openssl", "x509", "-req", *sign, *files)

    def filter(self) -> WebFilter:
        [made] = only_web(self.context)
        assert isinstance(made, WebFilter)
        return made

    def trust(self, database: Path) -> None:
        """Have a profile's certificate store trust the lab's authority."""
        database.mkdir(parents=True, exist_ok=True)
        run("certutil", "-N", "-d", f"sql:{database}", "--empty-password")
        authority = ["-n", "lab", "-t", "C,,", "-i", f"{self.folder}/ca.pem"]
        run("certutil", "-A", "-d", f"sql:{database}", *authority)

    def curl(self, *arguments: str) -> str:
        """What curl printed: the page, or why there is none."""
        done = subprocess.run(
            ["curl", "-sS", "-m", "10", "--cacert", str(self.folder / "ca.pem"), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        return f"{done.returncode} {done.stdout or done.stderr}".strip()

    def told(self, wanted: Callable[[dict[str, Any]], bool] = lambda data: True) -> list[dict[str, Any]]:
        """The entries of blocked things, once there is one."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            found = [
                {"kind": e.kind, "user": e.user, "result": e.result, **e.data}
                for e in self.events
                if e.kind in ("web.blocked", "mail.blocked") and wanted(e.data)
            ]
            if found:
                return found
            time.sleep(0.1)
        return []


def only_web(context: Context) -> list[Enforcer]:
    """Of this system's doors the one that is tried here."""
    return [linux._web(context)]


def _tables() -> str:
    return run("nft", "list", "tables") + run("nft", "list", "ruleset")


# Scenarios.


def ways(pc: Pc) -> dict[str, Any]:
    """curl, straight and around."""
    seen: dict[str, Any] = {"before": pc.curl("https://mail.google.com/")}
    seen["doh before"] = pc.curl("https://mail.google.com/", "--doh-url", f"https://{DOH}/dns-query")
    web = pc.filter()
    web.start(lambda: None)
    begin = time.monotonic()
    seen["state"] = web.reconcile()._asdict()
    seen["shut in"] = round(time.monotonic() - begin, 2)
    seen["again"] = web.reconcile().state
    seen["allowed"] = pc.curl("https://midori.example/")
    seen["blocked"] = pc.curl("https://mail.google.com/")
    seen["own"] = pc.curl("https://other.example/")
    seen["excepted"] = pc.curl("https://midori.box.com/")
    seen["beside the exception"] = pc.curl("https://www.box.com/")
    seen["plain"] = pc.curl("http://www.dropbox.com/")
    seen["resolve"] = pc.curl("https://mail.google.com/", "--resolve", f"mail.google.com:443:{WEB}")
    seen["resolve plain"] = pc.curl("http://mail.google.com/", "--resolve", f"mail.google.com:80:{WEB}")
    seen["resolve allowed"] = pc.curl("https://midori.example/", "--resolve", f"midori.example:443:{WEB}")
    seen["address"] = pc.curl(f"https://{WEB}/")
    seen["doh"] = pc.curl("https://mail.google.com/", "--doh-url", f"https://{DOH}/dns-query")
    seen["doh by name"] = pc.curl(
        "https://mail.google.com/", "--doh-url", "https://cloudflare-dns.com/dns-query"
    )
    seen["dns"] = lookup("mail.google.com")
    seen["other dns"] = lookup("mail.google.com", OTHER_DNS)
    seen["other dns, tcp"] = lookup("mail.google.com", OTHER_DNS, tcp=True)
    seen["dns by ipv6"] = lookup("mail.google.com", DNS6)
    seen["allowed by ipv6"] = lookup("midori.example", DNS6)
    seen["allowed by ipv6, tcp"] = lookup("midori.example", DNS6, tcp=True)
    seen["allowed by other"] = lookup("midori.example", OTHER_DNS, tcp=True)
    seen["nobody"] = lookup("nobody.example")
    seen["canary"] = lookup("use-application-dns.net")
    seen["ech keys"] = lookup("midori.example", DNS, dns.HTTPS)
    seen["dot"] = banner(OTHER_DNS, 853)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as quic:
        quic.settimeout(2)
        quic.connect((WEB, 443))
        try:
            quic.send(b"initial")
            seen["quic"] = quic.recv(100).decode()
        except OSError as error:
            seen["quic"] = type(error).__name__
    seen["told"] = pc.told(lambda data: data["how"] == "dot") and pc.told()
    seen["notices"] = [one._asdict() for one in pc.context.notices.after(0, "root")]
    web.stop()
    return seen


def mail(pc: Pc) -> dict[str, Any]:
    """Mail reaches the listed server only."""
    seen: dict[str, Any] = {"before": banner(MAIL, 25)}
    web = pc.filter()
    web.start(lambda: None)
    seen["state"] = web.reconcile().state
    seen["listed"] = {port: banner(LISTED, port) for port in (25, 587, 465, 143, 110)}
    lookup("smtp.foreign.example")
    seen["foreign"] = {port: banner(MAIL, port) for port in (25, 587, 465, 143, 110)}
    # A server of one's own that claims to be the listed one, asked of a resolver that nobody gave this PC.
    seen["lie"] = [lookup("smtp.midori.example", OTHER_DNS), banner(MAIL, 25)]
    seen["told"] = pc.told(lambda data: data.get("port") == 110) and pc.told()
    pc.rules = read_rules({"doors": {"web": {**RULES, "mail": False}}})
    seen["off"] = [web.reconcile().state, banner(MAIL, 25)]
    web.stop()
    return seen


def browsers(pc: Pc) -> dict[str, Any]:
    """Chromium and Firefox, as a person would see them."""
    from playwright.sync_api import Error, sync_playwright

    web = pc.filter()
    web.start(lambda: None)
    seen: dict[str, Any] = {"state": web.reconcile().state}
    pages = {
        "allowed": "https://midori.example/",
        "excepted": "https://midori.box.com/",
        "mail": "https://mail.google.com/mail/u/0/",
        "storage": "http://gigafile.nu/",
        "path": "https://www.icloud.com/mail/",
        "own": "https://other.example/x",
    }
    home = pc.folder / "chromium"
    pc.trust(home / ".pki/nssdb")
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"], env={**os.environ, "HOME": str(home)}
        )
        for name, url in pages.items():
            page = browser.new_page()
            try:
                page.goto(url, timeout=20_000)
                said = ""
            except Error as error:
                said = str(error).splitlines()[0]
            seen[f"chromium {name}"] = f"{said} {page.inner_text('body')}"
            page.close()
        page = browser.new_page()
        page.goto("https://midori.example/")
        upload = "fetch('https://www.dropbox.com/', {method: 'POST', mode: 'no-cors', body: 'x'})"
        seen["chromium upload"] = page.evaluate(f"{upload}.then(() => 'sent', () => 'refused')")
        browser.close()
    pc.told(lambda data: data["host"] == "www.dropbox.com")  # the last of them
    seen["told"] = pc.told(lambda data: data.get("process") == "chromium")
    with Firefox(pc.folder / "firefox", trust=pc.trust) as firefox:
        for name, url in pages.items():
            seen[f"firefox {name}"] = firefox.visit(url)
    web.stop()
    return seen


def crashes(pc: Pc) -> dict[str, Any]:
    """Whoever dies, names are resolved and the filter holds."""
    seen: dict[str, Any] = {}
    child = os.fork()
    if child == 0:  # the agent
        web = pc.filter()
        web.start(lambda: None)
        state = web.reconcile()
        (pc.folder / "state").write_text(state.state)
        time.sleep(600)
    while not (pc.folder / "state").exists():
        time.sleep(0.05)
    time.sleep(0.2)

    def look() -> list[Any]:
        return [lookup("midori.example"), lookup("mail.google.com"), pc.curl("https://mail.google.com/")[:2]]

    seen["with the agent"] = look()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    seen["agent killed"] = look()
    resolver = pc.filter()._resolver
    worker = resolver.ask("holds")["pid"]
    os.kill(worker, signal.SIGKILL)
    begin = time.monotonic()
    seen["worker killed"] = look()
    seen["worker back in"] = round(time.monotonic() - begin, 2)
    keeper = int((pc.home / "web/sieve.lock").read_text())
    os.kill(keeper, signal.SIGKILL)
    seen["keeper killed"] = look()
    os.kill(resolver.ask("holds")["pid"], signal.SIGKILL)
    # A new agent finds it all as it is; what was attempted meanwhile is not lost.
    web = pc.filter()
    web.start(lambda: None)
    seen["new agent"] = [web.reconcile().state, *look()]
    seen["told"] = pc.told()
    # An agent that lives sees at once that all of it was killed.
    news = threading.Event()
    web.start(news.set)
    for pid in (int((pc.home / "web/sieve.lock").read_text()), resolver.ask("holds")["pid"]):
        os.kill(pid, signal.SIGKILL)
    seen["seen"] = news.wait(20)
    seen["all killed"] = [web.reconcile().state, *look()]
    web.stop()
    return seen


def aside(pc: Pc) -> dict[str, Any]:
    """A sieve that never stays: lookups go past it, and the door is not called shut."""
    web = pc.filter()
    seen: dict[str, Any] = {"state": web.reconcile().state}
    rules = ("nft", "list", "chain", "inet", "securepc_web", "names")
    end = time.monotonic() + 30
    while "redirect" in run(*rules) and time.monotonic() < end:
        if said := web._resolver.ask("holds"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(said["pid"], signal.SIGKILL)
        time.sleep(0.05)
    seen["rules"] = run(*rules)
    seen["found"] = lookup("midori.example")
    try:
        seen["then"] = web.reconcile().state
    except RuntimeError as error:
        seen["then"] = str(error)
    return seen


def removal(pc: Pc) -> dict[str, Any]:
    """Nothing of it stays; what others change is seen."""
    file = Path("/etc/firefox/policies/policies.json")
    file.parent.mkdir(parents=True)
    file.write_text('{"policies":{"DisablePocket":true}}')
    before = etc()
    web = pc.filter()
    web.start(lambda: None)
    seen: dict[str, Any] = {"state": web.reconcile().state}
    seen["etc changed"] = sorted(set(etc()) - set(before))
    # Somebody with root takes it apart.
    run("nft", "flush", "chain", "inet", "securepc_web", "names")
    (Path("/etc/chromium/policies/managed") / FILE).write_text("{}")
    file.write_text('{"policies":{"DisablePocket":true}}')
    seen["open"] = lookup("mail.google.com")
    seen["put right"] = [web.reconcile().state, lookup("mail.google.com")]
    seen["drift"] = [e.data["path"] for e in pc.events if e.kind == "door.drift"]
    run("nft", "delete", "table", "inet", "securepc_web")
    seen["table gone"] = [web.reconcile().state, lookup("mail.google.com")]
    web.stop()
    removed = remove_all(pc.home, only_web)
    seen["removed"] = [list(one) for one in removed]
    seen["etc same"] = etc() == before
    seen["rules left"] = [line for line in _tables().splitlines() if "securepc" in line.lower()]
    seen["after"] = [lookup("mail.google.com"), banner(MAIL, 25), pc.curl("https://mail.google.com/")]
    seen["files"] = sorted(path.name for path in pc.home.iterdir())
    seen["processes"] = run("pgrep", "-f", f"linux.sieve {pc.home}", check=False)
    # Off in the policy does the same.
    web = pc.filter()
    seen["on again"] = web.reconcile().state
    pc.rules = read_rules({})
    seen["off"] = [web.reconcile().state, lookup("mail.google.com"), etc() == before]
    return seen


SCENARIOS = {one.__name__: one for one in (ways, mail, browsers, crashes, aside, removal)}

if __name__ == "__main__":
    machine = Pc(Path(sys.argv[2]))
    try:
        print(json.dumps(SCENARIOS[sys.argv[1]](machine), ensure_ascii=False))
    finally:
        machine.rules = read_rules({})
        remove_all(machine.home, only_web)
        machine.world.kill()
