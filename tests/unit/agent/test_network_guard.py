"""The network guard with networks and a firewall that a test makes up."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from running_manager import wait_for

from securepc.agent.enforce import Context
from securepc.agent.enforce.cutting import servers_of
from securepc.agent.enforce.networks import NetworkGuard
from securepc.agent.local.server import Peer, Refused
from securepc.agent.location import Locator
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.base.firewall import Way
from securepc.agent.platform.base.location import Position
from securepc.agent.platform.base.wireless import Attachment
from securepc.agent.removal import _context
from securepc.agent.situation import Place
from securepc.agent.state import State
from securepc.wire.doors import Doors, Networks, RegisteredNetwork
from securepc.wire.event import Event
from securepc.wire.orders import Command
from securepc.wire.policy import Rules

OFFICE = RegisteredNetwork(id="n1", name="本店", ssid="midori-office", gateways=("02:00:00:00:00:01",))
AT_WORK = Attachment(
    "wlan0", "wifi", True, "midori-office", "02:00:00:00:aa:01", "wpa2", "192.0.2.1", "02:00:00:00:00:01"
)
CAFE = Attachment("wlan0", "wifi", True, "cafe-free", "02:00:00:00:bb:01", "open", "198.51.100.1")
PERSON = Peer(1000, 1, "hanako")


class Air:
    """Surroundings that a test sets."""

    def __init__(self) -> None:
        self.seen: Sequence[Attachment] = ()
        self.news = threading.Event()

    def open(self) -> None:
        pass

    def wait(self, timeout: float) -> bool:
        found = self.news.wait(min(timeout, 0.2))
        self.news.clear()
        return found

    def wake(self) -> None:
        self.news.set()

    def close(self) -> None:
        pass

    def look(self) -> Sequence[Attachment]:
        return self.seen


class Wall:
    """A firewall that keeps what it is told."""

    def __init__(self) -> None:
        self.way: Way | None = None
        self.refuses: Exception | None = None

    def open(self) -> None:
        pass

    def wait(self, timeout: float) -> bool:
        time.sleep(min(timeout, 0.2))
        return False

    def close(self) -> None:
        pass

    def cut(self, way: Way) -> None:
        if self.refuses:
            raise self.refuses
        self.way = way

    def is_cut(self, way: Way) -> bool:
        return self.way == way

    def is_there(self) -> bool:
        return self.way is not None

    def remove(self) -> None:
        self.way = None


class Compass:
    def locate(self, seconds: float) -> Position:
        return Position(35.0, 139.0, 30, "geoclue")


class Pc:
    """A guard with all that it touches."""

    def __init__(self, folder: Path) -> None:
        self.told: list[Event] = []
        self.rules = Networks(on=True, registered=(OFFICE,))
        self.expired = False
        self.state = State(folder)
        self.air, self.wall = Air(), Wall()
        self.context: Context = _context(folder, self.state)._replace(
            rules=lambda: Rules(doors=Doors(networks=self.rules)),
            expired=lambda: self.expired,
            record=self._record,
        )
        self.guard = self.fresh()

    def fresh(self) -> NetworkGuard:
        """As after a restart of the agent."""
        return NetworkGuard(
            self.context,
            self.air,
            self.wall,
            users=lambda: {"hanako"},
            locator=Locator(self.context, Compass),
        )

    def _record(self, event: Event) -> bool:
        self.told.append(event)
        return True

    def on(self, *seen: Attachment) -> Any:
        """The door's state with these networks."""
        self.air.seen = seen
        found = self.guard.reconcile()
        self.guard._alarms.wait(60)
        return found

    def kinds(self) -> list[str]:
        return [one.kind for one in self.told]

    @property
    def place(self) -> Place:
        return self.context.situation.place


@pytest.fixture
def pc(tmp_path: Path) -> Pc:
    return Pc(tmp_path)


def test_a_registered_network_is_a_place_and_an_entry_once(pc: Pc) -> None:
    assert pc.on(AT_WORK).state == "shut"
    assert (pc.place.known, pc.place.network, pc.place.name, pc.place.fixed) == (True, "n1", "本店", True)
    pc.on(AT_WORK)
    assert pc.kinds() == ["network.registered"]
    pc.on()
    assert pc.place == Place(known=True)
    pc.on(AT_WORK)
    assert pc.kinds() == ["network.registered"] * 2


def test_an_unregistered_network_is_told_at_once_with_the_place_and_then_daily(pc: Pc) -> None:
    pc.on(CAFE)
    (entry,) = pc.told
    assert (entry.kind, entry.user) == ("network.unregistered", "hanako")
    assert entry.data["reason"] == "none"
    assert entry.data["encryption"] == "open"
    assert (entry.data["latitude"], entry.data["accuracy"], entry.data["source"]) == (
        "35.000000",
        30,
        "geoclue",
    )
    assert "暗号化なし" in entry.data["ja"]
    (notice,) = pc.context.notices.after(0, "hanako")
    assert (notice.level, notice.code) == ("warn", "network.unregistered")
    assert "cafe-free" in notice.ja
    assert pc.place.network == ""
    pc.on(CAFE._replace(bssid="02:00:00:00:bb:02"))  # another access point of the same: nothing new
    pc.guard = pc.fresh()
    pc.on(CAFE)
    assert len(pc.told) == 1
    pc.on(CAFE._replace(security="wep"))
    assert len(pc.told) == 2
    pc.state.put("networks.told", b"{}")  # a day later
    pc.on(CAFE)
    assert len(pc.told) == 3


def test_all_networks_count(pc: Pc) -> None:
    pc.on(AT_WORK, CAFE._replace(interface="wlan1"))
    assert pc.place.connected
    assert pc.place.network == ""
    assert pc.kinds() == ["network.registered", "network.unregistered"]


def test_cut_off_unless_on_registered_networks_only(pc: Pc) -> None:
    pc.rules = Networks(on=True, registered=(OFFICE,), cut_off=True)
    found = pc.on(CAFE)
    assert pc.wall.way is not None
    assert found.state == "shut"
    assert found.data["cut"]
    assert pc.told[0].data["action"] == "cut"
    pc.on(AT_WORK)
    assert pc.wall.way is None
    pc.on()
    assert pc.wall.way is not None  # whatever comes next is cut off before it is looked at
    pc.wall.way = Way((), 1)  # somebody changed it
    pc.on(CAFE)
    assert pc.wall.way == pc.guard._cut.way()
    pc.rules = Networks(on=False)
    assert pc.on(CAFE).state == "off"
    assert pc.wall.way is None
    assert pc.place == Place()


def test_an_expired_policy_registers_nothing(pc: Pc) -> None:
    pc.rules = Networks(on=True, registered=(OFFICE,), cut_off=True)
    pc.expired = True
    pc.on(AT_WORK)
    assert pc.place.network == ""
    assert pc.wall.way is not None
    assert pc.told[0].data["reason"] == "expired"


def test_a_cut_that_fails_is_said(pc: Pc) -> None:
    pc.rules = Networks(on=True, cut_off=True)
    for refusal in (OSError("no such table"), Unsupported("ありません。", "there is no nft")):
        pc.wall.refuses = refusal
        found = pc.on(CAFE)
        assert found.state == "partly"
        assert not found.data["cut"]
        assert str(refusal) in found.en
    assert "network.unregistered" in pc.kinds()
    assert pc.told[0].data["action"] == "warned"


def test_a_pc_without_a_firewall_misses_none_until_it_is_to_be_cut_off(pc: Pc) -> None:
    def missing() -> bool:
        raise Unsupported("ありません。", "there is no nft")

    pc.wall.is_there = missing  # type: ignore[method-assign]
    assert pc.on(AT_WORK).state == "shut"
    pc.rules = Networks(on=False)
    assert pc.on(AT_WORK).state == "off"
    pc.rules = Networks(on=True, registered=(OFFICE,), cut_off=True)
    pc.on(CAFE)
    pc.rules = Networks(on=True, registered=(OFFICE,))
    assert pc.on(CAFE).state == "partly"  # what was cut must be seen to be open again


def test_a_network_gets_time_to_show_its_router(pc: Pc) -> None:
    pc.rules = Networks(on=True, registered=(OFFICE,), cut_off=True)
    coming = AT_WORK._replace(gateway_mac="", settled=False)
    pc.on(coming)
    assert pc.kinds() == []
    assert pc.wall.way is not None  # closed meanwhile
    assert pc.place.network == ""
    pc.on(AT_WORK)
    assert pc.kinds() == ["network.registered"]
    pc.on(coming)
    pc.guard._since = dict.fromkeys(pc.guard._since, -100.0)
    pc.on(coming)
    assert pc.told[-1].data["reason"] == "gateway"


def test_changes_wake_the_guard(pc: Pc) -> None:
    woken = threading.Event()
    pc.guard.start(woken.set)
    try:
        pc.air.wake()
        assert woken.wait(60)
    finally:
        pc.guard.stop()


def test_people_ask_for_registration_with_a_purpose(pc: Pc) -> None:
    ask = pc.guard._people._request
    pc.on(AT_WORK)
    with pytest.raises(Refused) as refused:
        ask(PERSON, {"purpose": "訪問先"})
    assert refused.value.code == "no-network"
    pc.on(CAFE)
    with pytest.raises(Refused):
        ask(PERSON, {"purpose": ""})
    pc.told.clear()
    assert ask(PERSON, {"purpose": "訪問先で使います"})["asked"]["ssid"] == "cafe-free"
    (entry,) = pc.told
    assert (entry.kind, entry.user) == ("network.request", "hanako")
    assert entry.data["encryption"] == "open"
    assert entry.data["purpose"] == "訪問先で使います"
    with pytest.raises(Refused) as refused:
        ask(PERSON, {"purpose": "もう一度"})
    assert refused.value.code == "too-often"
    found = pc.guard._people._networks(PERSON, {})
    assert found["networks"][0]["ja"].startswith("登録されていない")


def test_orders_are_answered_with_what_was_seen(pc: Pc) -> None:
    people = pc.guard._people
    said = {"approved": False, "network": "cafe-free", "reason": "暗号化がありません", "user": "hanako"}
    command = Command(b"", b"", 7, 0, 0, "network.answer", said)
    assert people._answer(command) == {"observed": "told"}
    (notice,) = pc.context.notices.after(0, "hanako")
    assert "暗号化がありません" in notice.ja
    assert pc.context.notices.after(0, "taro") == []
    found = people._locate(command._replace(order="locate", args={}))
    assert found["observed"] == "geoclue"
    assert pc.kinds() == ["location.fix"]


def test_removal_takes_the_table_away(pc: Pc) -> None:
    pc.rules = Networks(on=True, cut_off=True)
    pc.on(CAFE)
    pc.fresh().remove()
    assert pc.wall.way is None
    assert pc.state.get("networks.told") is None


def test_the_managers_name_is_kept_for_when_it_can_not_be_asked(pc: Pc) -> None:
    cut = pc.guard._cut
    assert cut.way() == Way((), 443)  # not enrolled
    cut._resolve("localhost")
    assert pc.state.get("networks.manager") is None  # loopback is open anyway
    cut._context.state.put("networks.manager", b'["192.0.2.9"]')
    wait_for(lambda: cut._looking is None or not cut._looking.is_alive())


def test_name_servers_are_read_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_bytes(b"# x\nnameserver 192.0.2.53\nnameserver\n\xff\nnameserver ::1\n")
    assert servers_of(tmp_path / "resolv.conf", tmp_path / "none") == ["192.0.2.53", "::1"]
