"""A real manager, a real PC's entries, and Debian's Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from running_manager import Running, make_home, wait_for
from tiny_device import Device, now

from securepc.manager.accounts.service import Accounts
from securepc.manager.accounts.sign_in import SignIn
from securepc.manager.search.model import EntryId
from securepc.wire import event

CHROMIUM = "/usr/bin/chromium"
SEALED = 260
"""More than two pages of a search."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # only the lab has it

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("browser") / "home"
    make_home(home, "みどり保険")
    with Running(home) as manager:
        yield manager


@pytest.fixture(scope="session")
def pc(running: Running) -> Device:
    device = running.device(name="営業-01")
    moment = now() - SEALED * 1_000_000
    entries = [created(f"/home/suzuki/見積書_{number:03}.xlsx", moment + number) for number in range(SEALED)]
    device.send(device.seal_batch(entries))
    device.announce([created("/home/suzuki/封印前.txt", now())])
    device.heartbeat(collectors={"files": {"state": "running", "ja": "", "en": ""}})
    service = running.manager.search
    wait_for(lambda: service.entry(running.log, EntryId(device.handle, SEALED)))
    return device


@pytest.fixture
def link(running: Running, request: pytest.FixtureRequest) -> str:
    """The whole address of a new person's one-time link."""
    return one_time_link(running, f"test-{abs(hash(request.node.name))}")


@pytest.fixture(scope="module")
def module_link(running: Running) -> str:
    """The same for what a whole file shares."""
    return one_time_link(running, "file")


@pytest.fixture
def open_page(chromium: Any, running: Running) -> Iterator[Callable[..., Any]]:
    """Opens a browser of its own; at the end, nothing may have gone wrong in it."""
    contexts, wrong = [], []

    def open_(**options: Any) -> Any:
        context = chromium.new_context(**{"locale": "ja-JP", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                asked.url.startswith((running.address, "data:")) or wrong.append(f"asks {asked.url}")
            ),
        )
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def one_time_link(running: Running, login: str, role: str = "owner") -> str:
    database = running.manager.database
    account = Accounts(database).create(running.log, login, "緑川 花子", role, actor="test")
    return running.address + SignIn(database).link(running.log, account.id, actor="test").path


def created(path: str, at: int) -> bytes:
    data = {"path": path, "size": 48211}
    return event.to_entry(event.Event("file.create", at, 1_000_000, "ab" * 16, "suzuki", "1.1", data=data))
