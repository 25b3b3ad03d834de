"""`/api/v1/entries` on a real manager's home."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from search_office import Ledger, file_entry
from sqlalchemy import select

from securepc.manager.app import assemble, create_app
from securepc.manager.audit.model import AuditEntry
from securepc.manager.ingest.opened import Provisional
from securepc.manager.search import api as search_api
from securepc.manager.setup import add_agency, make_home


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    home = tmp_path / "home"
    make_home(home)
    manager = assemble(home)
    add_agency(manager, "架空代理店")
    manager.close()
    app = create_app(home)
    app.state.manager.start()
    yield app
    app.state.manager.close()


@pytest.fixture
def log(app: FastAPI) -> bytes:
    found: bytes = app.state.manager.devices.agencies()[0]
    return found


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    token = app.state.manager.local_token
    return TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {token}"})


DEVICE = "64" * 16


def announce(app: FastAPI, log: bytes, entries: list[bytes]) -> None:
    app.state.manager.opener.announce(Provisional(log, bytes.fromhex(DEVICE), bytes(16), 1, 1, entries, 7))


def lines(client: TestClient, **parameters: Any) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/entries", params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_entries_are_streamed_whole(
    app: FastAPI, log: bytes, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_api, "_PIECE", 7)
    entries = [file_entry(n) for n in range(1, 31)] + [b"\xff not ours"]
    announce(app, log, entries)
    found = lines(client, device=DEVICE)
    assert len(found) == 31
    by_number = {int(line["entry"].split(".")[1]): line for line in found}
    first = by_number[1]
    assert first["text"].encode() == entries[0]
    assert json.loads(entries[0])["data"] == first["data"]
    assert (first["sealed"], first["leaf"], first["received_at"], first["kind"]) == (
        False,
        None,
        7,
        "file.create",
    )
    assert (by_number[31]["data"], by_number[31]["text"]) == (None, "\ufffd not ours")
    assert by_number[31]["raw"] == "/yBub3Qgb3Vycw=="
    page = lines(client, text="見積", limit=4)
    after = lines(client, text="見積", limit=4, before=f"{page[-1]['at']}.{page[-1]['entry']}")
    assert [line["entry"] for line in page + after] == [f"{DEVICE}.{n}" for n in range(30, 22, -1)]


def test_one_entry(app: FastAPI, log: bytes, client: TestClient) -> None:
    announce(app, log, [file_entry(1)])
    name = f"{DEVICE}.1"
    answer = client.get(f"/api/v1/entries/{name}")
    assert answer.status_code == 200
    assert (answer.json()["text"].encode(), answer.json()["epoch"]) == (file_entry(1), 1)
    assert client.get(f"/api/v1/entries/{name}9").status_code == 404
    wrong = client.get("/api/v1/entries/nonsense")
    assert wrong.status_code == 400 and wrong.json()["error"]["code"] == "query"
    assert wrong.json()["error"]["ja"].endswith("。")


@pytest.mark.parametrize(
    "query", ["form=1", "limit=0", "from=yesterday", "device=nobody", "text=" + "x" * 501]
)
def test_a_question_that_cannot_be_answered_is_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/v1/entries?{query}")
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"code", "ja", "en"}


def test_nobody_searches_without_a_token(app: FastAPI) -> None:
    stranger = TestClient(app, base_url="http://127.0.0.1")
    assert stranger.get("/api/v1/entries").status_code == 401
    assert stranger.get("/api/v1/entries/x").status_code == 401


def test_every_search_and_look_is_written_down(app: FastAPI, log: bytes, client: TestClient) -> None:
    announce(app, log, [file_entry(1)])
    lines(client, text="見積", kind="file.*")
    client.get(f"/api/v1/entries/{DEVICE}.1")
    found = lines(client, kind="admin.*")
    with app.state.manager.database.read() as session:
        rows = [json.loads(row.entry) for row in session.scalars(select(AuditEntry))]
    acts = [(row["kind"], row["user"], row["data"]) for row in rows] + [
        (line["kind"], line["user"], line["data"]) for line in found
    ]
    assert ("admin.search", "cli", {"query": "kind=file.* text=見積"}) in acts
    assert ("admin.view", "cli", {"entry": f"{DEVICE}.1"}) in acts


def test_a_damaged_file_is_said_and_built_again(app: FastAPI, log: bytes, client: TestClient) -> None:
    manager = app.state.manager
    manager.opener.close()  # the follower is fed by this test alone
    store = manager.search._store
    ledger = Ledger(log)
    ledger.accept([file_entry(n) for n in range(500)])
    follower = next(each for each in manager.opener._followers if each.name == "search")
    position = follower.position(log)
    follower.follow(log, [replace(ledger.opened[0], index=position)], position + 1)
    store.flush(force=True)
    path = next(store.folder.rglob("*.parquet"))
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, len(data) // 2):
        data[place] ^= 0xFF
    path.write_bytes(data)
    answer = client.get("/api/v1/entries", params={"text": "見積"})
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "index"
    assert not list(store.folder.rglob("*.parquet"))
    assert client.get("/api/v1/entries", params={"text": "見積"}).status_code == 200
