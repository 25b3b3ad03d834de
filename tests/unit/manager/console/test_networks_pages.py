"""The pages of networks and of mail: who may do what, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import HERE, THERE, Office, enter, post

from securepc.manager.happenings.service import Happening
from securepc.manager.networks import forms, words
from securepc.manager.refusal import Refusal
from securepc.wire.event import Event

SAID = {
    "attached": "wifi",
    "interface": "wlan0",
    "ssid": "<b>evil</b>\u202e",
    "bssid": "02:00:00:00:bb:01",
    "encryption": "wpa2",
    "gateway_mac": "02:00:00:00:00:66",
    "purpose": "在宅勤務",
    "reason": "none",
}


def ask(office: Office, number: int = 1, **more: Any) -> None:
    event = Event("network.request", 1, 1, "00" * 16, "suzuki", data={**SAID, **more})
    with office.manager.database.write() as session:
        happening = Happening(HERE, office.pc.handle, f"{office.pc.handle.hex()}.{number}", 1_000_000, event)
        office.manager.networks.asked(session, happening)
        office.manager.networks.asked(session, happening)  # the same entry again is one request


def test_the_encryption_stands_first_and_a_request_is_approved_for_that_pc(office: Office) -> None:
    ask(office)
    page = office.owner.get("/networks").text
    assert "<b>evil</b>" not in page
    assert "&lt;b&gt;evil&lt;/b&gt;\\u{202e}" in page
    asked = page[page.index('class="asked"') :]
    assert asked.index("WPA2") < asked.index("在宅勤務")
    answer = post(
        office.owner, "/networks", "/networks/requests/1/approve", name="Home", router="yes", only="yes"
    )
    assert answer.status_code == 303
    (found,) = office.manager.networks.rules(HERE).registered
    assert found.gateways == ("02:00:00:00:00:66",)
    assert found.devices == (office.pc.handle.hex(),)
    assert not found.fixed
    assert "Home" in office.owner.get("/networks").text
    assert post(office.owner, "/networks", "/networks/requests/1/approve", name="Home").status_code == 404
    assert post(office.owner, "/networks", f"/networks/{found.id}/unregister").status_code == 303
    assert office.manager.networks.rules(HERE).registered == ()


def test_weak_networks_can_only_be_refused_with_a_reason(office: Office) -> None:
    ask(office, encryption="open")
    page = office.owner.get("/networks").text
    assert "/approve" not in page
    assert post(office.owner, "/networks", "/networks/requests/1/approve", name="x").status_code == 400
    assert post(office.owner, "/networks", "/networks/requests/1/refuse", reason=" ").status_code == 400
    assert post(office.owner, "/networks", "/networks/requests/1/refuse", reason="weak").status_code == 303
    assert "weak" in office.owner.get("/networks").text


def test_auditors_read_and_other_agencies_see_nothing(office: Office) -> None:
    ask(office)
    auditor = enter(office.app, HERE, "auditor", "auditor")
    assert "在宅勤務" in auditor.get("/networks").text
    other = enter(office.app, THERE, "other")
    assert "在宅勤務" not in other.get("/networks").text
    for path, fields in (
        ("/networks/requests/1/approve", {"name": "x"}),
        ("/networks/requests/1/refuse", {"reason": "x"}),
        ("/networks/switches", {"on": "on"}),
        ("/networks/register", {"kind": "wifi", "name": "x", "ssid": "x"}),
        ("/networks/x/unregister", {}),
        (f"/networks/locate/{office.pc.handle.hex()}", {}),
    ):
        assert post(auditor, "/networks", path, **fields).status_code == 403, path
    assert post(other, "/networks", "/networks/requests/1/refuse", reason="x").status_code == 404
    assert post(other, "/networks", f"/networks/locate/{office.pc.handle.hex()}").status_code == 404
    assert office.manager.networks.rules(HERE).registered == ()


def test_switches_and_registration_sign_a_policy(office: Office) -> None:
    assert post(office.owner, "/networks", "/networks/switches", on="on", cut_off="on").status_code == 303
    rules = office.manager.networks.rules(HERE)
    assert (rules.on, rules.cut_off, rules.warn) == (True, True, False)
    fields = {"kind": "wifi", "name": "本店", "ssid": "midori", "security": "wpa3", "fixed": "yes"}
    fields |= {"gateways": "00-1A-2B-3C-4D-5E, 00:1a:2b:3c:4d:5f", "subnets": "192.168.1.7/24"}
    assert post(office.owner, "/networks", "/networks/register", **fields).status_code == 303
    (found,) = office.manager.networks.rules(HERE).registered
    assert found.gateways == ("00:1a:2b:3c:4d:5e", "00:1a:2b:3c:4d:5f")
    assert found.subnets == ("192.168.1.0/24",)
    assert (
        post(office.owner, "/networks", "/networks/register", **{**fields, "gateways": "x"}).status_code
        == 400
    )
    assert post(office.owner, "/networks", f"/networks/locate/{office.pc.handle.hex()}").status_code == 303
    assert office.manager.commands.of_device(HERE, office.pc.handle)[0].order == "locate"
    assert "admin.network" in "".join(str(one) for one in _audited(office))


def _audited(office: Office) -> list[bytes]:
    from sqlalchemy import select

    from securepc.manager.audit.model import AuditEntry

    with office.manager.database.read() as session:
        return list(session.scalars(select(AuditEntry.entry)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "x"},
        {"security": "open"},
        {"name": ""},
        {"ssid": ""},
        {"gateways": "00:11"},
        {"subnets": "300.1.1.1"},
        {"kind": "wired", "gateways": "", "subnets": ""},
        {"device": "zz"},
        {"users": " ".join(["a"] * 51)},
    ],
)
def test_what_is_no_network_is_refused(wrong: dict[str, str]) -> None:
    good = {"kind": "wifi", "name": "x", "ssid": "x", "security": "wpa2", "gateways": "00:11:22:33:44:55"}
    assert forms.read(good).ssid == "x"
    with pytest.raises(Refusal):
        forms.read({**good, **wrong})


@pytest.mark.parametrize(
    "said", [{}, {"ssid": 7, "encryption": ["x"], "latitude": "999", "accuracy": -1}, {"no_position": 1}]
)
def test_whatever_a_pc_says_a_page_comes_of_it(office: Office, said: dict[str, Any]) -> None:
    assert words.seen(said).ssid == ""
    assert words.spot(said, "ja").map == ""
    for kind in ("network.registered", "network.unregistered", "location.fix"):
        happening = Happening(HERE, office.pc.handle, kind, 1, Event(kind, 1, 1, "00", data=said))
        with office.manager.database.write() as session:
            office.manager.networks.seen(session, happening)
    assert office.owner.get("/networks").status_code == 200
    assert office.owner.get(f"/devices/{office.pc.handle.hex()}").status_code == 200


def test_each_person_sets_their_own_address(office: Office) -> None:
    assert "No mail server is set up" in office.owner.get("/").text
    assert post(office.owner, "/mail", "/mail/me", address="a@b\r\nBcc: x@y").status_code == 400
    assert post(office.owner, "/mail", "/mail/me", address="hanako@midori.example").status_code == 303
    (found,) = office.manager.mail.recipients(HERE)
    assert found[1].address == "hanako@midori.example"
    assert office.manager.mail.recipients(THERE) == []
    assert post(office.owner, "/mail", "/mail/test").status_code == 400
    assert post(office.owner, "/mail", "/mail/me", address="").status_code == 303
    assert office.manager.mail.recipients(HERE) == []
