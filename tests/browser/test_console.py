"""The console in a real browser: no error, no foreign request, no violation of its CSP."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crawl
import pytest
from running_manager import Running
from tiny_device import Device

from securepc.verify import __main__ as verify

pytestmark = pytest.mark.lab

Open = Callable[..., Any]
WORDS = "yellow ferry under the maple"
HERE = Path(__file__).parent
UNNAMED = (HERE / "unnamed.js").read_text("utf-8")
FAINT = (HERE / "faint.js").read_text("utf-8")


def sign_in(page: Any, link: str) -> None:
    page.goto(link)
    page.get_by_label("新しいパスワード", exact=True).fill(WORDS)
    page.get_by_label("新しいパスワード(確認)").fill(WORDS)
    page.get_by_role("button", name="パスワードを設定してサインイン").click()
    page.wait_for_url(re.compile(r"/$"))


def test_from_the_link_to_evidence_that_verifies(
    open_page: Open, running: Running, pc: Device, link: str, tmp_path: Path
) -> None:
    page = open_page()
    sign_in(page, link)
    assert page.get_by_role("heading", name="今日の確認事項").is_visible()

    page.get_by_placeholder("ログを検索").fill("見積書_007")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/search"))
    found = page.locator("a.entry", has_text="見積書_007.xlsx")
    assert found.count() == 1
    found.click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("ファイルの作成")
    assert page.get_by_text("ただいま検証しました").is_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="証拠パックをダウンロード").click()
    pack, trust = tmp_path / "evidence.zip", tmp_path / "policy"
    download.value.save_as(pack)
    page.goto(running.address + "/ledger")
    with page.expect_download() as download:
        page.get_by_role("link", name="policy").click()
    download.value.save_as(trust)
    assert verify.main([str(pack), "--trust", str(trust)]) == 0
    changed = bytearray(pack.read_bytes())
    changed[300] ^= 1
    pack.write_bytes(changed)
    assert verify.main([str(pack), "--trust", str(trust)]) != 0


def test_a_link_works_once(open_page: Open, link: str, running: Running) -> None:
    sign_in(open_page(), link)
    second = open_page()
    # Fetched, not visited: the browser would count the 410 among its errors.
    answer = second.request.get(link)
    assert answer.status == 410 and "使用済み" in answer.text()


def test_a_list_goes_on_when_it_is_scrolled(open_page: Open, running: Running, pc: Device, link: str) -> None:
    page = open_page()
    sign_in(page, link)
    page.goto(f"{running.address}/search?device={pc.handle.hex()}")
    assert page.locator("a.entry").count() == 100
    assert page.get_by_text("封印待ち").first.is_visible()
    for _ in range(40):
        page.mouse.wheel(0, 20_000)
        page.wait_for_timeout(100)
        if page.get_by_text("以上です。").count():
            break
    assert page.locator("a.entry").count() == 261
    assert page.locator("li.day").count() in (1, 2), "a day is named once"


def test_the_home_page_refreshes_itself(open_page: Open, running: Running, pc: Device, link: str) -> None:
    page = open_page()
    sign_in(page, link)
    page.evaluate("window.same = true")
    new = Device(running.token(approval=True), address=running.address, name="新しいPC")
    assert new.ask().status_code == 202
    page.locator("#glance").get_by_role("link", name="新しいPC").wait_for(timeout=25_000)
    assert page.evaluate("window.same"), "without being loaded again"
    running.manager.enrolments.decide(running.log, new.handle, False, actor="test")


def test_switching_the_language_and_signing_out(open_page: Open, running: Running, link: str) -> None:
    page = open_page()
    sign_in(page, link)
    page.get_by_role("button", name="English").click()
    page.wait_for_selector("text=To do today")
    assert page.locator("html").get_attribute("lang") == "en"
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/sign-in"))
    page.goto(running.address + "/devices")
    assert "/sign-in?next=" in page.url


def test_everything_works_without_javascript(
    open_page: Open, running: Running, pc: Device, link: str
) -> None:
    page = open_page(java_script_enabled=False)
    sign_in(page, link)
    page.goto(f"{running.address}/search?device={pc.handle.hex()}")
    page.get_by_role("link", name="さらに古い記録").click()
    assert page.locator("a.entry").count() == 100
    page.goto(running.address + "/devices/add")
    page.get_by_role("button", name="トークンを作成").click()
    assert page.locator(".copyable code").first.inner_text().startswith("sudo securepc agent enrol spc1_")
    assert page.get_by_role("button", name="コピー").count() == 0, "nothing that does nothing"


def test_adding_a_pc_and_copying_the_command(open_page: Open, running: Running, link: str) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    sign_in(page, link)
    page.goto(running.address + "/devices/add")
    page.get_by_role("button", name="トークンを作成").click()
    page.get_by_role("button", name="コピー").first.click()
    page.wait_for_selector("text=コピーしました")
    command = page.locator(".copyable code").first.inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == command


def test_with_the_keyboard_alone(open_page: Open, running: Running, pc: Device, link: str) -> None:
    page = open_page()
    sign_in(page, link)
    page.goto(running.address + "/devices")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "本文へ移動"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip() == "営業-01":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "where the focus is can be seen"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"/devices/{pc.handle.hex()}"))


@pytest.fixture(scope="module")
def every_page(chromium: Any, running: Running, pc: Device, module_link: str) -> list[str]:
    context = chromium.new_context(locale="ja-JP")
    page = context.new_page()
    sign_in(page, module_link)
    handle = pc.handle.hex()
    first = ("/", f"/devices/{handle}", f"/entries/{handle}.5", f"/lost/{handle}")
    found = crawl.pages(page, running.address, first=first)
    context.close()
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_can_be_read(
    open_page: Open, running: Running, pc: Device, link: str, every_page: list[str], scheme: str, width: int
) -> None:
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    sign_in(page, link)
    for path in (*every_page, f"/entries/{pc.handle.hex()}.261", "/me"):
        page.goto(running.address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} is too wide"
        assert page.evaluate(UNNAMED) == [], f"{path}: fields without a label"
        assert page.evaluate(FAINT) == [], f"{path}: text of too little contrast"
    page.evaluate("document.querySelector('h1').style.color = 'gray'")
    page.evaluate("document.querySelector('label').style.color = 'gray'")
    assert page.evaluate(FAINT), "the check itself sees what is faint"
