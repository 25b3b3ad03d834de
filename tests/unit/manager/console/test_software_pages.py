"""Software and state in the console: what PCs tell, what is decided, what becomes of it."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from browsing import HERE, THERE, Office, enter, post, until
from software_told import CHROME, MINER, PROGRAMS, STATES, VIM, everything, inventory, told
from sqlalchemy import select

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.audit.model import AuditEntry
from securepc.manager.commands.model import Command
from securepc.manager.software.model import SoftwareRemoval
from securepc.manager.software.ruling import parse, text_of
from securepc.wire import software
from securepc.wire.doors import SoftwareRule

PAGES = (
    "/software",
    "/software/programs",
    "/software/programs?text=vim",
    "/software/program?source=dpkg&name=vim",
    "/software/support",
    "/software/updates",
    "/software/removals",
    "/software/rules",
    "/software/pcs/{pc}",
    "/devices/{pc}",
)


@pytest.fixture
def shop(office: Office) -> Office:
    """An office whose PC told everything."""
    office.manager.sequencer._interval = 0.02  # type: ignore[attr-defined]  # a block a second would take minutes
    everything(office.pc)
    until(lambda: office.manager.software.violations(HERE))
    post(office.owner, "/me", "/language", language="ja", next="/")
    return office


def handle(shop: Office) -> str:
    return shop.pc.handle.hex()


def programs(shop: Office) -> set[tuple[str, str]]:
    return {(row.name, row.version) for row in shop.manager.software.of_device(HERE, shop.pc.handle)}


def send(shop: Office, *entries: bytes) -> None:
    shop.pc.send(shop.pc.seal_batch(list(entries)))


def state_of(shop: Office, kind: str) -> Any:
    return shop.manager.software.pcs(HERE)[shop.pc.handle].states[kind]["data"]["state"]


def codes(shop: Office) -> set[str]:
    with shop.manager.database.read() as session:
        return {row.code for row in alerts.open_alerts(session, HERE) if row.code.startswith("software")}


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_page_in_both_languages(shop: Office, language: str) -> None:
    post(shop.owner, "/me", "/language", language=language, next="/")
    send(shop, told("software.request", "suzuki", software="zoom", reason="<b>会議</b>"))
    until(lambda: shop.manager.software.requests(HERE))
    for path in PAGES:
        answer = shop.owner.get(path.format(pc=handle(shop)))
        assert answer.status_code == 200, path
        html = answer.text
        assert "{{" not in html and "%(" not in html and "<b>会議" not in html, path
        japanese = len(re.findall(r"[ぁ-ん]", re.sub(r"<option.*?</option>", "", html)))
        assert (japanese > 20) if language == "ja" else (japanese <= 40), (path, japanese)


def test_the_overview_says_what_is_to_be_done(shop: Office) -> None:
    html = shop.owner.get("/software").text
    for sentence in (
        "許可外: xmrig",
        "サポート終了: Debian 10, Google Chrome 140",
        "アカウント: パスワードなしで利用可能",
        "ディスク: 暗号化されていません",
        "ウイルス対策: 見つかりません",
        "未適用の更新 2件(うちセキュリティ 1件)",
        "再起動が必要",
    ):
        assert sentence in html
    assert "ファイアウォール:" not in html
    page = shop.owner.get(f"/software/pcs/{handle(shop)}").text
    assert "SN-001" in page and "許可されていません" not in page.split("<tbody>")[0]
    assert shop.owner.get("/software/updates").text.count("libssl3") == 1
    assert "2022-09-10" in shop.owner.get("/software/support").text
    shop.manager.software.look()
    assert codes(shop) == {
        "software-violation",
        "software-antivirus",
        "software-encryption",
        "software-password",
        "software-unsupported",
    }
    # What is mended closes by itself.
    send(
        shop,
        told("software.encryption", state="encrypted", volumes={"/": "encrypted"}),
        told("software.accounts", state="ok", administrators=["root"], unprotected=[], autologon=[]),
        told("software.removed", software="xmrig", arch="amd64", version="6.2", source="dpkg"),
    )
    until(lambda: "software-violation" not in codes(shop))
    assert codes(shop) == {"software-antivirus", "software-unsupported"}


def test_changes_apply_and_what_does_not_agree_is_asked_for_anew(shop: Office) -> None:
    newer = CHROME._replace(version="151.0-1")
    after = [newer, VIM, *PROGRAMS[3:]]
    send(
        shop,
        told("software.updated", software=CHROME.name, arch="amd64", version="151.0-1", source="dpkg"),
        told("software.removed", software=MINER.name, arch="amd64", version="6.2", source="dpkg"),
        told("software.state", report=software.digest(after), count=len(after)),
    )
    until(lambda: ("xmrig", "6.2") not in programs(shop))
    assert programs(shop) == {(one.name, one.version) for one in after}
    assert shop.manager.software.pcs(HERE)[shop.pc.handle].in_step
    send(shop, told("software.state", report="00" * 32, count=1))
    until(lambda: not shop.manager.software.pcs(HERE)[shop.pc.handle].in_step)
    send(shop, told("software.state", report="00" * 32, count=1))
    orders = shop.manager.commands.of_device(HERE, shop.pc.handle)
    assert [one.order for one in orders] == ["software.report"]
    send(shop, *inventory([VIM]))
    until(lambda: shop.manager.software.pcs(HERE)[shop.pc.handle].in_step)
    assert programs(shop) == {("vim", "2:9.0")}


def test_an_inventory_is_taken_whole_or_not_at_all(shop: Office) -> None:
    before = programs(shop)
    many = [VIM._replace(name=f"package-{n}") for n in range(900)]
    parts = inventory(many)
    assert len(parts) > 2
    send(shop, *parts[:-1])
    marker = told("software.firewall", state="off")
    send(shop, marker)
    until(
        lambda: (
            shop.manager.software.pcs(HERE)[shop.pc.handle].states["software.firewall"]["data"]["state"]
            == "off"
        )
    )
    assert programs(shop) == before
    send(shop, parts[-1])
    until(lambda: len(programs(shop)) == 900)


def test_whatever_a_pc_says_pages_come_of_it(shop: Office) -> None:
    hostile = [
        told("software.inventory", report="00" * 32, part=1, parts=1, programs=[["x"], None, {}, [1] * 7]),
        told("software.inventory", report="x", part=1, parts=1, programs=[]),
        told("software.inventory", report="00" * 32, part=2, parts=1, programs=[]),
        told("software.inventory", report="00" * 32, part=1, parts=10**9, programs=[]),
        told("software.inventory", report=5, part="1", parts=None, programs="x"),
        told("software.installed", software=["x"], source=5),
        told("software.updates", state=["x"], updates="x", count=-1, security=2**70, reboot=[5], lists="x"),
        told(
            "software.updates",
            state="odd",
            updates=[[1, 2, 3, 4], "x", ["a", "b", "c", 1]],
            reboot=[["x", "y"]],
        ),
        told("software.hardware", hardware=["x"], os={"a": 1}),
        told(
            "software.hardware",
            hardware={"os_id": 5, "disks": [5, {"size": "x"}], "macs": "x", "memory": "x"},
        ),
        told("software.accounts", state=None, administrators={"a": 1}, unprotected=5),
        told("software.antivirus", state="x" * 5_000, ja=5, en=["x"]),
        told("software.violation", software="x" * 5_000, until="soon"),
        told("software.removal", command_id="1", state="gone"),
        told("software.removal", command_id="９", state="gone"),
        told("software.request", software=5),
        told("process.violation", exe=5),
    ]
    send(shop, *hostile, told("software.firewall", state="off"))
    until(lambda: state_of(shop, "software.firewall") == "off")
    for path in (*PAGES, "/software/assets.csv", "/software/programs.csv"):
        assert shop.owner.get(path.format(pc=handle(shop))).status_code in (200, 404), path
    shop.manager.software.look()
    with shop.manager.database.read() as session:
        assert "happening" not in {row.code for row in alerts.open_alerts(session, HERE)}


def test_a_removal_is_ordered_and_followed(shop: Office) -> None:
    page = "/software/program?source=dpkg&name=xmrig"
    form = {"source": "dpkg", "name": "xmrig", "device": handle(shop), "hours": "2", "remove": "on"}
    assert post(shop.owner, page, "/software/program", **form).status_code == 303
    (row, state), *rest = shop.manager.software.removals(HERE)
    assert (rest, state) == ([], "waiting")
    with shop.manager.database.read() as session:
        command = session.get(Command, row.number)
        assert command is not None
        assert command.args == {"name": "xmrig", "source": "dpkg", "hours": 2, "remove": True}
        assert command.expires - command.issued > 2 * clock.HOUR
    assert "すでに指示" in post(shop.owner, "/software/rules", "/software/program", **form).text
    number = str(row.number)
    for said in ("told", "waiting", "gone"):
        send(
            shop,
            told(
                "software.removal",
                command_id=number,
                software="xmrig",
                state=said,
                until=now_later(),
                ja="説明",
                en="x",
            ),
        )
        until(lambda said=said: shop.manager.software.removals(HERE)[0][1] == said)
    assert "削除を確認" in shop.owner.get("/software/removals").text
    send(shop, told("command.done", command_id=number, order="software.remove", observed="gone"))
    with shop.manager.database.read() as session:
        acts = [row.entry for row in session.scalars(select(AuditEntry).where(AuditEntry.log == HERE))]
    assert any(b"software.remove" in act and b"xmrig" in act for act in acts)


def now_later() -> int:
    return clock.now() + clock.HOUR


def test_a_removal_that_fails_says_why_and_is_an_alert(shop: Office) -> None:
    number = shop.manager.software.order(
        HERE, shop.pc.handle, "dpkg", "vim", hours=0, remove=True, actor="test"
    )
    send(
        shop,
        told(
            "command.failed",
            command_id=str(number),
            order="software.remove",
            ja="ほかも消えます。",
            en="others",
        ),
    )
    until(lambda: shop.manager.software.removals(HERE)[0][1] == "failed")
    assert "ほかも消えます。" in shop.owner.get("/software/removals").text
    assert "software-removal" in codes(shop)


def test_what_is_asked_for_is_decided_by_an_administrator(shop: Office) -> None:
    send(
        shop,
        told("software.request", "suzuki", software="zoom", reason="会議"),
        told("software.request", "suzuki", software="game", reason="?"),
    )
    until(lambda: len(shop.manager.software.requests(HERE)) == 2)
    numbers = {row.name: row.id for row in shop.manager.software.requests(HERE)}
    shop.manager.software.change_rules(HERE, {"approve": True, "deny": [{"name": "game"}]}, actor="test")
    auditor = enter(shop.app, HERE, "audit", "auditor")
    assert (
        post(auditor, "/software/removals", f"/software/requests/{numbers['zoom']}", allow="yes").status_code
        == 403
    )
    other = enter(shop.app, THERE, "other")
    assert (
        post(other, "/software/rules", f"/software/requests/{numbers['zoom']}", allow="yes").status_code
        == 404
    )
    post(shop.owner, "/software/removals", f"/software/requests/{numbers['zoom']}", allow="yes")
    page = f"/software/requests/{numbers['game']}"
    assert post(shop.owner, "/software/removals", page, allow="yes").status_code == 400  # a rule forbids it
    post(shop.owner, "/software/removals", page, allow="no")
    rules = shop.manager.software.rules(HERE)
    assert [one.name for one in rules.allow] == ["zoom"]
    states = {row.name: row.state for row in shop.manager.software.requests(HERE)}
    assert states == {"zoom": "allowed", "game": "refused"}
    sent = [one.args for one in shop.manager.commands.of_device(HERE, shop.pc.handle)]
    assert all("申請された" in args["text"] for args in sent) and len(sent) == 2
    assert "software-request" not in codes(shop)


def test_allowing_one_program_forbids_no_other(shop: Office) -> None:
    send(shop, told("software.request", "suzuki", software="zoom", reason="会議"))
    (row,) = until(lambda: shop.manager.software.requests(HERE))
    post(shop.owner, "/software/removals", f"/software/requests/{row.id}", allow="yes")
    assert shop.manager.software.requests(HERE)[0].state == "allowed"
    assert shop.manager.software.rules(HERE).allow == ()


def test_rules_are_lines_and_part_of_the_signed_policy(shop: Office) -> None:
    before = shop.manager.policies.current(HERE, b"")
    form: dict[str, Any] = {"on": "on", "hours": "48", "baseline": "on", "remove": "on"}
    form |= {"deny": "anydesk* | | 遠隔操作\n\n*|*Evil Corp*", "allow": "libreoffice*"}
    assert post(shop.owner, "/software/rules", "/software/rules", **form).status_code == 303
    rules = shop.manager.software.rules(HERE)
    assert rules.deny == (
        SoftwareRule(name="anydesk*", reason="遠隔操作"),
        SoftwareRule(name="*", publisher="*Evil Corp*"),
    )
    assert (rules.hours, rules.remove, rules.approve) == (48, True, False)
    assert shop.manager.policies.current(HERE, b"") != before
    assert parse(text_of(rules.deny)) == [
        {"name": one.name, "publisher": one.publisher, "reason": one.reason} for one in rules.deny
    ]
    for wrong in ("* | ", "a | b | c | d", "| |x", "x" * 300):
        answer = post(shop.owner, "/software/rules", "/software/rules", **{**form, "deny": wrong})
        assert answer.status_code == 400, wrong
        assert "1行目" in answer.text
    assert shop.manager.software.rules(HERE) == rules
    auditor = enter(shop.app, HERE, "audit", "auditor")
    assert post(auditor, "/software/rules", "/software/rules", **form).status_code == 403


def test_lists_to_take_away_are_no_formulas_and_are_audited(shop: Office) -> None:
    answer = shop.owner.get("/software/assets.csv")
    assert answer.content.startswith("\ufeff".encode())
    (line,) = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert line["PC名"] == "営業-01"
    assert (line["製造番号"], line["メモリ(GB)"], line["OSサポート終了日"]) == ("SN-001", "8.0", "2024-06-30")
    assert line["許可外ソフトウェア"] == "xmrig"
    rows = list(
        csv.DictReader(io.StringIO(shop.owner.get("/software/programs.csv").text.removeprefix("\ufeff")))
    )
    assert {row["名前"] for row in rows} == {one.name for one in PROGRAMS}
    assert next(row["発行元"] for row in rows if row["名前"] == "xmrig").startswith("'=")
    with shop.manager.database.read() as session:
        acts = [row.entry for row in session.scalars(select(AuditEntry).where(AuditEntry.log == HERE))]
    assert sum(b"admin.export" in act for act in acts) == 2


def test_another_agency_sees_nothing_of_it(shop: Office) -> None:
    other = enter(shop.app, THERE, "other")
    assert other.get(f"/software/pcs/{handle(shop)}").status_code == 404
    assert other.get("/software/program?source=dpkg&name=vim").status_code == 404
    for path in (
        "/software",
        "/software/programs",
        "/software/support",
        "/software/removals",
        "/software/programs.csv",
    ):
        answer = other.get(path)
        assert answer.status_code == 200
        assert "xmrig" not in answer.text and "営業-01" not in answer.text
    form = {"source": "dpkg", "name": "vim", "device": handle(shop), "hours": "0"}
    assert post(other, "/software/rules", "/software/program", **form).status_code == 404
    with shop.manager.database.read() as session:
        assert session.scalar(select(SoftwareRemoval)) is None


def test_updates_that_wait_too_long_are_an_alert(shop: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.manager.software.look()
    assert "software-updates" not in codes(shop)
    true = clock.now
    monkeypatch.setattr(clock, "now", lambda: true() + 15 * clock.DAY)
    shop.manager.software.look()
    assert "software-updates" in codes(shop)
    send(shop, told("software.updates", **{**STATES["software.updates"], "state": "current", "count": 0}))
    until(
        lambda: (
            shop.manager.software.pcs(HERE)[shop.pc.handle].states["software.updates"]["data"]["state"]
            == "current"
        )
    )
    shop.manager.software.look()
    assert "software-updates" not in codes(shop)
