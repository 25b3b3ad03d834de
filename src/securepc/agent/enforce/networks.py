"""The network guard (door `networks`): which networks the PC is on, whether they are registered, and what
follows: a place for the other doors, an entry and a warning, and where the policy says so a cut.

It fails closed. While the policy cuts off, the PC is cut off whenever it is not known to be on registered
networks only: before the guard has looked after a boot, while a network is not settled, and without any.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from securepc.agent import config as configs
from securepc.agent.enforce import OFF, Context, DoorState
from securepc.agent.enforce.asked import People
from securepc.agent.enforce.cutting import Cut
from securepc.agent.enforce.recognised import Verdict, judge
from securepc.agent.enforce.unregistered import Alarms, facts
from securepc.agent.location import Locator
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.firewall import Firewall
from securepc.agent.platform.base.wireless import Attachment, Surroundings
from securepc.agent.situation import Place
from securepc.wire.doors import Networks

_log = logging.getLogger(__name__)
PATIENCE = 10.0
"""Seconds that a network which might be a registered one gets to show its router, once it has an address."""
_NO_ADDRESS = 60.0
"""Seconds that it gets for its first address: without one nothing can be sent over it."""
_SOON = 0.25
_IDLE = 30.0
_BOOTING = 300_000_000
"""Microseconds after boot within which the PC is cut off before it is looked at."""
_LEFT = 5.0


class Judged(NamedTuple):
    """A network with its verdict; `decided` is False while it may still turn out to be a registered one."""

    seen: Attachment
    verdict: Verdict
    decided: bool


class NetworkGuard:
    """`Enforcer` of networks."""

    name = "networks"

    def __init__(
        self,
        context: Context,
        surroundings: Surroundings,
        firewall: Firewall,
        *,
        servers: Callable[[], Sequence[str]] = tuple,
        users: Callable[[], Collection[str]] = tuple,
        locator: Locator | None = None,
    ) -> None:
        """`servers` gives the name servers in use, `users` who is logged on."""
        self._context = context
        self._surroundings = surroundings
        self._firewall = firewall
        self._users = users
        self._cut = Cut(context, firewall, servers, lambda: self._wake())
        self._locator = locator or Locator(context)
        self._alarms = Alarms(context, self._locator, users)
        self._people = People(context, self._locator, lambda: self._judged)
        self._wake: Callable[[], None] = lambda: None
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._judged: tuple[Judged, ...] = ()
        self._since: dict[tuple[str, str, bool], float] = {}
        self._told: set[tuple[str, str, str]] = set()
        self._undecided = False
        self._looked = False
        self._device = _device(context)

    def start(self, wake: Callable[[], None]) -> None:
        """Watch networks, and whether others change the firewall."""
        self._wake = wake
        self._surroundings.open()
        watches = [self._watch_networks]
        try:
            self._firewall.open()
            watches.append(self._watch_firewall)
        except OSError as error:
            _log.warning("changes of the firewall are only seen each minute: %s", error)
        for watch in watches:
            thread = threading.Thread(target=watch, name="networks-watch", daemon=True)
            self._threads.append(thread)
            thread.start()

    def reconcile(self) -> DoorState:
        """Look, cut off first where that is due, then say what there is to say."""
        rules = self._context.rules().doors.networks
        if not rules.on:
            self._judged, self._undecided, self._looked = (), False, False
            self._context.situation.moved(Place())
            self._cut.off()
            self._told.clear()
            return OFF
        if rules.cut_off and not self._looked and self._context.clock.up() < _BOOTING:
            self._try(self._cut.on)
        self._looked = True
        judged = self._judge(rules)
        fine = bool(judged) and all(one.verdict.network for one in judged)
        trouble = self._try(self._cut.on if rules.cut_off and not fine else self._cut.off)
        self._judged = judged
        self._context.situation.moved(_place(judged, fine))
        self._undecided = any(not one.decided for one in judged)
        if self._undecided:
            self._surroundings.wake()
        is_cut = rules.cut_off and not fine and trouble is None
        self._tell(judged, rules, is_cut)
        return self._state(judged, is_cut, trouble)

    def stop(self) -> None:
        """Watch no longer; a cut stays."""
        self._stopping.set()
        self._surroundings.wake()
        self._alarms.wait(_LEFT)
        for thread in self._threads:
            thread.join(_LEFT)
        self._surroundings.close()
        self._firewall.close()

    def remove(self) -> None:
        """Take the firewall's table away, and what was remembered."""
        self._firewall.remove()
        self._cut.off()
        self._alarms.forget()

    def _judge(self, rules: Networks) -> tuple[Judged, ...]:
        users = self._users() if any(one.users for one in rules.registered) else ()
        expired, now = self._context.expired(), time.monotonic()
        judged, since = [], {}
        for seen in self._surroundings.look():
            key = (seen.interface, seen.bssid, seen.subnet != "")
            since[key] = self._since.get(key, now)
            verdict = judge(seen, rules.registered, users=users, device=self._device, expired=expired)
            # What else it lacks will not make a network that is too weak, or nobody's, a registered one.
            final = verdict.why in ("encryption", "user", "expired") or (
                verdict.why == "none" and seen.wireless and seen.kind == "wifi"
            )
            limit = PATIENCE if seen.subnet else _NO_ADDRESS
            patient = not seen.settled and now - since[key] < limit
            judged.append(Judged(seen, verdict, verdict.network is not None or final or not patient))
        self._since = since
        return tuple(judged)

    def _tell(self, judged: Sequence[Judged], rules: Networks, is_cut: bool) -> None:
        told = set()
        for one in judged:
            network = one.verdict.network
            if network is not None:
                key = (one.seen.interface, network.id, one.seen.bssid if one.verdict.new_bssid else "")
                told.add(key)
                if key not in self._told:
                    reason = {"reason": "new-bssid"} if one.verdict.new_bssid else {}
                    data = {**facts(one.seen), "network": network.name or network.id, **reason}
                    self._context.report("network.registered", data)
            elif one.decided:
                action = "cut" if is_cut else "warned" if rules.warn else "recorded"
                self._alarms.tell(one.seen, one.verdict, action, warn=rules.warn, locate=rules.locate)
        self._told = told

    def _state(self, judged: Sequence[Judged], is_cut: bool, trouble: Exception | None) -> DoorState:
        data: dict[str, Any] = {
            "cut": is_cut,
            "networks": [
                {
                    **facts(one.seen),
                    "registered": one.verdict.network.id if one.verdict.network else "",
                    "reason": one.verdict.why if one.decided else "settling",
                }
                for one in judged[:4]
            ],
        }
        if trouble is not None:
            why = str(trouble)[:200]
            ja = trouble.ja if isinstance(trouble, Unsupported) else f"通信の遮断を操作できません({why})。"
            return DoorState("partly", ja, f"traffic could not be cut off or opened: {why}", data)
        if is_cut:
            return DoorState(
                "shut",
                "登録ネットワークにつながっていないため、マネージャー以外との通信を遮断しています。",
                "not on registered networks only: all traffic but with the manager is cut off",
                data,
            )
        return DoorState("shut", data=data)

    def _try(self, act: Callable[[], None]) -> Exception | None:
        """What is in the way of it: the rest of the guard goes on."""
        try:
            act()
        except (OSError, Unsupported) as error:
            return error
        return None

    def _watch_networks(self) -> None:
        while not self._stopping.is_set():
            try:
                changed = self._surroundings.wait(_SOON if self._undecided else _IDLE)
            except OSError:
                _log.exception("watching networks")
                changed = self._stopping.wait(_SOON)
            if (changed or self._undecided) and not self._stopping.is_set():
                self._wake()
                self._stopping.wait(_SOON / 5)  # a network that flaps is looked at often enough

    def _watch_firewall(self) -> None:
        while not self._stopping.is_set():
            try:
                changed = self._firewall.wait(1.0)
            except OSError:
                _log.exception("watching the firewall")
                changed = self._stopping.wait(_SOON)
            if changed and not self._stopping.is_set():
                self._wake()
                self._stopping.wait(_SOON)


def _device(context: Context) -> str:
    try:
        return configs.read(context.home).device.hex()
    except (configs.NotEnrolled, configs.BadConfig):
        return ""  # while uninstalling, or in a test


def _place(judged: Sequence[Judged], fine: bool) -> Place:
    """All networks count: the PC is on a registered one only where it is on no other."""
    if not judged:
        return Place(known=True)
    first = judged[0]
    network = first.verdict.network
    if not fine or network is None:
        shown = next((one for one in judged if one.verdict.network is None), first)
        return Place(known=True, connected=True, facts=facts(shown.seen))
    return Place(
        known=True,
        connected=True,
        network=network.id,
        name=network.name or network.ssid or network.id,
        fixed=all(one.verdict.fixed for one in judged),
        facts=facts(first.seen),
    )
