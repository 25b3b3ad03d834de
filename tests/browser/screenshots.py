"""Pictures of the console with a simulated office: for the READMEs, or every page for the eye.

python tests/browser/screenshots.py                 docs/images/console-{ja,en}.png
python tests/browser/screenshots.py --all FOLDER    every page: ja and en, wide, narrow and dark
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from playwright.sync_api import sync_playwright  # noqa: E402
from running_manager import Running, make_home, wait_for  # noqa: E402
from tiny_device import Device, now  # noqa: E402

from securepc.agent.simulate import USERS, office_day  # noqa: E402
from securepc.manager.accounts.service import Accounts  # noqa: E402
from securepc.manager.accounts.sign_in import SignIn  # noqa: E402
from securepc.manager.search.model import EntryId  # noqa: E402
from securepc.wire.doors import RegisteredNetwork  # noqa: E402
from securepc.wire.event import Event, to_entry  # noqa: E402

AGENCY = "みどり保険サービス"
WORDS = "yellow ferry under the maple"
SIZES = {"wide": (1280, 900), "narrow": (390, 844), "dark": (1280, 900)}
PAGES = (
    "/",
    "/devices",
    "/devices/add",
    "/search",
    "/ledger",
    "/networks",
    "/alerts",
    "/policy",
    "/mail",
    "/accounts",
    "/me",
)
_BATCH = 400


def office(running: Running) -> list[Device]:
    """Four PCs of an office with what was done on them since yesterday, and one that asks to join."""
    pcs = []
    today = datetime.now(ZoneInfo("Asia/Tokyo")).date()
    for seed, (name, user) in enumerate(zip(("営業-01", "営業-02", "事務-01", "受付"), USERS, strict=False)):
        pc = running.device(name=name)
        days = [today - timedelta(days=1), today]
        events = [event for day in days for event in office_day(seed, user, day=day, entries=1500)]
        entries = [to_entry(event) for event in events if event.at < now()]
        waiting = entries[-3:] if seed == 0 else []
        sealed = entries[: len(entries) - len(waiting)]
        for start in range(0, len(sealed), _BATCH):
            pc.send(pc.seal_batch(sealed[start : start + _BATCH]))
        if waiting:
            pc.announce(waiting)
        running_ = {"state": "running", "ja": "", "en": ""}
        collectors = dict.fromkeys(("files", "processes", "sessions", "network"), running_)
        pc.heartbeat(collectors=collectors, policy={"version": "1.1"}, queue={"unsent": 0})
        last = EntryId(pc.handle, len(sealed))
        wait_for(partial(running.manager.search.entry, running.log, last))
        pcs.append(pc)
    new = Device(running.token(approval=True), address=running.address, name="営業-03")
    assert new.ask().status_code == 202
    running.manager.presence.flush()
    return pcs


def outside(running: Running, pc: Device) -> None:
    """The PC is in a café, and its user asks for the network at home."""
    networks = running.manager.networks
    here = RegisteredNetwork(id="n1", name="本店", ssid="midori-office", gateways=("02:00:00:00:aa:01",))
    networks.register(running.log, here, actor="cli")
    networks.switch(running.log, {"on": True, "cut_off": True}, actor="cli")
    cafe = {"attached": "wifi", "interface": "wlan0", "ssid": "cafe-free", "encryption": "open"}
    cafe |= {"gateway": "198.51.100.1", "gateway_mac": "02:00:00:00:00:66", "subnet": "198.51.100.0/24"}
    where = {"latitude": "35.681236", "longitude": "139.767125", "accuracy": 25, "source": "geoclue"}
    home = {**cafe, "ssid": "hanako-home", "encryption": "wpa2", "bssid": "02:00:00:00:cc:01"}
    said: list[tuple[str, dict[str, Any]]] = [
        ("network.registered", {**cafe, "ssid": "midori-office", "encryption": "wpa2", "network": "本店"}),
        ("network.unregistered", {**cafe, **where, "reason": "none", "action": "cut"}),
        ("network.request", {**home, "reason": "none", "purpose": "在宅勤務で見積もりを作成するため"}),
        ("network.request", {**cafe, "reason": "none", "purpose": "訪問先での資料確認"}),
    ]
    events = [Event(kind, now(), now(), pc.boot.hex(), USERS[3], data=data) for kind, data in said]
    pc.send(pc.seal_batch([to_entry(event) for event in events]))
    door = {"state": "shut", "ja": "", "en": "", "at": now()}
    door["data"] = {"cut": True, "networks": [{**cafe, "registered": "", "reason": "none"}]}
    pc.heartbeat(collectors={}, doors={"networks": door})
    wait_for(lambda: len(networks.requests(running.log, waiting=True)) == 2)
    running.manager.presence.flush()


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


def main() -> None:
    """Make the pictures."""
    everything = Path(sys.argv[2]) if sys.argv[1:2] == ["--all"] else None
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder) / "home"
        make_home(home, AGENCY)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        with Running(home) as running:
            pcs = office(running)
            outside(running, pcs[3])
            state = sign_in(browser, running)
            time.sleep(1)
            handle = pcs[0].handle.hex()
            own = (
                f"/devices/{handle}",
                f"/devices/{pcs[3].handle.hex()}",
                f"/entries/{handle}.700",
                f"/entries/{handle}.{pcs[0].sequence + 3}",
            )
            for language in ("ja", "en"):
                for size, (width, height) in SIZES.items():
                    if everything is None and size != "wide":
                        continue
                    context = browser.new_context(
                        locale="ja-JP" if language == "ja" else "en-GB",
                        viewport={"width": width, "height": height},
                        color_scheme="dark" if size == "dark" else "light",
                        storage_state=state,
                    )
                    page = context.new_page()
                    page.goto(running.address + "/me")
                    switch = page.locator(f".who button[value={language}]")
                    if switch.count():
                        switch.click()
                        page.wait_for_load_state()
                    if everything is None:
                        page.goto(running.address + "/")
                        page.screenshot(path=str(ROOT / "docs" / "images" / f"console-{language}.png"))
                    else:
                        everything.mkdir(parents=True, exist_ok=True)
                        for path in (*PAGES, "/search?text=見積", *own):
                            page.goto(running.address + path)
                            name = path.strip("/").replace("/", "-").replace("?text=", "-")[:24] or "home"
                            name = f"entry-{path.rsplit('.', 1)[1]}" if "entries" in path else name
                            file = everything / f"{name}-{language}-{size}.png"
                            page.screenshot(path=str(file), full_page=True)
                    context.close()
        browser.close()


if __name__ == "__main__":
    main()
