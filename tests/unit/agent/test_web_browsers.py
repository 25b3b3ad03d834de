"""Files of browsers: what was there stays, is told when others change ours, and comes back byte for byte."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from securepc.agent import files
from securepc.agent.platform.linux import browsers
from securepc.agent.platform.linux.browsers import FILE, LinuxBrowsers
from securepc.wire.web.rules import Rule

BLOCK = [Rule("mail.google.com"), Rule("www.icloud.com", "/mail")]
ALLOW = [Rule("midori.box.com")]


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    etc = tmp_path / "etc"
    etc.mkdir()
    monkeypatch.setattr(browsers, "_CHROMIUMS", (("Chromium", str(etc / "chromium/policies/managed")),))
    monkeypatch.setattr(browsers, "_FIREFOX", str(etc / "firefox/policies/policies.json"))
    return etc


def snapshot(folder: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


def test_where_there_was_nothing_nothing_stays(etc: Path, tmp_path: Path) -> None:
    one = LinuxBrowsers(tmp_path / "agent/undo.json")
    assert [seen.ok for seen in one.apply(BLOCK, ALLOW)] == [True, True]
    chromium = json.loads((etc / "chromium/policies/managed" / FILE).read_text())
    assert chromium["URLBlocklist"] == ["mail.google.com", "www.icloud.com/mail"]
    assert chromium["URLAllowlist"] == ["midori.box.com"]
    assert chromium["DnsOverHttpsMode"] == "off"
    firefox = json.loads((etc / "firefox/policies/policies.json").read_text())["policies"]
    assert firefox["WebsiteFilter"] == {
        "Block": ["*://*.mail.google.com/*", "*://*.www.icloud.com/mail*"],
        "Exceptions": ["*://*.midori.box.com/*"],
    }
    assert (etc / "firefox/policies/policies.json").stat().st_mode & 0o777 == 0o644
    before = snapshot(etc)
    assert all(seen.ok and not seen.drift for seen in one.apply(BLOCK, ALLOW))
    assert snapshot(etc) == before
    # Another process, as after a crash.
    LinuxBrowsers(tmp_path / "agent/undo.json").remove()
    assert snapshot(etc) == {}
    assert not (tmp_path / "agent/undo.json").exists()
    LinuxBrowsers(tmp_path / "agent/undo.json").remove()


def test_what_an_administrator_has_set_stays_and_comes_back(etc: Path, tmp_path: Path) -> None:
    managed = etc / "chromium/policies/managed"
    managed.mkdir(parents=True)
    theirs = {
        "URLBlocklist": ["bad.example"],
        "URLAllowlist": ["good.example", "google.com", "*"],
        "HomepageLocation": "x",
    }
    (managed / "company.json").write_text(json.dumps(theirs))
    file = etc / "firefox/policies/policies.json"
    file.parent.mkdir(parents=True)
    original = (
        '{ "policies": {"DisablePocket": true,\n  "WebsiteFilter": {"Block": ["*://bad.example/*"],'
        ' "Exceptions": ["*://mail.google.com/*"]}}}'
    )
    file.write_text(original)
    file.chmod(0o640)
    before = snapshot(etc)
    one = LinuxBrowsers(tmp_path / "undo.json")
    assert all(seen.ok for seen in one.apply(BLOCK, ALLOW))
    ours = json.loads((managed / FILE).read_text())
    assert "bad.example" in ours["URLBlocklist"]
    assert ours["URLAllowlist"] == ["midori.box.com", "good.example"]
    merged = json.loads(file.read_text())["policies"]
    assert merged["DisablePocket"] is True
    assert "*://bad.example/*" in merged["WebsiteFilter"]["Block"]
    assert merged["WebsiteFilter"]["Exceptions"] == ["*://*.midori.box.com/*"]
    one.remove()
    assert snapshot(etc) == before


def test_what_others_change_is_seen_and_put_right(etc: Path, tmp_path: Path) -> None:
    one = LinuxBrowsers(tmp_path / "undo.json")
    one.apply(BLOCK, ALLOW)
    (etc / "chromium/policies/managed" / FILE).write_text("{}")
    (etc / "firefox/policies/policies.json").unlink()
    seen = one.apply(BLOCK, ALLOW)
    assert [one.drift for one in seen] == [True, True]
    assert all("put right" in one.en and one.ja for one in seen)
    assert not any(one.drift for one in one.apply(BLOCK, ALLOW))
    # A setting of theirs in the file of Firefox is kept, and stays after us.
    file = etc / "firefox/policies/policies.json"
    value = json.loads(file.read_text())
    value["policies"]["DisablePocket"] = True
    del value["policies"]["WebsiteFilter"]
    file.write_text(json.dumps(value))
    assert one.apply(BLOCK, ALLOW)[1].drift
    assert json.loads(file.read_text())["policies"]["WebsiteFilter"]["Block"]
    one.remove()
    assert json.loads(file.read_text()) == {"policies": {"DisablePocket": True}}


def test_a_file_that_goes_before_ours_is_named(etc: Path, tmp_path: Path) -> None:
    one = LinuxBrowsers(tmp_path / "undo.json")
    one.apply(BLOCK, ALLOW)
    (etc / "chromium/policies/managed/zzz.json").write_text('{"URLBlocklist": []}')
    seen = one.apply(BLOCK, ALLOW)[0]
    assert not seen.ok
    assert "zzz.json" in seen.ja and "zzz.json" in seen.en


def test_killed_between_the_ledger_and_the_file(
    etc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    file = etc / "firefox/policies/policies.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"policies": {}}')
    before = snapshot(etc)

    class Killed(BaseException):
        pass

    calls = 0
    for stop in range(1, 40):
        one = LinuxBrowsers(tmp_path / "undo.json")
        calls = 0

        def rename(source: Path, target: Path, stop: int = stop) -> None:
            nonlocal calls
            calls += 1
            if calls == stop:
                raise Killed
            source.rename(target)

        monkeypatch.setattr(files, "rename", rename)
        with contextlib.suppress(Killed):
            one.apply(BLOCK, ALLOW)
        monkeypatch.setattr(files, "rename", lambda source, target: source.rename(target))
        again = LinuxBrowsers(tmp_path / "undo.json")
        if stop % 2:
            assert not any(seen.drift for seen in again.apply(BLOCK, ALLOW))
        again.remove()
        left = {name: value for name, value in snapshot(etc).items() if not name.endswith(".securepc")}
        assert left == before
        if calls < stop:
            break
    else:
        raise AssertionError("it never got to its end")
