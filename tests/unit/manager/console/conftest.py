"""A manager's home, and a call that shows who the API takes you for."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from argon2 import PasswordHasher
from browsing import HERE, PATHS, THERE, Office, browser, created, enter, new_pc, until
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from tiny_device import Device, now

from securepc.manager.accounts import passwords
from securepc.manager.accounts.auth import Caller, require_api, require_api_role
from securepc.manager.app import create_app
from securepc.manager.devices.model import Agency
from securepc.manager.search.model import EntryId
from securepc.manager.setup import complete_agency, make_home


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id as ever, with less memory: many sign in here, and none of their passwords matters."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._dummy.cache_clear()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Device]:
    """The home of a manager of two agencies, and a PC of the first: made once, copied for each test."""
    home = tmp_path_factory.mktemp("prepared") / "home"
    make_home(home)
    app = create_app(home)
    manager = app.state.manager
    manager.address = "http://127.0.0.1"
    with manager.database.write() as session:
        session.add(Agency(log=HERE, name="みどり保険", created_at=1))
        session.add(Agency(log=THERE, name="あおば保険", created_at=2))
    for log in (HERE, THERE):
        complete_agency(manager, log)
    manager.start()
    pc = new_pc(app, "営業-01")
    moment = now() - 60_000_000
    entries = [created(path, moment + number) for number, path in enumerate(PATHS)]
    pc.send(pc.seal_batch(entries))
    manager.close()
    return home, pc


@pytest.fixture
def app(tmp_path: Path, prepared: tuple[Path, Device]) -> Iterator[FastAPI]:
    """A running manager of two agencies."""
    home = tmp_path / "home"
    shutil.copytree(prepared[0], home)
    app = create_app(home)
    app.state.manager.address = "http://127.0.0.1"
    app.state.manager.start()
    yield app
    app.state.manager.close()


@pytest.fixture
def office(app: FastAPI, prepared: tuple[Path, Device]) -> Office:
    """The manager with its PC, whose three entries are found, and an owner who looks at it."""
    pc = copy.copy(prepared[1])
    pc.http, pc.nonce = browser(app), b""
    manager = app.state.manager
    until(lambda: manager.search.entry(HERE, EntryId(pc.handle, 3)))
    return Office(app, manager, pc, enter(app, HERE, "hanako"))


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    """A browser in which nobody is signed in."""
    return browser(app)


@pytest.fixture
def probe() -> Callable[..., Any]:
    def read(caller: Annotated[Caller, Depends(require_api)]) -> list[str]:
        return [caller.log.hex(), caller.role]

    def write(caller: Annotated[Caller, Depends(require_api_role("admin"))]) -> list[str]:
        return [caller.log.hex(), caller.role]

    def ask(
        app: FastAPI, headers: dict[str, str], method: str = "GET", client: TestClient | None = None
    ) -> Any:
        app.add_api_route("/api/v1/test-probe", read, methods=["GET"])
        app.add_api_route("/api/v1/test-probe", write, methods=["POST"])
        client = client or TestClient(app, base_url="http://127.0.0.1")
        return client.request(method, "/api/v1/test-probe", headers=headers)

    return ask
