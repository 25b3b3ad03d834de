"""The page of backups in a real browser: the button, progress that lives on, and what failed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running_manager import Running, make_home, wait_for

from securepc.ledger.keys import open_keys
from securepc.manager.accounts.service import Accounts
from securepc.manager.accounts.sign_in import SignIn
from securepc.manager.backup import check
from securepc.wire.recovery import RecoveryKey

pytestmark = pytest.mark.lab

WORDS = "yellow ferry under the maple"
LONG = 60_000
"""Milliseconds that a page may take on a busy machine."""


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    folder = tmp_path / "nas"
    folder.mkdir()
    return folder


@pytest.fixture
def running(tmp_path: Path, nas: Path) -> Iterator[Running]:
    home = tmp_path / "home"
    make_home(
        home, "みどり保険", settings=f'[backup]\nfolder = "{nas}"\nminutes = 1000\ntest_minutes = 1000\n'
    )
    keys = open_keys(home / "manager" / "keys.sqlite")
    keys.set_recovery(RecoveryKey.generate().public)
    keys.close()
    with Running(home) as running:
        wait_for(lambda: running.manager.backups.held(running.log), 60)
        yield running


def sign_in(page: Any, running: Running) -> None:
    database = running.manager.database
    account = Accounts(database).create(running.log, "hanako", "緑川 花子", "owner", actor="test")
    page.goto(running.address + SignIn(database).link(running.log, account.id, actor="test").path)
    page.get_by_label("新しいパスワード", exact=True).fill(WORDS)
    page.get_by_label("新しいパスワード(確認)").fill(WORDS)
    page.get_by_role("button", name="パスワードを設定してサインイン").click()
    page.wait_for_url(re.compile(r"/$"))


def test_a_backup_by_the_button_goes_on_while_the_page_is_left(
    open_page: Callable[..., Any], running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test restore waits until the page was left and opened again; then it goes on."""
    page = open_page()
    page.set_default_timeout(LONG)
    sign_in(page, running)
    page.get_by_role("link", name="バックアップ").first.click()
    number = running.manager.backups.state().tested.number

    looked: list[str] = []
    fetch = check.fetch

    def slowly(*arguments: Any) -> None:
        fetch(*arguments)
        wait_for(lambda: looked, 60)

    monkeypatch.setattr(check, "fetch", slowly)
    page.get_by_role("button", name="今すぐバックアップ").click()
    page.goto(running.address + "/ledger")
    page.goto(running.address + "/backup")
    bar = page.get_by_role("progressbar", name="復元テスト: バックアップを取り出しています")
    bar.wait_for()
    assert bar.evaluate("bar => bar.value") == 100
    assert page.get_by_role("button", name="今すぐバックアップ").count() == 0
    page.evaluate("window.same = true")
    looked.append("yes")
    page.get_by_role("button", name="今すぐバックアップ").wait_for()
    assert page.evaluate("window.same"), "the page was not loaded again"
    assert running.manager.backups.state().tested.number > number
    assert page.locator("tbody tr", has_text="復元テスト").first.get_by_text("完了").count() == 1


def test_what_failed_says_why(open_page: Callable[..., Any], running: Running, nas: Path) -> None:
    page = open_page(viewport={"width": 390, "height": 800})
    page.set_default_timeout(LONG)
    sign_in(page, running)
    nas.rename(nas.with_name("away"))
    page.goto(running.address + "/backup")
    page.get_by_role("button", name="今すぐバックアップ").click()
    page.get_by_role("alert").get_by_text(f"フォルダー {nas} がありません。").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="English").click()
    page.get_by_role("alert").get_by_text(f"There is no folder {nas}").wait_for()
