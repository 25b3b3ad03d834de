"""The page of the web filter: what an administrator writes there, what is refused, who may."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import HERE, THERE, Office, enter, post
from sqlalchemy import select

from securepc.manager.audit.model import AuditEntry
from securepc.wire.policy import read_rules


@pytest.fixture(autouse=True)
def japanese(office: Office) -> None:
    office.owner.headers["Accept-Language"] = "ja"


def add(office: Office, kind: str, rule: str) -> int:
    return int(post(office.owner, "/web", f"/web/{kind}/add", rule=rule).status_code)


def test_what_is_written_becomes_the_policy(office: Office) -> None:
    assert "Webフィルターは無効です" in office.owner.get("/web").text
    assert add(office, "block", "https://Files.Example.com/") == 303
    assert add(office, "allow", "midori.app.box.com") == 303
    assert add(office, "mail_servers", "smtp.midori.example") == 303
    form: dict[str, Any] = {"on": "on", "mail": "on", "category": ["webmail", "storage", "nonsense"]}
    assert post(office.owner, "/web", "/web/switches", **form).status_code == 303
    web = read_rules(office.manager.policies.rules(HERE)).doors.web
    assert (web.on, web.mail, web.categories) == (True, True, ("webmail", "storage"))
    assert (web.block, web.allow) == (("files.example.com",), ("midori.app.box.com",))
    assert web.mail_servers == ("smtp.midori.example",)
    # Other doors of the policy stay as they were, and every act is an entry with what was changed.
    assert read_rules(office.manager.policies.rules(HERE)).doors.networks.on is False
    with office.manager.database.read() as session:
        told = b"".join(session.scalars(select(AuditEntry.entry)))
    assert b"doors.web.allow" in told and b"+ midori.app.box.com" in told
    page = office.owner.get("/web").text
    assert "files.example.com" in page and "smtp.midori.example" in page
    assert post(office.owner, "/web", "/web/allow/remove", rule="midori.app.box.com").status_code == 303
    assert office.manager.web.rules(HERE).allow == ()


@pytest.mark.parametrize(
    ("kind", "rule", "said"),
    [
        ("block", "192.0.2.1", "IPアドレス"),
        ("block", "jp", "範囲が広すぎます"),
        ("allow", "a b", "読み取れません"),
        ("allow", "x.example/?q", "使えません"),
        ("mail_servers", "smtp example", "読み取れません"),
        ("block", "<script>alert(1)</script>.jp", "読み取れません"),
    ],
)
def test_what_is_no_rule_is_refused_in_a_sentence(office: Office, kind: str, rule: str, said: str) -> None:
    answer = post(office.owner, "/web", f"/web/{kind}/add", rule=rule)
    assert answer.status_code == 400
    assert said in answer.text and "<script>alert" not in answer.text
    assert office.manager.policies.current(HERE, b"") is None or not office.manager.web.rules(HERE).block


def test_what_would_hurt_is_refused(office: Office) -> None:
    assert post(office.owner, "/web", "/web/switches", on="on", mail="on").status_code == 400
    assert not office.manager.web.rules(HERE).on
    assert add(office, "mail_servers", "192.0.2.25") == 303
    assert add(office, "mail_servers", "192.0.2.25") == 400
    assert post(office.owner, "/web", "/web/switches", on="on", mail="on").status_code == 303
    answer = post(office.owner, "/web", "/web/mail_servers/remove", rule="192.0.2.25")
    assert answer.status_code == 400 and "最後のメールサーバー" in answer.text
    office.manager.address = "https://manager.midori.example"
    answer = post(office.owner, "/web", "/web/block/add", rule="midori.example")
    assert answer.status_code == 400 and "マネージャー" in answer.text
    assert add(office, "nonsense", "a.example") == 404


def test_the_list_is_searched_by_name_and_by_host(office: Office) -> None:
    page = office.owner.get("/web", params={"q": "ギガ"}).text
    assert "gigafile.nu" not in page
    page = office.owner.get("/web", params={"q": "GigaFile"}).text
    assert "gigafile.nu" in page and "dropbox.com</code>" not in page
    page = office.owner.get("/web", params={"q": "https://www.dropbox.com/home"}).text
    assert "www.dropbox.com は遮断の対象です(Dropbox)" in page
    assert (
        "example.jp はホスト名では遮断されません" in office.owner.get("/web", params={"q": "example.jp"}).text
    )
    add(office, "allow", "dropbox.com")
    page = office.owner.get("/web", params={"q": "dropbox"}).text
    assert "例外: dropbox.com" in page
    english = office.owner.get("/web", headers={"Accept-Language": "en"}).text
    assert "dropbox.com" in english


def test_each_pc_says_what_it_does(office: Office) -> None:
    assert "まだ報告がありません" in office.owner.get("/web").text
    said = {
        "state": "partly",
        "ja": "Chromium では別の<b>ファイル</b>が優先されます。",
        "en": "another file goes before ours",
        "at": 1_795_401_253_123_456,
        "data": {"browsers": {"Chromium": False, "Firefox": True}},
    }
    office.pc.heartbeat(doors={"web": said})
    office.manager.presence.flush()
    page = office.owner.get("/web").text
    assert "一部のみ" in page
    assert "別の&lt;b&gt;ファイル" in page and "Chromium: 未適用" in page
    office.pc.heartbeat(doors={"web": {"state": [1], "ja": {}, "at": "x", "data": {"browsers": [1]}}})
    office.manager.presence.flush()
    assert office.owner.get("/web").status_code == 200


def test_auditors_read_and_other_agencies_have_their_own(office: Office) -> None:
    assert add(office, "block", "ours.example") == 303
    auditor = enter(office.app, HERE, "auditor", "auditor")
    page = auditor.get("/web")
    assert "ours.example" in page.text and "/web/block/add" not in page.text
    assert post(auditor, "/web", "/web/block/add", rule="x.example").status_code == 403
    assert post(auditor, "/web", "/web/switches").status_code == 403
    other = enter(office.app, THERE, "other")
    assert "ours.example" not in other.get("/web").text
    assert office.manager.web.rules(THERE).block == ()
