"""Every page on a real manager with a real device's entries."""

from __future__ import annotations

import html
import io
import re
import time
import zipfile
from pathlib import Path

import pytest
from browsing import HERE, THERE, Office, created, enter, name, post, until
from sqlalchemy import select
from tiny_device import Device, now

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.alerts.model import Alert
from securepc.manager.audit.model import AuditEntry
from securepc.manager.ingest.opened import Provisional
from securepc.verify import __main__ as verify
from securepc.wire import event

PAGES = (
    "/",
    "/devices",
    "/devices/add",
    "/devices/{pc}",
    "/search",
    "/search?text=見積",
    "/entries/{pc}.1",
    "/files?device={pc}&name=/home/suzuki/見積書.xlsx&at=4000000000000000",
    "/ledger",
    "/keys",
    "/alerts",
    "/policy",
    "/accounts",
    "/me",
)


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_page_in_both_languages(office: Office, language: str) -> None:
    post(office.owner, "/me", "/language", language=language, next="/")
    for path in PAGES:
        answer = office.owner.get(path.format(pc=office.pc.handle.hex()))
        assert answer.status_code == 200, path
        page = answer.text
        assert f'<html lang="{language}">' in page
        assert page.count("<h1>") == 1 and page.count('<main id="main"') == 1, path
        assert "{{" not in page and "%(" not in page, path
        assert "<b>evil</b>" not in page
        japanese = len(re.findall(r"[ぁ-ん]", re.sub(r"<option.*?</option>", "", page)))
        assert (japanese > 20) if language == "ja" else (japanese <= 40), (path, japanese)


def test_admins_order_pcs_to_change_their_keys(office: Office) -> None:
    """One order a PC at a time; nobody else's PC."""
    handle = office.pc.handle.hex()
    ordered = [post(office.owner, "/keys", "/keys/devices", device=handle).headers["location"]]
    ordered.append(post(office.owner, "/keys", "/keys/devices").headers["location"])
    assert ordered == ["/keys?ordered=1#pcs", "/keys?ordered=0#pcs"]
    assert post(office.owner, "/keys", "/keys/devices", device="0" * 32).status_code == 404
    page = office.owner.get("/keys").text
    assert f'value="{handle}"' in page
    manager = office.manager
    (row,) = manager.commands.of_device(manager.devices.agencies()[0], office.pc.handle)
    assert (row.order, row.state) == ("rotate-key", "waiting")


def test_a_search_finds_and_leads_to_the_entry(office: Office) -> None:
    handle = office.pc.handle.hex()
    found = office.owner.get("/search", params={"text": "見積書", "device": handle, "kind": "file.*"})
    assert found.text.count('class="entry"') == 1
    assert f'href="/entries/{handle}.1"' in found.text
    for nothing in ({"text": "no such file"}, {"user": "nobody"}, {"to": "2020-01-01T00:00"}):
        assert "Nothing was found" in office.owner.get("/search", params=nothing).text
    page = office.owner.get(f"/entries/{handle}.2").text
    assert "&lt;b&gt;evil&lt;/b&gt;&amp;.txt" in page
    assert "Checked just now" in page and "48.2 kB (48,211 B)" in page
    assert page.count('class="entry"') == 2 and page.count('class="entry this"') == 1


def test_an_entry_leads_to_the_history_of_its_file(office: Office) -> None:
    handle = office.pc.handle.hex()
    page = office.owner.get(f"/entries/{handle}.1").text
    [link] = re.findall(r'href="(/files\?[^"]+)"', page)
    history = office.owner.get(html.unescape(link))
    assert history.status_code == 200
    assert "/home/suzuki/見積書.xlsx" in history.text and f'href="/entries/{handle}.1"' in history.text
    assert f'href="/entries/{handle}.2"' not in history.text
    until(lambda: "file=/home/suzuki/見積書.xlsx" in office.owner.get("/search?kind=admin.search").text)
    asked = {"device": handle, "name": "/nowhere", "at": "1"}
    assert "Nothing is recorded of this file" in office.owner.get("/files", params=asked).text
    for wrong in ({"device": ""}, {"name": ""}, {"at": ""}, {"device": "ff"}, {"at": "x"}, {"name": "\x01"}):
        answer = office.owner.get("/files", params={**asked, **wrong})
        assert answer.status_code in (400, 404) and "<h1>" in answer.text, wrong


def test_what_administrators_did_is_found_where_it_is_asked_for(office: Office) -> None:
    own = "Signed in"
    until(lambda: own in office.owner.get("/search?device=all").text.split("<ol")[-1])
    assert own not in office.owner.get("/search").text.split("<ol")[-1]
    assert own in office.owner.get("/search?kind=admin.signin").text.split("<ol")[-1]
    assert "見積書" in office.owner.get("/search").text


def test_times_of_a_search_are_the_viewers(office: Office) -> None:
    def found(start: str) -> bool:
        return (
            "見積書"
            in office.owner.get("/search", params={"from": start, "text": "見積"}).text.split("<ol")[-1]
        )

    hour_ahead = office.manager.search.entry(HERE, name(office.pc, 1)).happened // 1_000_000 + 3600
    in_tokyo = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(hour_ahead + 9 * 3600))
    assert not found(in_tokyo)
    post(office.owner, "/me", "/me", zone="Pacific/Kiritimati")  # 14 hours ahead of UTC: 5 earlier
    assert found(in_tokyo)


def test_a_wrong_search_says_what_is_wrong(office: Office) -> None:
    for parameters in ({"from": "yesterday"}, {"device": "nobody's"}, {"before": "x"}, {"text": "a\x00b"}):
        answer = office.owner.get("/search", params=parameters)
        assert answer.status_code == 400 and 'role="alert"' in answer.text, parameters


def test_pages_go_on_without_an_end(office: Office) -> None:
    first = 4
    for _ in range(3):
        lines = [created(f"/home/suzuki/{i}.txt", now() - i) for i in range(120)]
        office.manager.opener.announce(Provisional(HERE, office.pc.handle, bytes(16), 2, first, lines, now()))
        first += len(lines)
    handle = office.pc.handle.hex()
    path, seen = f"/search?device={handle}", []
    headers = {}
    while path:
        html = office.owner.get(path, headers=headers).text
        seen += re.findall(r'href="/entries/([0-9a-f]{32}\.\d+)"', html)
        more = re.search(r'hx-get="(/search[^"]+)"', html)
        path = more[1].replace("&amp;", "&") if more else ""
        assert ("<html" in html) is (not headers), "a page that goes on is only its lines"
        headers = {"HX-Request": "true"}
    assert len(seen) == len(set(seen)) == 363
    with_js = office.owner.get(f"/search?device={handle}").text
    older = re.search(r'<a class="button" href="(/search[^"]+before[^"]+)"', with_js)
    assert older and "<html" in office.owner.get(older[1].replace("&amp;", "&")).text


def test_what_waits_for_its_seal_is_marked(office: Office) -> None:
    lines = [created("/home/suzuki/new.txt", now())]
    office.pc.announce(lines)
    page = office.owner.get("/search?text=new.txt").text
    assert "Waiting for seal" in page
    shown = office.owner.get(f"/entries/{office.pc.handle.hex()}.4").text
    assert "Waiting for seal" in shown and "not sealed it yet" in shown and "Checked just now" not in shown
    home = office.owner.get("/").text
    assert "1 waits for its seal" in home


def test_evidence_from_the_console_verifies(office: Office, tmp_path: Path) -> None:
    handle = office.pc.handle.hex()
    trust = tmp_path / "policy"
    trust.write_bytes(office.owner.get("/ledger/trust/policy").content)
    today = office.owner.get(f"/devices/{handle}").text
    day = re.search(r'name="first" value="([0-9-]+)"', today)
    assert day
    for page, path, fields in (
        (f"/entries/{handle}.1", f"/entries/{handle}.1/evidence", {}),
        ("/search", "/search/evidence", {"device": handle, "text": "suzuki"}),
        (f"/devices/{handle}", f"/devices/{handle}/evidence", {"first": "2026-01-01", "last": day[1]}),
    ):
        answer = post(office.owner, page, path, **fields)
        assert answer.status_code == 200, path
        assert answer.headers["Content-Type"] == "application/zip"
        assert re.search(r'filename="evidence-[\w-]+\.zip"', answer.headers["Content-Disposition"])
        pack = tmp_path / "evidence.zip"
        pack.write_bytes(answer.content)
        assert sorted(zipfile.ZipFile(io.BytesIO(answer.content)).namelist()) == [
            "batches.jsonl",
            "checkpoint.txt",
            "evidence.json",
        ]
        assert verify.main([str(pack), "--trust", str(trust)]) == 0
    for path in (f"/entries/{handle}.99/evidence", "/entries/nonsense/evidence"):
        refused = post(office.owner, "/search", path)
        assert refused.status_code == 404 and "<h1>" in refused.text


def test_the_trust_file_names_this_agency_only(office: Office) -> None:
    policy = office.owner.get("/ledger/trust/policy").text
    assert HERE.hex() in policy and THERE.hex() not in policy and "quorum" in policy
    assert office.owner.get("/ledger/trust/genesis.json").json()


def test_what_people_look_at_is_recorded(office: Office) -> None:
    office.owner.get("/search?text=見積")
    office.owner.get(f"/entries/{office.pc.handle.hex()}.1")
    post(office.owner, "/search", f"/entries/{office.pc.handle.hex()}.1/evidence")
    with office.manager.database.read() as session:
        kinds = [event.from_entry(row).kind for row in session.scalars(select(AuditEntry.entry))]  # type: ignore[union-attr]
    found = office.owner.get("/search", params={"kind": "admin.*", "user": "hanako"}).text
    for kind, title in (("admin.search", "Searched logs"), ("admin.view", "Viewed an entry"),
                        ("admin.export", "Exported evidence")):  # fmt: skip
        assert kind in kinds or title in found


def test_the_life_of_a_pc(office: Office) -> None:
    shown = post(
        office.owner, "/devices/add", "/devices/add", label="営業", uses="1", days="7", approval="yes"
    )
    token = re.search(r"securepc agent enrol (spc1_[\w-]+)", shown.text)
    assert token
    new = Device(token[1], name="新しいPC")
    new.http = office.pc.http
    assert new.ask().status_code == 202
    page = f"/devices/{new.handle.hex()}"
    assert "asks to join" in office.owner.get(page).text
    assert "1 PC waits for your approval" in office.owner.get("/").text
    assert post(office.owner, page, f"{page}/decide", approve="yes").status_code == 303
    until(lambda: new.ask().status_code == 201)
    new.enrol()
    new.heartbeat(
        collectors={"files": {"state": "running", "ja": "", "en": ""},
                    "<i>x</i>": {"state": "<i>y</i>", "en": "<i>z</i>"}, "odd": 7},
        policy={"version": "1.1"}, queue={"unsent": 2}, journal={"lost": "many", "trouble": ""},
    )  # fmt: skip
    office.manager.presence.flush()
    html = office.owner.get(page).text
    assert "Recording" in html and "&lt;i&gt;x&lt;/i&gt;" in html and "<i>" not in html
    assert "2 batches" in html
    assert post(office.owner, page, f"{page}/rename", name="受付", user="加藤").status_code == 303
    assert "<h1>受付" in office.owner.get(page).text
    assert post(office.owner, page, f"{page}/rename", name=" ").status_code == 400
    assert post(office.owner, page, f"{page}/revoke", reason="").status_code in (400, 422)
    assert post(office.owner, page, f"{page}/revoke", reason="故障のため交換").status_code == 303
    assert "Revoked" in office.owner.get(page).text


@pytest.mark.parametrize("fields", [{"uses": "0"}, {"uses": "x"}, {"days": "9999"}, {"uses": "٣"}])
def test_a_wrong_token_form(office: Office, fields: dict[str, str]) -> None:
    answer = post(office.owner, "/devices/add", "/devices/add", **{"uses": "1", "days": "1", **fields})
    assert answer.status_code == 400 and "whole number" in answer.text


def test_alerts_are_shown_and_closed(office: Office) -> None:
    with office.manager.database.write() as session:
        alerts.raise_alert(session, HERE, "unreadable", office.pc.handle, {"reason": "<b>x"})
        alerts.raise_alert(session, THERE, "unreadable", b"", {"reason": "theirs"})
        alerts.raise_alert(session, HERE, "gap", office.pc.handle, level="notice", count=3)
    page = office.owner.get("/alerts").text
    assert "&lt;b&gt;x" in page and "theirs" not in page and "営業-01" in page
    with office.manager.database.read() as session:
        rows = {row.log: row.id for row in session.scalars(select(Alert).where(Alert.code == "unreadable"))}
    assert post(office.owner, "/alerts", f"/alerts/{rows[THERE]}/close").status_code == 404
    assert post(office.owner, "/alerts", f"/alerts/{rows[HERE]}/close").status_code == 303
    auditor = enter(office.app, HERE, "ken", "auditor")
    assert post(auditor, "/me", f"/alerts/{rows[HERE]}/close").status_code == 403


def test_alerts_of_the_whole_manager_are_for_the_agency_that_runs_it(office: Office) -> None:
    with office.manager.database.write() as session:
        alerts.raise_alert(session, b"", "follower", data={"name": "of-the-operator", "error": "x"})
        row = session.scalars(select(Alert).where(Alert.code == "follower")).one().id
    assert "of-the-operator" in office.owner.get("/alerts").text
    stranger = enter(office.app, THERE, "jiro")
    assert "of-the-operator" not in stranger.get("/alerts").text
    assert post(stranger, "/alerts", f"/alerts/{row}/close").status_code == 404


def test_another_agency_sees_none_of_it(office: Office) -> None:
    stranger = enter(office.app, THERE, "jiro")
    handle = office.pc.handle.hex()
    for path in (f"/devices/{handle}", f"/entries/{handle}.1"):
        assert stranger.get(path).status_code == 404, path
    for path in ("/", "/devices", "/search", "/search?text=見積", "/ledger", "/alerts"):
        page = stranger.get(path).text
        assert "営業-01" not in page and "見積書" not in page and handle not in page, path
    assert "見積書" not in stranger.get(f"/search?device={handle}").text
    for path, fields in (
        (f"/devices/{handle}/rename", {"name": "x"}),
        (f"/devices/{handle}/revoke", {"reason": "x"}),
        (f"/devices/{handle}/decide", {"approve": "no"}),
        (f"/devices/{handle}/evidence", {"first": "2026-01-01", "last": "2026-12-31"}),
        (f"/entries/{handle}.1/evidence", {}),
        ("/search/evidence", {"device": handle}),
    ):
        assert post(stranger, "/me", path, **fields).status_code == 404, path


def test_an_auditor_reads_and_changes_nothing(office: Office) -> None:
    auditor = enter(office.app, HERE, "ken", "auditor")
    handle = office.pc.handle.hex()
    for path in PAGES:
        wanted = 403 if path == "/devices/add" else 200
        assert auditor.get(path.format(pc=handle)).status_code == wanted, path
    for path in (
        f"/devices/{handle}/rename",
        f"/devices/{handle}/revoke",
        f"/devices/{handle}/decide",
        "/devices/add",
    ):
        assert post(auditor, "/me", path, name="x", reason="x", approve="no").status_code == 403, path
    assert post(auditor, "/me", f"/entries/{handle}.1/evidence").status_code == 200


def test_an_administrator_changes_what_is_recorded(office: Office) -> None:
    page = office.owner.get("/policy").text
    off = page.count("Nothing of this kind is recorded")  # by default
    assert "1.1" in page
    on = dict.fromkeys(("files", "processes", "hash", "power", "network", "prints", "media"), "on")
    assert post(office.owner, "/policy", "/policy", **on).status_code == 303
    collect = office.manager.policies.rules(HERE)["collect"]
    assert collect["sessions"]["on"] is False and collect["processes"]["command"] is False
    assert collect["files"] == {"on": True, "paths": [], "exclude": []}, "the rest stays"
    page = office.owner.get("/policy").text
    assert page.count("Nothing of this kind is recorded") == off + 1 and "1.2" in page
    assert post(office.owner, "/policy", "/policy", **on).status_code == 303
    assert len(office.manager.policies.versions(HERE)) == 2, "no new version without a change"
    assert office.manager.policies.rules(THERE)["collect"]["sessions"]["on"] is True
    auditor = enter(office.app, HERE, "ken", "auditor")
    assert post(auditor, "/me", "/policy", **on).status_code == 403


def test_pages_that_refresh_themselves_do_not_keep_a_session_alive(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ahead = clock.now, [0]
    monkeypatch.setattr(clock, "now", lambda: real() + ahead[0])
    for path in ("/", "/devices"):
        assert "SecurePC-Background" in office.owner.get(path).text
    for _ in range(5):
        ahead[0] += 10 * clock.MINUTE
        answer = office.owner.get("/", headers={"HX-Request": "true", "SecurePC-Background": "1"})
        assert answer.status_code == 200
    ahead[0] += 10 * clock.MINUTE
    answer = office.owner.get("/", headers={"HX-Request": "true", "SecurePC-Background": "1"})
    assert answer.status_code == 204 and answer.headers["HX-Redirect"] == "/sign-in"


HOSTILE = (
    b"not json at all \xff\xfe",
    b'{"kind":"file.create","at":-5,"up":"x"}',
    b'{"kind":"file.create","at":253402300799999999,"up":1,"boot":"","data":{"path":"last"}}',
    b'{"kind":"file.create","at":%d,"up":1,"boot":"","data":{"path":"\\ud800","size":1e300}}',
    b'{"kind":"file.create","at":%d,"up":1,"boot":"","data":{"since":9007199254740991,"ran":-1,"size":-3}}',
    b'{"kind":"<script>","at":%d,"up":0,"boot":"<b>","user":"<i>","result":"<u>","policy":"<s>","data":{}}',
    b'{"kind":"","at":%d,"up":1,"boot":"","user":"%%(count)s {{7*7}} %%s","data":{"<em>":["<q>",{"a":1}]}}',
    b'{"kind":"file.rename","at":%d,"up":1,"boot":"","data":{"from":1,"to":null,"command":{"a":[]}}}',
    b'{"kind":"x","at":%d,"up":1,"boot":"","data":{"d":' + b"[" * 500 + b"]" * 500 + b"}}",
    b'{"kind":"x","at":%d,"up":1,"boot":"","data":"no object"}',
)


def test_whatever_a_pc_sends_a_page_comes_of_it(office: Office) -> None:
    at = now()
    entries = [each.replace(b"%d", str(at).encode()).replace(b"%%", b"%") for each in HOSTILE]
    office.pc.send(office.pc.seal_batch(entries))
    until(lambda: len(office.manager.search.between(HERE, office.pc.handle, 4, 99)) == len(entries))
    handle = office.pc.handle.hex()
    for path in (
        "/",
        f"/search?device={handle}",
        *(f"/entries/{handle}.{n}" for n in range(4, 4 + len(entries))),
    ):
        answer = office.owner.get(path)
        assert answer.status_code == 200, (path, answer.text[-300:])
        for tag in ("<script>", "<em>", "<q>", "<u>", "<s>", "<i>"):
            assert tag not in answer.text, (path, tag)


def test_text_that_reorders_or_hides_itself_is_shown_as_it_is(office: Office) -> None:
    """請求書<U+202E>fdp.exe would be read as 請求書exe.pdf, on any page that shows it."""
    pc = office.pc
    pc.send(pc.seal_batch([created("/home/suzuki/請求書\u202efdp.exe", now(), note="a\u200bb\u0007")]))
    entry = name(pc, 4)
    until(lambda: office.manager.search.entry(HERE, entry))
    office.manager.devices.rename(HERE, pc.handle, "営業\u202e10", "", actor="hanako")
    for path in ("/", "/search", f"/entries/{entry}", "/devices", f"/devices/{pc.handle.hex()}"):
        page = office.owner.get(path).text
        assert not {"\u202e", "\u200b", "\x07"} & set(page), path
        assert "\\u{202e}" in page, path
