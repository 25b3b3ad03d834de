"""A manager's home, and a call that shows who the API takes you for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from argon2 import PasswordHasher
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from securepc.manager.accounts import passwords
from securepc.manager.accounts.auth import Caller, require_api, require_api_role


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id as ever, with less memory: many sign in here, and none of their passwords matters."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._dummy.cache_clear()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "manager").mkdir()
    (tmp_path / "manager" / "config.toml").write_text("")
    return tmp_path


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
