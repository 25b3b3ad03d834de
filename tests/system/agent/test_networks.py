"""From a network that is not registered to a mail with the place: a real manager, agent and SMTP server, and
networks that a test makes up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from mail_server import MailServer, mail_to
from running_manager import Running, wait_for

from securepc.agent.enforce import Context
from securepc.agent.enforce.networks import NetworkGuard
from securepc.agent.local.client import LocalClient, path_for
from securepc.agent.location import Locator
from securepc.agent.platform.base.firewall import Way
from securepc.agent.platform.base.location import Position
from securepc.agent.platform.base.wireless import Attachment
from securepc.agent.service import Agent
from securepc.manager.refusal import NotFound, Refusal
from securepc.wire.doors import RegisteredNetwork

Pc = Callable[..., Agent]
CAFE = Attachment(
    "wlan0", "wifi", True, "架空カフェ", "02:00:00:00:bb:01", "open", "198.51.100.1", "02:00:00:00:00:66"
)
HOME = Attachment(
    "wlan0",
    "wifi",
    True,
    "hanako-home",
    "02:00:00:00:cc:01",
    "wpa2",
    "192.0.2.1",
    "02:00:00:00:00:77",
    "192.0.2.0/24",
)


class Air:
    """Networks that a test sets, and a compass."""

    def __init__(self) -> None:
        self.seen: Sequence[Attachment] = ()
        self.guard: NetworkGuard | None = None

    def doors(self, context: Context) -> list[NetworkGuard]:
        self.guard = NetworkGuard(context, self, Wall(), locator=Locator(context, lambda: self))
        return [self.guard]

    def locate(self, seconds: float) -> Position:
        return Position(35.6812362, 139.7671248, 25, "geoclue")

    def open(self) -> None:
        pass

    def wait(self, timeout: float) -> bool:
        time.sleep(0.2)
        return True

    def wake(self) -> None:
        pass

    def close(self) -> None:
        pass

    def look(self) -> Sequence[Attachment]:
        return self.seen


class Wall:
    """A firewall that nobody needs here."""

    def open(self) -> None:
        raise OSError("no firewall here")

    def wait(self, timeout: float) -> bool:
        raise AssertionError

    def close(self) -> None:
        pass

    def cut(self, way: Way) -> None:
        raise AssertionError

    def is_cut(self, way: Way) -> bool:
        return False

    def is_there(self) -> bool:
        return False

    def remove(self) -> None:
        pass


@pytest.fixture
def server(manager: Running) -> Iterator[MailServer]:
    """The manager's mail goes to a real SMTP server, to one administrator."""
    inner = manager.manager
    with MailServer() as running:
        mail_to(inner, manager.log, running)
        switches = {"on": True, "warn": True, "locate": True, "cut_off": False}
        inner.networks.switch(manager.log, switches, actor="test")
        yield running
        inner.mail.close()


def test_an_unregistered_network_is_a_warning_an_entry_and_a_mail_with_the_place(
    manager: Running, server: MailServer, pc: Pc
) -> None:
    air = Air()
    agent = pc(doors=air.doors)
    agent.start()
    wait_for(lambda: agent.policy.rules.doors.networks.on)
    begin = time.monotonic()
    air.seen = (CAFE,)
    with LocalClient(path_for(agent.folder)) as client:
        notice = client.ask("notices", after=0, wait=True)["notices"][0]
        warned = time.monotonic() - begin
        assert "架空カフェ" in notice["ja"]
        assert notice["level"] == "warn"
        (mail,) = server.wait(1)
        mailed = time.monotonic() - begin
        print(f"warned after {warned:.2f} s, mailed after {mailed:.2f} s")
        assert mailed < 15.0
        text = str(mail.get_content())
        assert mail["Subject"] == "[Secure PC] 未登録ネットワークへの接続: 架空PC-01(架空カフェ)"
        for part in (
            "暗号化されていません",
            "35.681236, 139.767125",
            "25 m",
            "openstreetmap.org/?mlat=35.681236",
            "登録を申請",
        ):
            assert part in text, part
        here = wait_for(lambda: [one for one in manager.manager.networks.now(manager.log) if one.networks])
        assert here[0].networks[0][0].ssid == "架空カフェ"
        (sighting,) = manager.manager.networks.history(manager.log, agent.config.device)
        assert sighting.kind == "network.unregistered"
        # The user asks; an open network is refused, with a reason that the user reads.
        client.ask("network.request", purpose="訪問先での資料確認")
        asked = server.wait(2)[1]
        assert "訪問先での資料確認" in str(asked.get_content())
        (request,) = manager.manager.networks.requests(manager.log, waiting=True)
        networks = manager.manager.networks
        with pytest.raises(Refusal):
            networks.approve(
                manager.log, request.id, RegisteredNetwork(id="x", ssid="架空カフェ"), actor="test"
            )
        with pytest.raises(NotFound):
            networks.refuse(b"\x99" * 16, request.id, "だめです", actor="test")
        networks.refuse(manager.log, request.id, "暗号化がありません", actor="test")
        found = client.ask("notices", after=notice["number"], wait=True)["notices"][0]
        assert "暗号化がありません" in found["ja"]


def test_a_request_that_is_approved_registers_the_network(
    manager: Running, server: MailServer, pc: Pc
) -> None:
    air = Air()
    agent = pc("second", doors=air.doors)
    agent.start()
    wait_for(lambda: agent.policy.rules.doors.networks.on)
    air.seen = (HOME,)
    networks = manager.manager.networks
    with LocalClient(path_for(agent.folder)) as client:
        wait_for(lambda: client.ask("networks")["networks"])
        client.ask("network.request", purpose="在宅勤務")
        request = wait_for(lambda: networks.requests(manager.log, waiting=True))[0]
        registered = RegisteredNetwork(
            id=f"r{request.id}", name="花子宅", ssid="hanako-home", fixed=False,
            gateways=("02:00:00:00:00:77",), devices=(agent.config.device.hex(),),
        )  # fmt: skip
        networks.approve(manager.log, request.id, registered, actor="test")
        wait_for(lambda: agent.guard.situation.place.name == "花子宅")
        assert not agent.guard.situation.place.fixed
        assert client.ask("networks")["networks"][0]["registered"] == "花子宅"
        wait_for(lambda: "network.registered" in [one.kind for one in networks.history(manager.log)])
        with pytest.raises(NotFound):
            networks.approve(manager.log, request.id, registered, actor="test")
        networks.unregister(manager.log, registered.id, actor="test")
        wait_for(lambda: agent.guard.situation.place.network == "")
        with pytest.raises(NotFound):
            networks.unregister(manager.log, registered.id, actor="test")


def test_a_pc_says_where_it_is_when_ordered(manager: Running, server: MailServer, pc: Pc) -> None:
    agent = pc("third", doors=Air().doors)
    agent.start()
    inner = manager.manager
    with inner.database.write() as session:
        inner.commands.issue(session, manager.log, agent.config.device, "locate", actor="test")
    found = wait_for(
        lambda: [
            one
            for one in inner.networks.history(manager.log, agent.config.device)
            if one.kind == "location.fix"
        ]
    )
    assert found[0].data["latitude"] == "35.681236"
    assert inner.commands.of_device(manager.log, agent.config.device)[0].order == "locate"
