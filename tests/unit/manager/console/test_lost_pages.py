"""Pages of a lost PC: the one button with what it does, roles, other agencies, the dossier."""

from __future__ import annotations

import re

from browsing import HERE, THERE, Office, enter, post, until
from sqlalchemy import select
from tiny_device import now

from securepc.manager.audit.model import AuditChain
from securepc.manager.commands.model import Command
from securepc.manager.search.model import Query
from securepc.wire import codes, event


def page_of(office: Office) -> str:
    return f"/lost/{office.pc.handle.hex()}"


def orders(office: Office) -> list[str]:
    with office.manager.database.read() as session:
        return list(session.scalars(select(Command.order).order_by(Command.number)))


def test_the_button_says_what_it_does_and_does_it(office: Office) -> None:
    device = office.owner.get(f"/devices/{office.pc.handle.hex()}").text
    assert f'href="{page_of(office)}"' in device
    text = office.owner.get(page_of(office)).text
    assert "Report this PC lost" in text
    sent = {"reason": "<b>train</b>", "location": "yes", "ghost": "forbid"}
    refused = post(office.owner, page_of(office), f"{page_of(office)}/report", **{**sent, "reason": " "})
    assert refused.status_code == 400
    refused = post(office.owner, page_of(office), f"{page_of(office)}/report", **{**sent, "ghost": "destroy"})
    assert refused.status_code == 400, "destroying wants a second yes"
    assert "lock" not in orders(office)
    done = post(office.owner, page_of(office), f"{page_of(office)}/report", **sent)
    assert done.headers["location"] == page_of(office)
    assert "lock" in orders(office)
    text = office.owner.get(page_of(office)).text
    assert "Lock not delivered yet" in text
    assert "&lt;b&gt;train&lt;/b&gt;" in text
    assert "Locked, as the PC has seen" not in text
    with office.manager.database.read() as session:
        row = session.scalars(select(AuditChain).where(AuditChain.log == HERE)).one()
    assert until(lambda: office.manager.audit.seal_now(row.device))
    acts = until(lambda: list(office.manager.search.search(HERE, Query(kinds=("admin.lost",)))))
    assert (acts[0].user, "train" in acts[0].data) == ("hanako", True)


def test_release_by_order_and_by_code(office: Office) -> None:
    post(office.owner, page_of(office), f"{page_of(office)}/report", reason="x", ghost="close")
    mistyped = post(office.owner, page_of(office), f"{page_of(office)}/code", challenge="1234", reason="x")
    assert "mistyped" in mistyped.text
    challenge = codes.show(codes.new_challenge())
    shown = post(office.owner, page_of(office), f"{page_of(office)}/code", challenge=challenge, reason="x")
    assert re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", shown.text)
    post(office.owner, page_of(office), f"{page_of(office)}/release", reason="found")
    assert orders(office) == ["lock", "unlock"]


def test_an_auditor_looks_and_does_nothing(office: Office) -> None:
    auditor = enter(office.app, HERE, "kansa", "auditor")
    text = auditor.get(page_of(office)).text
    assert "Report it lost and lock it" not in text
    for act in ("report", "release", "locate", "code"):
        assert post(auditor, "/me", f"{page_of(office)}/{act}", reason="x").status_code == 403
    assert orders(office) == []


def test_another_agency_sees_nothing(office: Office) -> None:
    other = enter(office.app, THERE, "yoso")
    assert other.get(page_of(office)).status_code == 404
    assert other.get(f"{page_of(office)}/dossier.pdf").status_code == 404
    assert post(other, "/me", f"{page_of(office)}/report", reason="x", ghost="close").status_code == 404


def test_the_dossier_as_page_and_as_pdf(office: Office) -> None:
    page = office.owner.get(f"{page_of(office)}/dossier")
    assert page.status_code == 200
    assert "What this dossier cannot say" in page.text
    paper = office.owner.get(f"{page_of(office)}/dossier.pdf")
    assert paper.headers["content-type"] == "application/pdf"
    assert paper.content.startswith(b"%PDF-")


def test_the_rules_for_pcs_that_are_away(office: Office) -> None:
    assert "No PC is reported lost" in office.owner.get("/lost").text
    for hours, minutes in (("x", "5"), ("9999", "5"), ("96", "0")):
        assert post(office.owner, "/lost", "/lost/settings", hours=hours, minutes=minutes).status_code == 400
    assert post(office.owner, "/lost", "/lost/settings", hours="96", minutes="10").status_code == 303
    rules = office.manager.policies.rules(HERE)
    assert rules["doors"]["lost"] == {"lock_hours": 96, "locate_minutes": 10}
    post(office.owner, page_of(office), f"{page_of(office)}/report", reason="x", ghost="close")
    assert "Lock not delivered yet" in office.owner.get("/lost").text
    assert "Lock not delivered yet" not in enter(office.app, THERE, "yoso").get("/lost").text


def test_a_pc_that_locks_itself_is_locked_only_when_it_has_seen_that(office: Office) -> None:
    lost, device = office.manager.lost, office.pc.handle

    def told(kind: str, phase: str) -> None:
        at = now()
        told = event.Event(kind, at, 1, "ab" * 16, data={"en": f"said {at}", "how": "code"})
        office.pc.send(office.pc.seal_batch([event.to_entry(told)]))
        until(lambda: lost.standing(HERE, device).phase == phase)

    told("lock.self", "sent")
    told("lock.failed", "failed")
    assert "It locked itself" not in office.owner.get(page_of(office)).text
    told("lock.done", "self")
    assert "It locked itself" in office.owner.get("/lost").text
    told("lock.released", "free")
