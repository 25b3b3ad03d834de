"""What a browser does: open a page, send a form of it, sign in."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from securepc.manager.accounts.model import Account
from securepc.manager.accounts.service import Accounts
from securepc.manager.accounts.sign_in import SignIn

HERE, THERE = b"\x11" * 16, b"\x22" * 16
"""Two agencies."""
WORDS = "yellow ferry under the maple"


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
