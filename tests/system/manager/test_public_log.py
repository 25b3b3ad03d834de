"""Checkpoints are public, tiles need an auditor's token; both rebuild the log (C2SP tlog-tiles)."""

from __future__ import annotations

import struct

import httpx
from running_manager import Running

from securepc.ledger import checkpoint, merkle, note
from securepc.manager.accounts.tokens import Tokens
from securepc.wire import keys


def test_a_log_can_be_rebuilt_from_its_tiles(running: Running) -> None:
    device = running.device()
    for _ in range(3):
        device.send(*[device.seal_batch([b"x"]) for _ in range(60)])
    device.send(*[device.seal_batch([]) for _ in range(60)])
    device.send(*[device.seal_batch([]) for _ in range(60)])
    http = httpx.Client(base_url=f"{running.address}/logs/{running.log.hex()}")
    text = http.get("/checkpoint")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    policy = (running.manager.home.trust / "policy").read_text()
    key = note.parse_key(policy.split("\n")[0].removeprefix("log "))
    found = checkpoint.verify(text.content, key, keys.verify)
    assert found.size > 300
    assert http.get("/tile/0/000").status_code == 401
    token = Tokens(running.manager.database).make(running.log, "監査人", "auditor", days=1, actor="test")
    http.headers["Authorization"] = f"Bearer {token}"
    leaves, hashes = [], []
    for n, width in ((0, 256), (1, found.size - 256)):
        path = f"{n:03d}" + ("" if width == 256 else f".p/{width}")
        bundle = http.get(f"/tile/entries/{path}")
        assert bundle.status_code == 200 and "immutable" in bundle.headers["cache-control"]
        data = bundle.content
        while data:
            (size,) = struct.unpack_from(">H", data)
            leaves.append(data[2 : 2 + size])
            data = data[2 + size :]
        tile = http.get(f"/tile/0/{path}").content
        hashes += [tile[i : i + 32] for i in range(0, len(tile), 32)]
    assert [merkle.leaf_hash(one) for one in leaves] == hashes
    assert merkle.root(hashes) == found.root
    assert http.get("/tile/1/000.p/1").content == merkle.root(hashes[:256])


def test_paths_that_are_not(running: Running) -> None:
    token = Tokens(running.manager.database).make(running.log, "監査人", "auditor", days=1, actor="test")
    http = httpx.Client(base_url=running.address, headers={"Authorization": f"Bearer {token}"})
    base = f"/logs/{running.log.hex()}"
    for path in (
        "/logs/xyz/checkpoint",
        f"/logs/{bytes(16).hex()}/checkpoint",
        f"/logs/{running.log.hex().upper()}/checkpoint",
        f"{base}/tile/0/000",
        f"{base}/tile/0/000.p/0",
        f"{base}/tile/0/000.p/256",
        f"{base}/tile/0/x000/000",
        f"{base}/tile/0/0",
        f"{base}/tile/64/000",
        f"{base}/tile/00/000.p/1",
        f"{base}/tile/entries/x999/x999/x999/x999/x999/999.p/1",
        f"{base}/tile/0/../../../../etc/passwd",
    ):
        assert http.get(path).status_code == 404, path


def test_another_agencys_token_opens_nothing(running: Running) -> None:
    first, second = running.manager.devices.agencies()
    token = Tokens(running.manager.database).make(second, "監査人", "auditor", days=1, actor="test")
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{running.address}/logs/{first.hex()}/tile/0/000.p/1"
    assert httpx.get(url, headers=headers).status_code == 401
    url = f"{running.address}/logs/{second.hex()}/tile/0/000.p/1"
    assert httpx.get(url, headers=headers).status_code == 200
