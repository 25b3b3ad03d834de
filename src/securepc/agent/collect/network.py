"""Networks: interfaces that come up and go down, their addresses, the gateway and its MAC address.

The whole state is read whenever something changes and compared with what was told last, so nothing can
be missed for good. What is up at the start is told as well: it says where the PC is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from securepc.agent.collect import RUNNING, CollectorStatus, Context, Emit, crash
from securepc.wire.event import Event
from securepc.wire.policy import read_rules

SETTLE = 0.3
"""Seconds to wait after a change: an interface gets its addresses moments after it comes up."""
_TICK = 1.0
_LOOK_EVERY = 60.0
_PATIENCE = 5.0
"""For how many seconds a gateway is waited for to show its MAC address before it is told without."""


class Interface(NamedTuple):
    """A network interface; `addresses` with their prefix length, sorted, without link-local ones."""

    mac: str
    up: bool
    wireless: bool
    addresses: tuple[str, ...]


class Gateway(NamedTuple):
    """A default route; `mac` is empty until its neighbour entry is known."""

    interface: str
    address: str
    mac: str


class Networks(NamedTuple):
    """All interfaces but the loopback by name; default gateways by `ipv4` and `ipv6`, where there are."""

    interfaces: dict[str, Interface]
    gateways: dict[str, Gateway]


NONE = Networks({}, {})


class Lookout(Protocol):
    """A system's way to see its networks. Used from one thread, but for `wake`."""

    def open(self) -> None:
        """Begin to watch.

        Raises:
            OSError, Unsupported: not to be had here.
        """

    def wait(self, timeout: float) -> bool:
        """Wait for a change, at most so many seconds; whether there was one."""

    def look(self) -> Networks:
        """What there is now."""

    def wake(self) -> None:
        """Make a `wait` return; from any thread."""

    def close(self) -> None:
        """Stop watching."""


class NetworkCollector:
    """`Collector` of networks."""

    name = "network"
    kinds: tuple[str, ...] = ("network.up", "network.down", "network.address", "network.gateway")

    def __init__(self, context: Context, lookout: Callable[[], Lookout]) -> None:
        self._context, self._make = context, lookout
        self._lookout: Lookout | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._last = NONE
        self._told_gateways: dict[str, Gateway] = {}
        self._nameless: dict[str, float] = {}
        self._status = CollectorStatus("off", "まだ開始していません。", "Not started yet.")
        self._emit: Emit = lambda event: None

    def start(self, emit: Emit) -> None:
        """Tell what is there, then follow it from a thread of its own."""
        self._emit = emit
        self._stop.clear()
        lookout = self._make()
        lookout.open()
        self._lookout = lookout
        self._last, self._told_gateways, self._nameless = NONE, {}, {}
        self._thread = threading.Thread(target=self._guard, name="collect-network", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._lookout is not None:
            self._lookout.wake()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._lookout is not None:
            self._lookout.close()
            self._lookout = None
        self._status = CollectorStatus("off", "停止しています。", "Stopped.")

    def status(self) -> CollectorStatus:
        """Running, or off by policy."""
        return self._status

    def _guard(self) -> None:
        try:
            self._follow()
        except Exception as error:
            self._status, event = crash(self._context, "ネットワーク", "networks", error)
            self._emit(event)

    def _follow(self) -> None:
        lookout = self._lookout
        assert lookout is not None
        source: Any = None
        on, looked = True, -_LOOK_EVERY
        while not self._stop.is_set():
            if self._context.rules() is not source:
                source = self._context.rules()
                on = read_rules(source).collect.network.on
                looked = -_LOOK_EVERY
                self._status = (
                    RUNNING
                    if on
                    else CollectorStatus("off", "ポリシーにより記録しません。", "Off by policy.")
                )
            now = time.monotonic()
            if on and (now - looked >= _LOOK_EVERY or self._nameless):
                looked = now
                for event in self._differences(lookout.look(), now):
                    self._emit(event)
            if lookout.wait(_TICK):
                self._stop.wait(SETTLE)
                looked = -_LOOK_EVERY

    def _differences(self, now: Networks, time_: float) -> Iterator[Event]:
        before, self._last = self._last, now
        for name in sorted(before.interfaces.keys() | now.interfaces.keys()):
            old, new = before.interfaces.get(name), now.interfaces.get(name)
            was, is_ = bool(old and old.up), bool(new and new.up)
            if new is not None and is_ and not was:
                yield self._event(
                    "network.up",
                    interface=name,
                    mac=new.mac,
                    wireless=new.wireless,
                    addresses=list(new.addresses),
                )
            elif old is not None and was and not is_:
                yield self._event("network.down", interface=name, mac=old.mac, wireless=old.wireless)
            elif new is not None and old is not None and is_ and new.addresses != old.addresses:
                yield self._event("network.address", interface=name, addresses=list(new.addresses))
        yield from self._gateways(now, time_)

    def _gateways(self, now: Networks, time_: float) -> Iterator[Event]:
        for family in sorted(self._told_gateways.keys() | now.gateways.keys()):
            old, new = self._told_gateways.get(family), now.gateways.get(family)
            if new is None:
                self._nameless.pop(family, None)
            elif not new.mac:
                if old is not None and (old.interface, old.address) == new[:2]:
                    self._nameless.pop(family, None)
                    continue  # only out of the neighbour table for a while
                if time_ - self._nameless.setdefault(family, time_) < _PATIENCE:
                    continue
            self._nameless.pop(family, None)
            if old == new:
                continue
            data: dict[str, Any] = {}
            if new is not None:
                self._told_gateways[family] = new
                data = {"interface": new.interface, "gateway": new.address}
                if new.mac:
                    data["gateway_mac"] = new.mac
            else:
                del self._told_gateways[family]
            if old is not None:
                data["previous"] = f"{old.address} ({old.mac})" if old.mac else old.address
            yield self._event("network.gateway", **data)

    def _event(self, kind: str, **data: Any) -> Event:
        return self._context.event(kind, data)
