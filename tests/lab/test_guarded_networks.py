"""The network guard on the kernel's own networks: cables and phones in network namespaces, and a cut that is
tried with real connections."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_manager import wait_for

from securepc.agent import config as configs
from securepc.ledger.note import VerifierKey

MANAGER, ELSEWHERE = "203.0.113.10", "203.0.113.80"
ROUTER, STRANGER = "02:00:00:00:00:01", "02:00:00:00:00:66"
WEB = (
    "import http.server,socket,sys\n"
    "class S(http.server.ThreadingHTTPServer):\n"
    "    address_family = socket.AF_INET6\n"
    "    def server_bind(self):\n"
    "        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)\n"
    "        super().server_bind()\n"
    "S(('::', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()\n"
)
OFFICE = {"id": "n1", "name": "本店", "kind": "wired", "gateways": [ROUTER], "subnets": ["192.0.2.0/24"]}


def run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, check=check, capture_output=True, text=True, timeout=20)


class World:
    """Namespaces: `pc`, and two networks that look alike, `office` and `other`, each with a router, the
    manager and somebody else behind it."""

    def __init__(self, folder: Path) -> None:
        self.tag = f"spc{os.getpid()}"
        self.folder = folder
        self.servers: list[subprocess.Popen[bytes]] = []
        for name in ("pc", "office", "other"):
            run("ip", "netns", "add", self.ns(name))
            self.ip(name, "link", "set", "lo", "up")
        for name, mac in (("office", ROUTER), ("other", STRANGER)):
            self.ip(name, "link", "add", "lan0", "address", mac, "type", "veth", "peer", "name", f"to-{name}")
            self.ip(name, "link", "set", f"to-{name}", "netns", self.ns("pc"))
            for address in (f"{MANAGER}/32", f"{ELSEWHERE}/32", "2001:db8:5::80/128"):
                self.ip(name, "addr", "add", address, "dev", "lo")
            self.ip(name, "addr", "add", "192.0.2.1/24", "dev", "lan0")
            self.ip(name, "addr", "add", "2001:db8::1/64", "dev", "lan0", "nodad")
            self.ip(name, "link", "set", "lan0", "up")
            for port in ("8443", "80"):
                program = ["ip", "netns", "exec", self.ns(name), sys.executable, "-c", WEB, port]
                self.servers.append(
                    subprocess.Popen(
                        program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
                    )
                )
        program = ["ip", "netns", "exec", self.ns("pc"), sys.executable, "-c", WEB, "8080"]
        self.servers.append(
            subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        )

    def ns(self, name: str) -> str:
        return f"{self.tag}-{name}"

    def ip(self, name: str, *words: str) -> None:
        run("ip", "-n", self.ns(name), *words)

    def plug(self, name: str, address: str = "192.0.2.7/24", gateway: str = "192.0.2.1") -> None:
        """Put the PC's cable into a network."""
        device = f"to-{name}"
        self.ip("pc", "addr", "add", address, "dev", device)
        self.ip("pc", "addr", "add", "2001:db8::7/64", "dev", device, "nodad")
        self.ip("pc", "link", "set", device, "up")
        self.ip("pc", "route", "add", "default", "via", gateway)
        self.ip("pc", "route", "add", "default", "via", "2001:db8::1")

    def unplug(self, name: str) -> None:
        self.ip("pc", "link", "set", f"to-{name}", "down")
        self.ip("pc", "addr", "flush", "dev", f"to-{name}")

    def reaches(self, url: str, inside: str = "pc") -> bool:
        done = run(
            *("ip", "netns", "exec", self.ns(inside), "curl", "-sg", "-m", "1", "-o", "/dev/null", url),
            check=False,
        )
        return done.returncode == 0

    def tables(self) -> str:
        return run("ip", "netns", "exec", self.ns("pc"), "nft", "list", "tables").stdout

    def close(self) -> None:
        for server in self.servers:
            server.kill()
            server.wait()
        for name in ("pc", "office", "other"):
            run("ip", "netns", "del", self.ns(name), check=False)


class Guard:
    """The guard's process in the PC's namespace."""

    def __init__(self, world: World, home: Path) -> None:
        program = [sys.executable, "-m", "guarded_pc", str(home)]
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", world.ns("pc"), *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            text=True,
        )

    def ask(self, **said: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(said) + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def until(self, condition: Any, seconds: float = 60.0) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            answer = self.ask()
            return answer if condition(answer) else None

        return wait_for(found, seconds)  # type: ignore[return-value]

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.wait(20)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of an agent that was enrolled with the manager of these networks."""
    folder = tmp_path / "agent"
    folder.mkdir()
    key = VerifierKey("example.org/log", 1, bytes(32))
    config = configs.Config(
        f"http://{MANAGER}:8443", bytes(32), bytes(16), bytes(16), key, bytes(32), bytes(32)
    )
    configs.write(folder, config)
    return folder


def test_a_cable_is_told_from_another_one_and_cut_off(world: World, home: Path) -> None:
    world.plug("office")
    wait_for(lambda: world.reaches(f"http://{ELSEWHERE}/") and world.reaches(f"http://{MANAGER}:8443/"))
    guard = Guard(world, home)
    try:
        guard.ask(rules={"on": True, "registered": [OFFICE], "cut_off": True})
        found = guard.until(lambda seen: seen["place"]["network"] == "n1")
        assert found["status"]["data"]["networks"][0]["gateway_mac"] == ROUTER
        assert not found["status"]["data"]["cut"]
        assert "securepc" not in world.tables()
        assert world.reaches("http://[2001:db8:5::80]/")
        world.unplug("office")
        guard.until(lambda seen: seen["place"]["known"] and not seen["place"]["connected"])
        begin = time.monotonic()
        world.plug("other")  # the same addresses, another router
        found = guard.until(lambda seen: "network.unregistered" in [one["kind"] for one in seen["told"]])
        print(f"told after {time.monotonic() - begin:.2f} s")
        assert found["notices"][0]["level"] == "warn"
        told = next(one for one in found["told"] if one["kind"] == "network.unregistered")
        assert told["action"] == "cut"
        assert told["gateway_mac"] == STRANGER
        assert "位置情報" in told["no_position"]["ja"]
        assert found["place"]["network"] == ""
        assert found["status"]["state"] == "shut"
        assert found["status"]["data"]["cut"]
        cut(world)
        # Nobody there to keep it: it stays, and the next one finds it.
        guard.kill()
        cut(world)
        guard = Guard(world, home)
        guard.ask(rules={"on": True, "registered": [OFFICE], "cut_off": True})
        guard.until(lambda seen: seen["status"] and seen["status"]["data"].get("cut"))
        cut(world)
        # Somebody flushes the firewall.
        run("ip", "netns", "exec", world.ns("pc"), "nft", "flush", "ruleset")
        begin = time.monotonic()
        wait_for(lambda: "securepc_network" in world.tables())
        print(f"cut again {time.monotonic() - begin:.2f} s after somebody flushed the rules")
        cut(world)
        world.unplug("other")
        world.plug("office")
        guard.until(lambda seen: seen["place"]["network"] == "n1")
        assert "securepc" not in world.tables()
        assert world.reaches(f"http://{ELSEWHERE}/")
        guard.ask(rules={"on": True, "registered": [], "cut_off": True})
        guard.until(lambda seen: seen["status"]["data"].get("cut"))
        guard.ask(remove=True)
        assert "securepc" not in world.tables()
        assert world.reaches(f"http://{ELSEWHERE}/")
    finally:
        guard.end()


def cut(world: World) -> None:
    """Only the manager can be reached, and nobody reaches the PC; DHCP goes through."""
    assert world.reaches(f"http://{MANAGER}:8443/")
    for url in (
        f"http://{ELSEWHERE}/",
        f"http://{MANAGER}/",
        "http://[2001:db8:5::80]/",
        "http://192.0.2.1/",
    ):
        assert not world.reaches(url), url
    assert not world.reaches("http://192.0.2.7:8080/", "other")
    assert not world.reaches("http://[2001:db8::7]:8080/", "other")
    ping = run(*("ip", "netns", "exec", world.ns("pc"), "python3", "-c", DNS), check=False)
    assert ping.returncode == 1, "a name server was reached"
    assert dhcp(world)


DNS = (
    "import socket\n"
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    "try:\n"
    "    s.sendto(b'x', ('192.0.2.1', 53))\n"
    "except OSError:\n"
    "    raise SystemExit(1)\n"
)
LISTEN = (
    "import socket\n"
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    "s.bind(('', 67)); s.settimeout(10)\n"
    "print('ready', flush=True); print(s.recv(100).decode(), flush=True)\n"
)
ASK = (
    "import socket\n"
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    "s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n"
    "s.bind(('', 68)); s.sendto(b'discover', ('192.0.2.255', 67))\n"
)


def dhcp(world: World) -> bool:
    """Whether what a DHCP client sends arrives."""
    listener = subprocess.Popen(
        ["ip", "netns", "exec", world.ns("other"), sys.executable, "-c", LISTEN],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert listener.stdout is not None
    assert listener.stdout.readline() == "ready\n"
    run("ip", "netns", "exec", world.ns("pc"), sys.executable, "-c", ASK)
    said = listener.stdout.readline()
    listener.wait()
    return said == "discover\n"


def test_a_phone_is_told_by_its_addresses(world: World, home: Path) -> None:
    world.ip("other", "addr", "add", "172.20.10.1/28", "dev", "lan0")
    world.plug("other", "172.20.10.2/28", "172.20.10.1")
    guard = Guard(world, home)
    try:
        phone = {"id": "p1", "name": "携帯", "kind": "tether", "fixed": False, "gateways": [STRANGER]}
        guard.ask(rules={"on": True, "registered": [OFFICE, phone]})
        found = guard.until(lambda seen: seen["place"]["network"] == "p1")
        assert found["status"]["data"]["networks"][0]["attached"] == "tether"
        assert not found["place"]["fixed"]
    finally:
        guard.end()


def test_a_vpn_is_no_network_of_its_own_and_two_networks_both_count(world: World, home: Path) -> None:
    world.plug("office")
    # A tunnel, and the bridge of somebody's containers.
    world.ip(
        "pc", "link", "add", "vpn0", "type", "vxlan", "id", "5", "dstport", "4789", "remote", "192.0.2.9"
    )
    world.ip("pc", "link", "add", "docker0", "type", "bridge")
    for name, address in (("vpn0", "10.8.0.2/24"), ("docker0", "172.17.0.1/16")):
        world.ip("pc", "addr", "add", address, "dev", name)
        world.ip("pc", "link", "set", name, "up")
    guard = Guard(world, home)
    try:
        guard.ask(rules={"on": True, "registered": [OFFICE]})
        found = guard.until(lambda seen: seen["place"]["network"] == "n1")
        assert [one["interface"] for one in found["status"]["data"]["networks"]] == ["to-office"]
        world.ip("pc", "addr", "add", "198.51.100.7/24", "dev", "to-other")
        world.ip("pc", "link", "set", "to-other", "up")
        world.ip("pc", "route", "add", "default", "via", "198.51.100.1", "metric", "900")
        found = guard.until(lambda seen: seen["place"]["connected"] and not seen["place"]["network"])
        assert len(found["status"]["data"]["networks"]) == 2
    finally:
        guard.end()
