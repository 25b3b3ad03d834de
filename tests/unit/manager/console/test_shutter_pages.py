"""Take-outs on the console: from a PC's request to the ledger, with the roles and agencies kept apart."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import HERE, THERE, Office, enter, post, until

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.approvals import service
from securepc.manager.commands.model import Command
from securepc.wire import codes, event, media, orders
from securepc.wire.orders import Medium
from securepc.wire.signed import documents, leaf

STICK = Medium("usb", "0781", "5581", "SN-1")
FIELDS = {"class": "usb", "name": "<b>KAKUU</b> Stick", "vendor": "0781", "product": "5581", "serial": "SN-1"}
ASKED = {
    "request": "ab12",
    "requester": "suzuki",
    "purpose": "お客様への見積書",
    "minutes": 60,
    "access": "write",
    "medium": "usb 0781:5581 SN-1",
    **FIELDS,
}
BOOT = b"\xab" * 16
UP = 1_000_000


def tell(office: Office, kind: str, data: dict[str, Any], result: str = "ok") -> None:
    """The PC seals an entry; returns when the manager has acted upon it."""
    entry = event.Event(
        kind, at=clock.now(), up=UP, boot=BOOT.hex(), user="suzuki", policy="1.1", result=result, data=data
    )
    office.pc.send(office.pc.seal_batch([event.to_entry(entry)]))
    size = office.manager.log.size(HERE)
    until(lambda: office.manager.happenings.position(HERE) >= size)


def beat(office: Office, boot: bytes = BOOT, status: dict[str, Any] | None = None) -> None:
    """A sign of life."""
    from securepc.manager.devices.presence import Heartbeat

    heartbeat = Heartbeat(boot, 1, 1, bytes(32), 0, UP, clock.now(), status or {})
    office.manager.presence.beat(office.pc.handle, heartbeat)
    office.manager.presence.flush()


@pytest.fixture
def asked(office: Office) -> Office:
    rules = office.manager.policies.rules(HERE)
    office.manager.policies.change(
        HERE, {**rules, "doors": {"shutter": {"on": True, "longest": 120}}}, actor="test"
    )
    beat(office)
    tell(office, "shutter.request", ASKED)
    return office


def orders_of(office: Office) -> list[Command]:
    return list(office.manager.commands.of_device(HERE, office.pc.handle))


def test_a_request_becomes_a_grant_and_a_line_of_the_ledger(asked: Office) -> None:
    office, owner = asked, asked.owner
    page = owner.get("/shutter").text
    assert "お客様への見積書" in page and "<b>KAKUU</b>" not in page and "&lt;b&gt;KAKUU" in page
    with office.manager.database.read() as session:
        assert alerts.is_open(session, HERE, "shutter-request", office.pc.handle)
    [request] = office.manager.approvals.waiting(HERE)
    path = f"/shutter/requests/{request.id}/approve"
    for wrong in ({"minutes": "121"}, {"minutes": "0"}, {"minutes": "x"}, {"minutes": "9", "access": "all"}):
        assert post(owner, "/shutter", path, **wrong).status_code == 400
    sent = post(owner, "/shutter", path, minutes="30", access="read", due="")
    assert sent.status_code == 303
    [command] = orders_of(office)
    value = documents.decode("grant", leaf.split(command.frame).body)
    assert (value["access"], value["user"], value["medium"]) == ("read", "suzuki", STICK._asdict())
    assert value["boot"] == BOOT.hex()
    assert 0 <= value["until_up"] - UP - 30 * clock.MINUTE < 30 * clock.SECOND
    key = office.manager.keys.log(HERE).commands.public
    assert isinstance(orders.parse(command.frame, key), orders.Grant)
    assert post(owner, "/shutter", path, minutes="30").status_code == 400  # decided before
    with office.manager.database.read() as session:
        assert not alerts.is_open(session, HERE, "shutter-request", office.pc.handle)

    number = str(command.number)
    opened = {**FIELDS, "grant": number, "medium": "KAKUU Stick", "requester": "suzuki", "approver": "hanako"}
    opened |= {"purpose": "見積書", "read": "yes", "write": "yes", "until": clock.now()}
    tell(office, "shutter.open", opened)
    written = {"grant": number, "medium": "KAKUU Stick", "path": "=/media/x.xlsx", "size": 48_211}
    tell(office, "media.write", written | {"sha256": "ab" * 32})
    tell(office, "media.read", {"grant": "999", "path": "/none"})  # of no opening here
    [row] = office.manager.approvals.takeouts(HERE)
    assert "=/media/x.xlsx" in owner.get(f"/shutter/ledger/{row.id}").text
    assert post(owner, "/shutter", f"/shutter/ledger/{row.id}/close").status_code == 303
    assert orders_of(office)[0].args == {"grant": number}
    tell(office, "shutter.close", {"grant": number, "reason": "taken back", "observed": "authorized=0"})
    page = owner.get(f"/shutter/ledger/{row.id}").text
    assert "Seen closed" in page and "Taken back by an administrator" in page
    table = owner.get("/shutter/ledger.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert "'=/media/x.xlsx" in table.text and "ab" * 32 in table.text
    assert row.due_at is not None


def test_what_is_not_back_is_an_alert_until_it_is(asked: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office, owner = asked, asked.owner
    opened = {**FIELDS, "grant": "7", "medium": "KAKUU", "requester": "suzuki", "write": "yes"}
    tell(office, "shutter.open", opened)
    tell(office, "shutter.close", {"grant": "7", "reason": "deadline"})
    [row] = office.manager.approvals.takeouts(HERE)
    now = clock.now()
    monkeypatch.setattr(service.clock, "now", lambda: now + 8 * clock.DAY)
    office.manager.approvals.look()
    with office.manager.database.read() as session:
        assert alerts.is_open(session, HERE, "takeout-overdue", office.pc.handle)
    assert office.manager.approvals.waiting(HERE) == []  # the request has expired meanwhile
    office.manager.approvals.returned(HERE, row.id, "消去を確認", actor="hanako")
    with office.manager.database.read() as session:
        assert not alerts.is_open(session, HERE, "takeout-overdue", office.pc.handle)
    monkeypatch.undo()
    assert "消去を確認" in owner.get(f"/shutter/ledger/{row.id}").text
    assert post(owner, "/shutter", f"/shutter/ledger/{row.id}/return").status_code == 400


def test_a_refusal_reaches_the_person_with_its_reason(asked: Office) -> None:
    [request] = asked.manager.approvals.waiting(HERE)
    path = f"/shutter/requests/{request.id}/refuse"
    assert post(asked.owner, "/shutter", path).status_code == 400
    assert post(asked.owner, "/shutter", path, reason="社内便で送ってください").status_code == 303
    [command] = orders_of(asked)
    assert command.order == "shutter.refuse"
    assert command.args["reason"] == "社内便で送ってください"
    assert (command.args["request"], command.args["user"]) == ("ab12", "suzuki")


def test_after_a_restart_of_the_pc_nothing_is_opened(asked: Office) -> None:
    beat(asked, boot=b"\x01" * 16)
    [request] = asked.manager.approvals.waiting(HERE)
    sent = post(asked.owner, "/shutter", f"/shutter/requests/{request.id}/approve", minutes="30")
    assert sent.status_code == 400 and "restarted" in sent.text
    assert orders_of(asked) == []


def test_auditors_read_and_other_agencies_see_nothing(asked: Office) -> None:
    [request] = asked.manager.approvals.waiting(HERE)
    auditor = enter(asked.app, HERE, "jiro", "auditor")
    assert "お客様への見積書" in auditor.get("/shutter").text
    for page in ("/shutter/ledger", "/shutter/settings"):
        assert auditor.get(page).status_code == 200
    approve = f"/shutter/requests/{request.id}/approve"
    assert post(auditor, "/shutter", approve, minutes="9").status_code == 403
    assert post(auditor, "/shutter", "/shutter/settings", longest="1", test_days="1").status_code == 403
    assert auditor.get("/shutter/code").status_code == 403
    stranger = enter(asked.app, THERE, "saburo")
    assert "お客様への見積書" not in stranger.get("/shutter").text
    assert post(stranger, "/shutter", approve, minutes="9").status_code == 404
    tell(asked, "shutter.open", {**FIELDS, "grant": "7", "medium": "KAKUU", "write": "yes"})
    [row] = asked.manager.approvals.takeouts(HERE)
    assert stranger.get(f"/shutter/ledger/{row.id}").status_code == 404
    assert post(stranger, "/shutter", f"/shutter/ledger/{row.id}/return").status_code == 404
    assert "KAKUU" not in stranger.get("/shutter/ledger.csv").text


def test_the_switches_and_registered_media(asked: Office) -> None:
    owner = asked.owner
    tell(asked, "media.denied", {**FIELDS, "class": "usb 08/06/50", "observed": "authorized=0"}, "blocked")
    page = owner.get("/shutter/settings").text
    assert media.tag(STICK) in page
    form = {"on": "on", "usb": "on", "longest": "45", "test_days": "3"}
    assert post(owner, "/shutter/settings", "/shutter/settings", **form).status_code == 303
    rules = asked.manager.approvals.rules(HERE)
    assert (rules.on, rules.usb, rules.phones, rules.longest, rules.test_days) == (True, True, False, 45, 3)
    none = {"longest": "0", "test_days": "3"}
    assert post(owner, "/shutter/settings", "/shutter/settings", **none).status_code == 400
    register = "/shutter/settings/media"
    assert post(owner, "/shutter/settings", register, name="x").status_code == 400
    sent = post(owner, "/shutter/settings", register, name="本社用", vendor="0781", serial="SN-1")
    assert sent.status_code == 303
    [medium] = asked.manager.approvals.rules(HERE).media
    assert (medium.name, medium.serial) == ("本社用", "SN-1")
    assert post(owner, "/shutter/settings", f"{register}/{medium.id}/remove").status_code == 303
    assert asked.manager.approvals.rules(HERE).media == ()
    assert asked.manager.approvals.rules(HERE).longest == 45


def test_a_code_is_what_the_pc_expects(asked: Office) -> None:
    challenge = codes.new_challenge()
    form = {"device": asked.pc.handle.hex(), "challenge": challenge.lower(), "medium": media.tag(STICK)}
    form |= {"minutes": "15", "access": "write", "reason": "回線障害"}
    for wrong in ({"challenge": "AAAA"}, {"medium": "U"}, {"minutes": "999"}, {"reason": ""}):
        assert post(asked.owner, "/shutter/code", "/shutter/code", **{**form, **wrong}).status_code == 400
    page = post(asked.owner, "/shutter/code", "/shutter/code", **form)
    assert page.status_code == 200
    from securepc.manager.devices.codes import CodeKey

    with asked.manager.database.read() as session:
        row = session.get(CodeKey, asked.pc.handle)
    assert row is not None
    key = asked.manager.keys.unwrap(row.key, b"codes" + asked.pc.handle)
    right = codes.response(key, "shutter", challenge, media.code_details("write", 15, media.tag(STICK)))
    assert codes.show(right) in page.text
    tell(asked, "shutter.open", {**FIELDS, "grant": "code-1", "approver": "code", "write": "yes"})
    assert asked.manager.approvals.takeouts(HERE)[0].approver == "hanako"


def test_whatever_a_pc_says_is_bounded(asked: Office) -> None:
    for twisted in (
        {**ASKED, "minutes": 10**9},
        {**ASKED, "minutes": "60"},
        {**ASKED, "class": "disk"},
        {**ASKED, "access": ["write"]},
        {},
    ):
        tell(asked, "shutter.request", twisted)
    tell(asked, "shutter.open", {"grant": 7})
    tell(asked, "shutter.open", {"grant": "8", "write": "yes"}, "failed")
    tell(asked, "media.denied", {"class": 5, "name": None}, "failed")
    assert len(asked.manager.approvals.waiting(HERE)) == 1
    assert asked.manager.approvals.takeouts(HERE) == []
    beat(asked, status={"doors": {"shutter": {"state": "shut", "data": {"media": [1, {}], "classes": 7}}}})
    for page in ("/shutter", f"/devices/{asked.pc.handle.hex()}", "/alerts"):
        assert asked.owner.get(page).status_code == 200
