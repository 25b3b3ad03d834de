"""The Storage Shutter over made-up ports: closed unless granted, open for one medium, over in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_up_ports import OTHER, PHONE, STICK, MadeUpPorts, NoFiles

from securepc.agent import codes as agent_codes
from securepc.agent.enforce import Context
from securepc.agent.enforce.shutter import Shutter
from securepc.agent.local.server import Peer, Refused
from securepc.agent.orders import Failed
from securepc.agent.removal import _context
from securepc.agent.state import State
from securepc.wire import codes, doors, media
from securepc.wire.event import Event
from securepc.wire.orders import Command, Grant, Medium
from securepc.wire.policy import Rules

MINUTE = 60_000_000
HANAKO = Peer(1000, 1, "hanako")


class Clock:
    """A PC's clocks, set by a test."""

    def __init__(self) -> None:
        self.boot = b"\x01" * 16
        self.now = 1_795_000_000_000_000
        self.since = 100 * MINUTE

    def at(self) -> int:
        return self.now

    def up(self) -> int:
        return self.since


class Pc:
    """An enforcer with all around it; `again` is its agent started anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.ports = MadeUpPorts()
        self.events: list[Event] = []
        self.rules = doors.Shutter(on=True, test_days=0)
        self.is_expired = False
        self.state: State | None = None
        self.again()

    def again(self) -> None:
        if self.state is not None:
            self.state.close()
        self.state = State(self.folder)
        self.context: Context = _context(self.folder, self.state)._replace(
            clock=self.clock,
            record=self.record,
            rules=lambda: Rules(doors=doors.Doors(shutter=self.rules)),
            expired=lambda: self.is_expired,
        )
        self.shutter = Shutter(self.context, self.ports, NoFiles)
        self.shutter._ports.listen(self.look, lambda: None)

    def record(self, event: Event) -> bool:
        self.events.append(event)
        return True

    def look(self) -> None:
        self.state_now = self.shutter.reconcile()

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [{"result": event.result, **event.data} for event in self.events if event.kind == kind]

    def ask(self, name: str, **question: Any) -> dict[str, Any]:
        return self.context.local._handlers[name](HANAKO, {"ask": name, **question})

    def order(self, name: str, order: Any) -> dict[str, Any]:
        """The enforcer's own thread looks when it is woken."""
        self.shutter._wake = self.look
        return self.context.orders._handlers[name](order)

    def grant(self, number: int = 7, minutes: int = 10, **more: Any) -> Grant:
        fields: dict[str, Any] = {
            "log": b"\x11" * 16,
            "device": b"\x22" * 16,
            "number": number,
            "issued": 0,
            "expires": 2**52,
            "boot": self.clock.boot,
            "until_up": self.clock.up() + minutes * MINUTE,
            "user": "",
            "access": "read",
            "medium": STICK.medium,
            "purpose": "見積書の持出し",
            "requester": "hanako",
            "approver": "taro",
            **more,
        }
        return Grant(**fields)


@pytest.fixture
def pc(tmp_path: Path) -> Pc:
    return Pc(tmp_path)


def command(order: str, **args: Any) -> Command:
    return Command(b"", b"", 1, 0, 0, order, args)


def test_what_is_connected_is_closed_and_said_once(pc: Pc) -> None:
    pc.look()
    pc.ports.plug(STICK)
    assert pc.ports.opened == {}
    assert pc.state_now.state == "shut"
    pc.look()
    pc.again()
    pc.look()  # also not after a restart of the agent
    [denied] = pc.told("media.denied")
    assert denied["result"] == "blocked"
    assert (denied["vendor"], denied["serial"], denied["observed"]) == ("0781", "SN-1", "authorized=0")
    assert len(pc.told("media.insert")) == 1
    pc.ports.unplug(STICK)
    assert [one["serial"] for one in pc.told("media.remove")] == ["SN-1"]
    assert pc.ports.guarded == {"usb", "sd", "phone", "optical", "bluetooth"}


def test_what_could_not_be_closed_is_not_called_closed(pc: Pc) -> None:
    pc.ports.closes = False
    pc.ports.plug(STICK)
    assert pc.state_now.state == "failed"
    assert "KAKUU Stick" in pc.state_now.ja
    assert pc.told("media.denied")[0]["result"] == "failed"
    assert pc.context.notices.after(0, "hanako") == []
    pc.ports.closes = True
    pc.ports.trouble = [("設定ファイルがありません。", "a file is missing")]
    pc.look()
    assert (pc.state_now.state, pc.state_now.en) == ("partly", "a file is missing")


def test_the_disk_that_the_pc_runs_from_is_left_alone_and_named(pc: Pc) -> None:
    pc.ports.plug(STICK._replace(system=True))
    assert STICK.id in pc.ports.opened
    assert pc.state_now.state == "partly"
    assert pc.told("media.denied") == []


def test_a_class_that_is_not_switched_on_is_let_through(pc: Pc) -> None:
    pc.rules = doors.Shutter(on=True, phones=False, test_days=0)
    pc.ports.plug(PHONE)
    assert PHONE.id in pc.ports.opened
    assert pc.told("media.denied") == []


def test_a_grant_opens_its_medium_only_and_ends_by_the_boot_clock(pc: Pc) -> None:
    pc.ports.plug(STICK)
    pc.ports.plug(OTHER)
    assert pc.order("grant", pc.grant()) == {"observed": "open"}
    assert pc.ports.opened == {STICK.id: False}
    assert pc.ports.closing == {"7": pc.clock.up() + 10 * MINUTE}
    [opened] = pc.told("shutter.open")
    assert (opened["result"], opened["write"], opened["approver"]) == ("ok", "no", "taro")
    assert opened["until"] == pc.clock.now + 10 * MINUTE
    pc.clock.now -= 3_600_000_000  # whoever turns the clock back gains nothing
    pc.clock.since += 10 * MINUTE
    pc.look()
    assert pc.ports.opened == {}
    assert pc.ports.closing == {}
    [closed] = pc.told("shutter.close")
    assert (closed["reason"], closed["observed"], closed["result"]) == ("deadline", "authorized=0", "ok")


def test_two_media_alike_are_one_opening(pc: Pc) -> None:
    twin = STICK._replace(id="1-9:1.0#9")
    pc.ports.plug(STICK)
    pc.ports.plug(twin)
    pc.order("grant", pc.grant(medium=Medium("usb", "0781", "5581", "")))
    assert pc.ports.opened == {STICK.id: False}
    pc.ports.unplug(STICK)
    pc.ports.plug(OTHER)  # a loosely named grant has become one medium's
    assert pc.ports.opened == {twin.id: False}


def test_an_agent_that_was_killed_knows_what_it_left_open(pc: Pc) -> None:
    pc.ports.plug(STICK)
    pc.order("grant", pc.grant(access="write"))
    assert pc.ports.opened == {STICK.id: True}
    pc.again()
    pc.look()
    assert pc.ports.opened == {STICK.id: True}
    assert len(pc.told("shutter.open")) == 1
    pc.again()
    pc.clock.since += 11 * MINUTE
    pc.look()
    assert pc.ports.opened == {}
    assert pc.told("shutter.close")[0]["reason"] == "deadline"


def test_no_grant_outlives_its_boot(pc: Pc) -> None:
    pc.ports.plug(STICK)
    grant = pc.grant()
    pc.order("grant", grant)
    pc.clock.boot = b"\x02" * 16
    pc.again()
    pc.look()
    assert pc.ports.opened == {}
    assert pc.told("shutter.close")[0]["reason"] == "reboot"
    with pytest.raises(Failed, match="restarted"):
        pc.order("grant", grant._replace(number=8))


def test_grants_that_the_policy_does_not_cover_fail(pc: Pc) -> None:
    pc.rules = doors.Shutter(
        on=True, longest=5, test_days=0, media=(doors.RegisteredMedium(id="a", vendor="0781", serial="SN-1"),)
    )
    with pytest.raises(Failed, match="longer"):
        pc.order("grant", pc.grant(minutes=6))
    with pytest.raises(Failed, match="registered"):
        pc.order("grant", pc.grant(minutes=5, medium=OTHER.medium))
    with pytest.raises(Failed, match="over"):
        pc.order("grant", pc.grant(minutes=0))
    pc.is_expired = True
    with pytest.raises(Failed, match="expired"):
        pc.order("grant", pc.grant(minutes=5))
    pc.rules = doors.Shutter()
    with pytest.raises(Failed, match="off"):
        pc.order("grant", pc.grant(minutes=5))


def test_taken_back_and_ended_by_the_user(pc: Pc) -> None:
    pc.ports.plug(STICK)
    pc.order("grant", pc.grant())
    assert pc.order("shutter.close", command("shutter.close", grant="7"))["observed"] == "closed"
    assert pc.ports.opened == {}
    pc.order("grant", pc.grant(number=8))
    with pytest.raises(Refused):
        pc.context.local._handlers["shutter.close"](Peer(1001, 1, "jiro"), {"grant": "8"})
    pc.ask("shutter.close", grant="8")
    assert [one["reason"] for one in pc.told("shutter.close")] == ["taken back", "user"]


def test_while_somebody_else_sits_here_it_is_closed(pc: Pc) -> None:
    pc.ports.plug(STICK)
    pc.ports.seated = ("hanako",)
    pc.order("grant", pc.grant(user="hanako"))
    assert pc.ports.opened
    pc.ports.seated = ("jiro",)
    pc.look()
    assert pc.ports.opened == {}
    pc.ports.seated = ("hanako",)
    pc.look()
    assert pc.ports.opened


def test_a_phone_is_not_opened_for_reading_only(pc: Pc) -> None:
    pc.ports.plug(PHONE)
    with pytest.raises(Failed, match="not opened"):
        pc.order("grant", pc.grant(medium=PHONE.medium))
    assert pc.ports.opened == {}
    assert pc.told("shutter.open")[0]["result"] == "failed"
    assert pc.told("shutter.close")[0]["reason"] == "unsupported"


def test_switched_off_everything_is_as_before(pc: Pc) -> None:
    pc.ports.plug(STICK)
    pc.order("grant", pc.grant())
    pc.rules = doors.Shutter()
    pc.look()
    assert pc.state_now.state == "off"
    assert pc.ports.guarded == set()
    assert pc.told("shutter.close")[0]["reason"] == "policy"
    pc.shutter.remove()
    assert pc.ports.removed


def test_what_an_agent_without_its_memory_left_in_the_system_is_found_once(pc: Pc) -> None:
    for name in ("shutter-on", "shutter-seen"):
        pc.context.state.drop(name)
    pc.rules = doors.Shutter()
    pc.again()
    pc.look()
    assert pc.state_now.state == "off"
    assert pc.ports.removed
    pc.ports.removed = False
    pc.look()
    assert not pc.ports.removed


def test_media_come_and_go_also_where_the_shutter_is_off(pc: Pc) -> None:
    pc.rules = doors.Shutter()
    pc.look()
    pc.ports.plug(STICK)
    pc.again()
    pc.look()
    [inserted] = pc.told("media.insert")
    assert (inserted["name"], inserted["serial"]) == (STICK.name, STICK.serial)
    assert STICK.id in pc.ports.opened and pc.told("media.denied") == []
    pc.rules = doors.Shutter(on=True, test_days=0)
    pc.look()
    assert len(pc.told("media.insert")) == 1 and len(pc.told("media.denied")) == 1
    pc.rules = doors.Shutter()
    pc.look()
    pc.ports.unplug(STICK)
    pc.look()
    assert [one["serial"] for one in pc.told("media.remove")] == [STICK.serial]


def test_people_ask_for_what_is_connected(pc: Pc) -> None:
    pc.ports.plug(STICK)
    [shown] = pc.ask("shutter.media")["media"]
    assert (shown["closed"], shown["tag"], shown["allowed"]) == (True, media.tag(STICK.medium), True)
    wanted = {"medium": STICK.id, "purpose": "お客様への見積書", "minutes": 30, "access": "write"}
    name = pc.ask("shutter.request", **wanted)["request"]
    [request] = pc.told("shutter.request")
    assert request["request"] == name
    assert (request["requester"], request["minutes"], request["serial"]) == ("hanako", 30, "SN-1")
    for wrong, code in (
        ({"medium": "9-9:1.0#1"}, "gone"),
        ({"purpose": ""}, "malformed"),
        ({"minutes": 481}, "minutes"),
        ({"minutes": True}, "minutes"),
        ({"access": "all"}, "access"),
    ):
        with pytest.raises(Refused) as refused:
            pc.ask("shutter.request", **{**wanted, **wrong})
        assert refused.value.code == code
    for _ in range(19):
        pc.ask("shutter.request", **wanted)
    with pytest.raises(Refused, match="too many"):
        pc.ask("shutter.request", **wanted)
    pc.order("shutter.refuse", command("shutter.refuse", request=name, user="hanako", reason="不要"))
    assert "不要" in pc.context.notices.after(0, "hanako")[-1].ja
    assert pc.told("shutter.refused")[0]["request"] == name


def test_a_code_by_telephone_opens_what_it_was_given_for(pc: Pc) -> None:
    key = codes.key_of(b"\x05" * 32)
    agent_codes.write_key(pc.folder, key)
    pc.ports.plug(STICK)
    pc.ports.plug(OTHER)
    wanted = {"purpose": "見積書", "minutes": 15, "access": "read"}
    shown = pc.ask("shutter.challenge", medium=STICK.id, **wanted)
    other = pc.ask("shutter.challenge", medium=OTHER.id, **wanted)
    assert other["challenge"] != shown["challenge"]
    challenge = codes.read(other["challenge"], codes.CHALLENGE)
    for details in ("write 15", "read 60"):
        kind, minutes = details.split()
        wrong = codes.response(
            key, "shutter", challenge, media.code_details(kind, int(minutes), other["medium"])
        )
        with pytest.raises(Refused, match="wrong"):
            pc.ask("shutter.answer", code=codes.show(wrong))
    right = codes.response(key, "shutter", challenge, media.code_details("read", 15, other["medium"]))
    pc.shutter._wake = pc.look
    assert pc.ask("shutter.answer", code=codes.show(right))["minutes"] == 15
    assert pc.ports.opened == {OTHER.id: False}
    with pytest.raises(Refused, match="challenge"):
        pc.ask("shutter.answer", code=codes.show(right))


def test_the_self_test_tries_and_tells(pc: Pc) -> None:
    pc.ports.plug(STICK)
    assert pc.order("shutter.test", command("shutter.test")) == {"observed": "refused"}
    pc.ports.closes = False
    pc.ports.opened[STICK.id] = True
    assert pc.order("shutter.test", command("shutter.test")) == {"observed": "failed"}
    assert [one["result"] for one in pc.told("shutter.test")] == ["ok", "failed"]
    pc.ports.closes = True
    pc.rules = doors.Shutter(on=True, test_days=7)
    pc.look()
    assert len(pc.told("shutter.test")) == 2
    pc.clock.now += 7 * 86_400_000_000
    pc.look()
    assert pc.told("shutter.test")[2]["reason"] == "schedule"
