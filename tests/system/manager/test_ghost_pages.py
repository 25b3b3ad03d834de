"""The console's pages about Ghost Drives: who may do what, and what they say."""

from __future__ import annotations

import re

import httpx
import pytest
from running_manager import Running
from tiny_device import Device

from securepc.manager.accounts.service import Accounts
from securepc.manager.accounts.sign_in import SignIn
from securepc.manager.ghost.model import Content, Drive, ManagerShare
from securepc.manager.ghost.release import drive_of, share_context
from securepc.wire import codes, ghost

WORDS = "yellow ferry under the maple"


class Person:
    """Somebody with a browser, signed in."""

    def __init__(self, running: Running, log: bytes, role: str, name: str) -> None:
        database = running.manager.database
        account = Accounts(database).create(log, name, name, role, actor="cli")
        link = SignIn(database).link(log, account.id, actor="cli")
        self.http = httpx.Client(base_url=running.address, headers={"Accept-Language": "ja"})
        form = self.csrf(self.http.get(link.path).text)
        answer = self.http.post(link.path, data={"_csrf": form, "password": WORDS, "again": WORDS})
        assert answer.status_code == 303, answer.text

    @staticmethod
    def csrf(page: str) -> str:
        found = re.search(r'name="_csrf" value="([^"]+)"', page)
        assert found is not None
        return found[1]

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.http.post(path, data={"_csrf": self.csrf(self.http.get("/ghost").text), **fields})


@pytest.fixture
def pc(running: Running) -> Device:
    """A PC with a drive and a list of what it holds."""
    device = running.device(name="営業-01")
    wrapped = running.manager.keys.wrap(bytes(ghost.SHARE), share_context(device.handle, 1))
    with running.manager.database.write() as session:
        drive = drive_of(session, running.log, device.handle, 1)
        drive.generation, drive.contents_at = 1, 1_795_401_253_123_456
        session.add(ManagerShare(device=device.handle, generation=1, wrapped=wrapped, made_at=1))
        more = {
            "log": running.log,
            "device": device.handle,
            "list": 1,
            "size": 10,
            "modified": 1,
            "shown": True,
        }
        session.add(Content(path="契約/<b>山田.pdf", **more))
    data = {"there": True, "open": True, "size": 1 << 30}
    device.heartbeat(doors={"ghost": {"state": "shut", "ja": "", "en": "", "data": data}})
    running.manager.presence.flush()
    return device


def test_an_auditor_reads_and_changes_nothing(running: Running, pc: Device) -> None:
    auditor = Person(running, running.log, "auditor", "kansa")
    listed = auditor.get("/ghost").text
    assert "営業-01" in listed
    assert "開いています" in listed, re.findall("badge[^<]*", listed)
    page = auditor.get(f"/ghost/{pc.handle.hex()}").text
    assert "契約/&lt;b&gt;山田.pdf" in page
    assert "利用を停止する" not in page
    for act in ("forbid", "allow", "sheet", "destroy", "rekey", "pin"):
        assert auditor.post(f"/ghost/{pc.handle.hex()}/{act}", reason="x", sure="yes").status_code == 403
    assert auditor.get(f"/devices/{pc.handle.hex()}").text.count("ゴーストドライブ") > 1


def test_another_agency_does_not_see_it(running: Running, pc: Device) -> None:
    other = Person(running, running.manager.devices.agencies()[1], "owner", "yoso")
    assert "営業-01" not in other.get("/ghost").text
    assert other.get(f"/ghost/{pc.handle.hex()}").status_code == 404
    assert other.post(f"/ghost/{pc.handle.hex()}/forbid", reason="x").status_code == 404


def test_forbid_sheet_and_destroy_with_what_would_be_lost(running: Running, pc: Device) -> None:
    admin = Person(running, running.log, "admin", "hanako")
    at = f"/ghost/{pc.handle.hex()}"
    assert admin.post(f"{at}/forbid", reason=" ").status_code == 400
    assert admin.post(f"{at}/forbid", reason="紛失の疑い").status_code == 303
    assert "利用停止" in admin.get(at).text
    assert admin.post(f"{at}/allow").status_code == 303
    sheet = admin.post(f"{at}/sheet")
    assert sheet.headers["Cache-Control"] == "no-store"
    found = re.search(r'class="sheet-code">([^<]+)<', sheet.text)
    assert found is not None
    assert len(codes.read(found[1], ghost.CODE)) == ghost.CODE
    assert found[1] not in admin.get(at).text
    form = admin.get(f"{at}/destroy").text
    assert "契約/&lt;b&gt;山田.pdf" in form
    assert admin.post(f"{at}/destroy", reason="廃棄").status_code == 400  # not confirmed
    assert admin.post(f"{at}/destroy", reason="廃棄", sure="yes").status_code == 303
    assert "鍵は破棄済み" in admin.get(at).text
    with running.manager.database.read() as session:
        assert session.get(ManagerShare, (pc.handle, 1)) is None
        drive = session.get(Drive, pc.handle)
        assert drive is not None
        assert drive.destroyed_by == "hanako"


def test_the_rules_are_signed_by_a_form(running: Running) -> None:
    fields = {"gigabytes": "20", "minutes": "15", "warn": "5", "on": "yes", "mobile": "yes"}
    auditor = Person(running, running.log, "auditor", "kansa")
    assert auditor.post("/ghost/settings", **fields).status_code == 403
    admin = Person(running, running.log, "admin", "hanako")
    assert admin.post("/ghost/settings", **fields | {"minutes": "0"}).status_code == 400
    assert admin.post("/ghost/settings", **fields).status_code == 303
    rules = running.manager.ghosts.releases.doors(running.log, b"").ghost
    assert (rules.on, rules.bytes, rules.minutes, rules.warn_seconds) == (True, 20_000_000_000, 15, 5)
    assert (rules.pin, rules.mobile) == (False, True)


def test_whatever_a_pc_says_a_page_comes_of_it(running: Running, pc: Device) -> None:
    auditor = Person(running, running.log, "auditor", "kansa")
    for data in ([], {"open": "yes", "size": "x"}, {"open": True, "size": -1, "there": 7}, None):
        pc.heartbeat(doors={"ghost": {"state": "shut", "data": data}})
        running.manager.presence.flush()
        assert auditor.get("/ghost").status_code == 200
        assert auditor.get(f"/ghost/{pc.handle.hex()}").status_code == 200
