"""A network of its own, whose interfaces come and go: what the collector tells of it."""

from __future__ import annotations

import ctypes
import subprocess
import threading
from typing import TYPE_CHECKING

from securepc.agent.collect.network import NetworkCollector
from securepc.agent.platform.linux.rtnetlink import NetlinkLookout

if TYPE_CHECKING:
    from collecting import Gathered

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]

_CLONE_NEWNET = 0x4000_0000


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def scenario(context: Context, gathered: Gathered) -> None:
    """Runs in a thread that has left for a namespace of its own; what it starts is there too."""
    assert ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) == 0
    ip("link", "add", "office0", "address", "02:00:00:00:00:07", "type", "veth", "peer", "name", "peer0")
    collector = NetworkCollector(context, NetlinkLookout)
    collector.start(gathered.emit)
    try:
        ip("addr", "add", "192.0.2.7/24", "dev", "office0")
        ip("link", "set", "peer0", "up")
        ip("link", "set", "office0", "up")
        gathered.until(lambda g: "office0" in [d["interface"] for d in g.of("network.up")])
        ip("neigh", "add", "192.0.2.1", "lladdr", "02:00:00:00:00:01", "dev", "office0", "nud", "permanent")
        ip("route", "add", "default", "via", "192.0.2.1")
        gathered.until(lambda g: g.of("network.gateway"))
        ip("addr", "add", "198.51.100.7/24", "dev", "office0")
        gathered.until(lambda g: g.of("network.address"))
        ip("link", "set", "office0", "down")
        gathered.until(lambda g: "office0" in [d["interface"] for d in g.of("network.down")])
        gathered.until(lambda g: len(g.of("network.gateway")) == 2)
    finally:
        collector.stop()


def test_an_interface_comes_up_gets_a_gateway_and_goes_down(context: Context, gathered: Gathered) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            scenario(context, gathered)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    ups = [d for d in gathered.of("network.up") if d["interface"] == "office0"]
    assert ups == [
        {
            "interface": "office0",
            "mac": "02:00:00:00:00:07",
            "wireless": False,
            "addresses": ["192.0.2.7/24"],
        }
    ]
    assert gathered.of("network.gateway") == [
        {"interface": "office0", "gateway": "192.0.2.1", "gateway_mac": "02:00:00:00:00:01"},
        {"previous": "192.0.2.1 (02:00:00:00:00:01)"},
    ]
    assert gathered.of("network.address")[-1]["addresses"] == ["192.0.2.7/24", "198.51.100.7/24"]
