"""What a browser does: open a page, send a form of it, sign in."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.testclient import TestClient
from tiny_device import Device

from securepc.manager.accounts.model import Account
from securepc.manager.accounts.service import Accounts
from securepc.manager.accounts.sign_in import SignIn
from securepc.manager.core import Manager
from securepc.manager.search.model import EntryId
from securepc.wire import event

HERE, THERE = b"\x11" * 16, b"\x22" * 16
"""Two agencies."""
WORDS = "yellow ferry under the maple"


PATHS = ("/home/suzuki/見積書.xlsx", "/home/suzuki/<b>evil</b>&.txt", "/home/suzuki/メモ.txt")
"""Files that the PC tells of."""


class Office(NamedTuple):
    """A manager with one PC that sent three sealed entries, and an owner who looks at it."""

    app: FastAPI
    manager: Manager
    pc: Device
    owner: TestClient


def created(path: str, at: int, **data: Any) -> bytes:
    """An entry that says that a file was created."""
    told = {"path": path, "size": 48211, **data}
    return event.to_entry(
        event.Event(
            "file.create", at=at, up=1_000_000, boot="ab" * 16, user="suzuki", policy="1.1", data=told
        )
    )


def name(pc: Device, number: int) -> EntryId:
    """What one of a PC's entries is called."""
    return EntryId(pc.handle, number)


def new_pc(app: FastAPI, called: str) -> Device:
    """A PC of the first agency, enrolled."""
    token = app.state.manager.devices.new_token(
        HERE, label="test", uses=1, lifetime=3_600_000_000, approval=False, actor="test"
    )
    pc = Device(token, name=called)
    pc.http = browser(app)
    pc.enrol()
    return pc


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until something is so; gives it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


def browser(app: FastAPI) -> TestClient:
    """A browser in which nobody is signed in."""
    return TestClient(app, base_url="http://127.0.0.1")


def person(app: FastAPI, log: bytes, login: str, role: str = "owner") -> tuple[Account, str]:
    """A person with the path of their sign-in link."""
    database = app.state.manager.database
    account = Accounts(database).create(log, login, login.title(), role, actor="cli")
    return account, SignIn(database).link(log, account.id, actor="cli").path


def token(html: str) -> str:
    """The CSRF token in a page's forms."""
    found = re.search(r'name="_csrf" value="([^"]+)"', html)
    assert found
    return found[1]


def enter(app: FastAPI, log: bytes, login: str, role: str = "owner") -> TestClient:
    """A browser in which that person is signed in."""
    client = browser(app)
    _, path = person(app, log, login, role)
    form = {"_csrf": token(client.get(path).text), "password": WORDS, "again": WORDS}
    assert client.post(path, data=form, follow_redirects=False).status_code == 303
    client.headers["Accept-Language"] = "en"
    return client


def post(client: TestClient, page: str, path: str, **fields: str) -> Any:
    """Post a form as a browser would that had opened the page."""
    return client.post(path, data={"_csrf": token(client.get(page).text), **fields}, follow_redirects=False)
