"""Pictures of the console with an invented office: for the READMEs, or every page for the eye.

python tests/browser/screenshots.py                 docs/images/console-{ja,en}.png
python tests/browser/screenshots.py --all FOLDER    every page: ja and en, wide, narrow and dark
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import crawl  # noqa: E402
import invented_office  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from running_manager import Running, make_home  # noqa: E402

from securepc.manager.accounts.service import Accounts  # noqa: E402
from securepc.manager.accounts.sign_in import SignIn  # noqa: E402

AGENCY = "みどり保険サービス"
WORDS = "yellow ferry under the maple"
SIZES = {"wide": (1280, 900), "narrow": (390, 844), "dark": (1280, 900)}


def sign_in(browser: Any, running: Running) -> Any:
    """The cookies of a person who is signed in."""
    account = Accounts(running.manager.database).create(
        running.log, "hanako", "緑川 花子", "owner", actor="cli"
    )
    link = SignIn(running.manager.database).link(running.log, account.id, actor="cli")
    context = browser.new_context(locale="ja-JP")
    page = context.new_page()
    page.goto(running.address + link.path)
    for name in ("password", "again"):
        page.fill(f"[name={name}]", WORDS)
    page.click("button.primary")
    page.wait_for_url(running.address + "/")
    return context.storage_state()


def speak(page: Any, address: str, language: str) -> None:
    """Switch the console to a language."""
    page.goto(address + "/me")
    switch = page.locator(f".who button[value={language}]")
    if switch.count():
        switch.click()
        page.wait_for_load_state()


def file_name(path: str) -> str:
    """`shutter-ledger-one` of `/shutter/ledger/3`."""
    plain = crawl.kind(path.partition("?")[0]).replace("*", "one").strip("/").replace("/", "-")
    return plain or "home"


def main() -> None:
    """Make the pictures."""
    everything = Path(sys.argv[2]) if sys.argv[1:2] == ["--all"] else None
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder) / "home"
        make_home(home, AGENCY)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        with Running(home) as running:
            if everything is None:
                pcs = invented_office.office(running)
                invented_office.outside(running, pcs[3])
            else:
                pcs = invented_office.everything(running)
            state = sign_in(browser, running)
            first = ("/", *(f"/lost/{pc.handle.hex()}" for pc in pcs[3:]), f"/devices/{pcs[0].handle.hex()}")
            paths = [] if everything is None else pages(browser, running, state, first)
            for language in ("ja", "en"):
                for size in SIZES if everything else ("wide",):
                    context = browser.new_context(
                        locale="ja-JP" if language == "ja" else "en-GB",
                        viewport=dict(zip(("width", "height"), SIZES[size], strict=True)),
                        color_scheme="dark" if size == "dark" else "light",
                        storage_state=state,
                    )
                    page = context.new_page()
                    speak(page, running.address, language)
                    if everything is None:
                        page.goto(running.address + "/")
                        page.screenshot(path=str(ROOT / "docs" / "images" / f"console-{language}.png"))
                    for path in paths:
                        page.goto(running.address + path)
                        file = everything / f"{file_name(path)}-{language}-{size}.png"
                        page.screenshot(path=str(file), full_page=True)
                    context.close()
        browser.close()


def pages(browser: Any, running: Running, state: Any, first: tuple[str, ...]) -> list[str]:
    """Every page that links lead to."""
    context = browser.new_context(storage_state=state)
    found = crawl.pages(context.new_page(), running.address, first=first)
    context.close()
    return found


if __name__ == "__main__":
    main()
