"""What is told of networks: changes, once each; the gateway with its MAC address as soon as it is known."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from securepc.agent.collect import network
from securepc.agent.collect.network import Gateway, Interface, NetworkCollector, Networks
from securepc.agent.platform.linux.rtnetlink import NetlinkLookout

if TYPE_CHECKING:
    from collecting import Gathered

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]

MAC = "02:00:00:00:00:09"
DOWN = Networks({"eth0": Interface(MAC, False, False, ())}, {})
UP = Networks({"eth0": Interface(MAC, True, False, ("192.0.2.7/24",))}, {})


class Script:
    """A lookout whose state the test sets."""

    def __init__(self, state: Networks) -> None:
        self.state = state
        self.changed = threading.Event()

    def open(self) -> None: ...

    def close(self) -> None: ...

    def wake(self) -> None:
        self.changed.set()

    def wait(self, timeout: float) -> bool:
        changed = self.changed.wait(timeout)
        self.changed.clear()
        return changed

    def look(self) -> Networks:
        return self.state

    def set(self, state: Networks) -> None:
        self.state = state
        self.changed.set()


def test_a_thread_that_fails_is_said_recorded_and_can_be_started_anew(
    context: Context, gathered: Gathered, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(DOWN)
    collector = NetworkCollector(context, lambda: script)
    monkeypatch.setattr(script, "look", lambda: 1 / 0)
    collector.start(gathered.emit)
    gathered.until(lambda g: g.of("agent.error"))
    assert collector.status().state == "off" and collector.status().crashed
    collector.stop()
    monkeypatch.undo()
    collector.start(gathered.emit)
    try:
        script.set(UP)
        gathered.until(lambda g: g.of("network.up"))
        assert collector.status().state == "running" and not collector.status().crashed
    finally:
        collector.stop()


def test_each_change_is_told_once(
    context: Context, gathered: Gathered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_PATIENCE", 0.5)
    script = Script(DOWN)
    collector = NetworkCollector(context, lambda: script)
    collector.start(gathered.emit)
    try:
        script.set(UP)
        gathered.until(lambda g: g.of("network.up"))
        script.set(UP._replace(gateways={"ipv4": Gateway("eth0", "192.0.2.1", "")}))
        gathered.until(lambda g: g.of("network.gateway"))
        script.set(UP._replace(gateways={"ipv4": Gateway("eth0", "192.0.2.1", "02:00:00:00:00:01")}))
        gathered.until(lambda g: len(g.of("network.gateway")) == 2)
        script.set(UP._replace(gateways={"ipv4": Gateway("eth0", "192.0.2.1", "")}))  # only forgotten
        script.set(Networks({"eth0": Interface(MAC, True, False, ("192.0.2.8/24",))}, script.state.gateways))
        gathered.until(lambda g: g.of("network.address"))
        script.set(DOWN)
        gathered.until(lambda g: g.of("network.down"))
        gathered.until(lambda g: len(g.of("network.gateway")) == 3)
        assert collector.status().state == "running"
    finally:
        collector.stop()
    assert [(e.kind, e.data) for e in gathered.events] == [
        ("network.up", {"interface": "eth0", "mac": MAC, "wireless": False, "addresses": ["192.0.2.7/24"]}),
        ("network.gateway", {"interface": "eth0", "gateway": "192.0.2.1"}),
        (
            "network.gateway",
            {
                "interface": "eth0",
                "gateway": "192.0.2.1",
                "gateway_mac": "02:00:00:00:00:01",
                "previous": "192.0.2.1",
            },
        ),
        ("network.address", {"interface": "eth0", "addresses": ["192.0.2.8/24"]}),
        ("network.down", {"interface": "eth0", "mac": MAC, "wireless": False}),
        ("network.gateway", {"previous": "192.0.2.1 (02:00:00:00:00:01)"}),
    ]


def test_the_real_networks_of_this_pc_can_be_read_by_anybody() -> None:
    lookout = NetlinkLookout()
    lookout.open()
    try:
        networks = lookout.look()
    finally:
        lookout.close()
    assert "lo" not in networks.interfaces
    for gateway in networks.gateways.values():
        assert gateway.interface in networks.interfaces
