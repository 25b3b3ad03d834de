"""`/api/v1`: devices, tokens, ledger; each agency sees its own."""

from __future__ import annotations

import httpx
from running_manager import Running
from tiny_device import Device

from securepc.manager.accounts.tokens import Tokens


def client(running: Running, log: bytes, role: str = "admin") -> httpx.Client:
    token = Tokens(running.manager.database).make(log, "自動処理", role, days=1, actor="test")
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=f"{running.address}/api/v1", headers=headers)


def test_from_token_to_revocation(running: Running) -> None:
    http = client(running, running.log)
    answer = http.post("/devices/tokens", json={"label": "第一営業部", "uses": 3, "approval": True})
    assert answer.status_code == 201
    device = Device(answer.json()["token"], address=running.address, name="営業-01")
    assert device.ask().status_code == 202
    (seen,) = http.get("/devices").json()
    assert (seen["device"], seen["name"], seen["state"]) == (device.handle.hex(), "営業-01", "pending")
    base = f"/devices/{device.handle.hex()}"
    assert http.post(f"{base}/decision", json={"approve": True}).json()["state"] == "enrolled"
    assert http.post(f"{base}/decision", json={"approve": True}).status_code == 409
    device.enrol()
    device.send(device.seal_batch([b"1", b"2"]))
    seen = http.get(base).json()
    assert (seen["batches"], seen["entries"], seen["user"]) == (1, 2, "架空 太郎")
    assert http.patch(base, json={"name": "営業-02", "user": "架空 花子"}).json()["name"] == "営業-02"
    assert http.post(f"{base}/revoke", json={"reason": "返却"}).json()["state"] == "revoked"
    assert device.try_send(device.seal_batch([])).status_code == 403


def test_roles_and_agencies_are_apart(running: Running) -> None:
    first, second = running.manager.devices.agencies()
    device = running.device(first)
    base = f"/devices/{device.handle.hex()}"
    auditor, stranger = client(running, first, "auditor"), client(running, second, "owner")
    assert auditor.get(base).status_code == 200
    assert auditor.post(f"{base}/revoke", json={"reason": "x"}).status_code == 403
    assert auditor.post("/devices/tokens", json={}).status_code == 403
    for answer in (
        stranger.get(base),
        stranger.patch(base, json={"name": "x"}),
        stranger.post(f"{base}/revoke", json={"reason": "x"}),
        stranger.get("/devices/nonsense"),
    ):
        assert answer.status_code == 404
    assert stranger.get("/devices").json() == []
    assert httpx.get(f"{running.address}/api/v1/devices").status_code == 401
    device.heartbeat()


def test_ledger_and_health(running: Running) -> None:
    device = running.device()
    (index,) = device.send(device.seal_batch([b"x"]))
    running.wait_judged(index)
    seen = client(running, running.log).get("/ledger").json()
    assert seen["log"] == running.log.hex() and seen["size"] >= device.size and seen["judged"] > index
    assert bytes.fromhex(seen["root"]) == device.root or seen["size"] > device.size
    assert httpx.get(f"{running.address}/healthz").json()["status"] == "ok"
    metrics = httpx.get(f"{running.address}/metrics").text
    assert "securepc_batches_total 1\n" in metrics and "securepc_healthy 1\n" in metrics
    assert device.handle.hex() not in metrics
    assert "/api/v1/devices/tokens" in httpx.get(f"{running.address}/api/openapi.json").text
