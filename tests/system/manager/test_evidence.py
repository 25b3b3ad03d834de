"""Evidence of a real manager, judged by the auditor's tool, which never saw that manager."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_manager import Running, wait_for
from tiny_device import Device

from securepc.manager.evidence import service as evidence_service
from securepc.verify import trust
from securepc.verify.check import check
from securepc.verify.verdict import NotValid, Verdict
from securepc.wire.event import Event, to_entry
from securepc.wire.signed.evidence import Range

HOUR = 3_600_000_000
START = 1_795_400_000_000_000


def entry(number: int, *, at: int = START) -> bytes:
    return to_entry(
        Event(
            "file.create",
            at + number,
            number,
            "b" * 32,
            "架空 太郎",
            data={"path": f"/家/見積_{number}.xlsx"},
        )
    )


class Office:
    """A client of the API, and the auditor's trust, taken from the manager's folder beforehand."""

    def __init__(self, running: Running, home: Path) -> None:
        self.running = running
        self.trust = trust.load(home / "trust")
        headers = {
            "Authorization": f"Bearer {running.manager.local_token}",
            "SecurePC-Agency": running.log.hex(),
        }
        self.http = httpx.Client(base_url=running.address, timeout=60, headers=headers)

    def ask(self, **body: Any) -> httpx.Response:
        return self.http.post("/api/v1/evidence", json=body)

    def pack(self, **body: Any) -> bytes:
        answer = self.ask(**body)
        assert answer.status_code == 200, answer.text
        assert int(answer.headers["content-length"]) == len(answer.content)
        return answer.content

    def verdict(self, data: bytes) -> Verdict:
        return check(io.BytesIO(data), self.trust)

    def found(self, **parameters: Any) -> list[dict[str, Any]]:
        answer = self.http.get("/api/v1/entries", params=parameters)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def wait_for(self, count: int, **parameters: Any) -> list[dict[str, Any]]:
        return wait_for(lambda: (found := self.found(**parameters)) and len(found) == count and found)


@pytest.fixture
def office(running: Running, home: Path) -> Iterator[Office]:
    office = Office(running, home)
    yield office
    office.http.close()


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error["ja"].endswith("。") and error["en"]
    return error


@contextmanager
def sealing_on_demand(device: Device, lines: list[bytes]) -> Iterator[None]:
    """An agent that seals its open lines when it is told to."""
    done = threading.Event()
    failed: list[BaseException] = []

    def agent() -> None:
        try:
            while not done.is_set():
                answer = device.call("GET", "wait?counter=0")
                if answer.status_code == 200 and answer.json()["seal"]:
                    device.send(device.seal_batch(lines))
                    return
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=agent)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(30)
    assert not failed, failed


def test_a_selection_is_proven_without_its_neighbours(running: Running, office: Office) -> None:
    device = running.device(name="営業1号機")
    device.send(*(device.seal_batch([entry(n) for n in range(start, start + 10)]) for start in (1, 11, 21)))
    wanted = [f"{device.handle.hex()}.{n}" for n in (3, 4, 17)]
    data = office.pack(entries=wanted)
    verdict = office.verdict(data)
    assert [(one.sequence, one.text) for one in verdict.entries] == [(n, entry(n)) for n in (3, 4, 17)]
    assert verdict.claim is None and verdict.block_signed
    lines = zipfile.ZipFile(io.BytesIO(data)).read("batches.jsonl")
    assert "見積_5" not in lines.decode() and "key" not in json.loads(lines.splitlines()[0])


def test_what_a_search_finds_is_proven(running: Running, office: Office) -> None:
    devices = [running.device(name=f"営業{n}号機") for n in (1, 2)]
    for device in devices:
        device.send(device.seal_batch([entry(n) for n in range(1, 31)]))
    assert len(office.wait_for(22, text="見積_1")) == 22
    verdict = office.verdict(office.pack(query={"text": "見積_1"}))
    numbers = [1, *range(10, 20)]
    assert sorted((one.device, one.sequence) for one in verdict.entries) == sorted(
        (device.handle, n) for device in devices for n in numbers
    )
    whole = office.pack(query={"device": "営業2号機", "kind": ["file.*"]})
    assert {one.device for one in office.verdict(whole).entries} == {devices[1].handle}
    # All of a batch: its key says it in less than thirty paths.
    assert "key" in json.loads(zipfile.ZipFile(io.BytesIO(whole)).read("batches.jsonl").splitlines()[0])


def test_a_range_is_complete_with_its_empty_batches(running: Running, office: Office) -> None:
    device = running.device(name="営業1号機")
    sizes = (5, 0, 3, 0, 0, 4)
    batches, first = [], 1
    for hour, size in enumerate(sizes):
        batches.append(
            device.seal_batch([entry(n, at=START + hour * HOUR) for n in range(first, first + size)])
        )
        first += size
    device.send(*batches)
    for ends in ((1, 12), (3, 7), (6, 8), (5, 9), (9, 9)):
        data = office.pack(range={"device": "営業1号機", "from": ends[0], "to": ends[1]})
        verdict = office.verdict(data)
        assert verdict.claim == Range(device.handle, *ends)
        assert [one.sequence for one in verdict.entries] == list(range(ends[0], ends[1] + 1))
    office.wait_for(12, device="営業1号機")
    period = {"from": "2026-11-23T02:13:20+00:00", "to": "2026-11-23T05:00:00+00:00"}
    data = office.pack(range={"device": device.handle.hex(), **period})
    assert office.verdict(data).claim == Range(device.handle, 1, 8)
    error = refused(office.ask(range={"device": "営業1号機", "from": 3, "to": 13}), 404, "beyond")
    assert "営業1号機" in error["ja"] and error["last"] == 12
    refused(office.ask(range={"device": "営業1号機", "from": 4, "to": 3}), 404, "beyond")


@pytest.mark.parametrize("how", ["entries", "query", "range"])
def test_what_is_provisional_is_sealed_first(running: Running, office: Office, how: str) -> None:
    device = running.device(name="営業1号機")
    device.send(device.seal_batch([entry(1), entry(2)]))
    lines = [entry(n) for n in range(3, 8)]
    assert device.announce(lines).status_code == 204
    assert [one["sealed"] for one in office.wait_for(7, text="見積")] == [False] * 5 + [True] * 2
    body: dict[str, Any] = {
        "entries": {"entries": [f"{device.handle.hex()}.{n}" for n in (2, 5)]},
        "query": {"query": {"text": "見積"}},
        "range": {"range": {"device": "営業1号機", "from": 2, "to": 7}},
    }[how]
    with sealing_on_demand(device, lines):
        data = office.pack(**body)
    numbers = {"entries": [2, 5], "query": [1, 2, 3, 4, 5, 6, 7], "range": [2, 3, 4, 5, 6, 7]}[how]
    assert [one.sequence for one in office.verdict(data).entries] == numbers


def test_a_device_that_does_not_seal_is_named(
    running: Running, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_service, "SEAL_SECONDS", 0.3)
    device = running.device(name="出張用PC")
    device.announce([entry(1), entry(2)])
    error = refused(office.ask(entries=[f"{device.handle.hex()}.2"]), 409, "not-sealed")
    assert "出張用PC" in error["ja"] and "2件" in error["ja"]


@pytest.mark.parametrize("revoked", [True, False])
def test_one_pc_that_does_not_seal_does_not_keep_the_others_from_being_proven(
    running: Running, office: Office, monkeypatch: pytest.MonkeyPatch, revoked: bool
) -> None:
    """A stolen PC's last lines may never be sealed: what a search finds is proven without them, and said."""
    if not revoked:
        monkeypatch.setattr(evidence_service, "SEAL_SECONDS", 0.3)
    good, stolen = running.device(), running.device()
    good.send(good.seal_batch([entry(1), entry(2)]))
    stolen.send(stolen.seal_batch([entry(3)]))
    stolen.announce([entry(4), entry(5)])
    office.wait_for(5, text="見積")
    if revoked:
        assert running.manager.devices.revoke(running.log, stolen.handle, "盗難", actor="test")
    started = time.monotonic()
    answer = office.ask(query={"text": "見積"})
    assert time.monotonic() - started < 10
    assert answer.status_code == 200, answer.text
    assert answer.headers["SecurePC-Not-Sealed"] == "2"
    assert {one.sequence for one in office.verdict(answer.content).entries} == {1, 2}
    assert len(office.verdict(answer.content).entries) == 3
    error = refused(office.ask(entries=[f"{stolen.handle.hex()}.3"]), 409, "not-sealed")
    assert ("失効" in error["ja"]) is revoked


def test_what_cannot_be_proven_says_why(running: Running, office: Office) -> None:
    device, other = running.device(), running.device(log=running.manager.devices.agencies()[1])
    device.send(device.seal_batch([entry(1)]))
    other.send(other.seal_batch([entry(1)]))
    for name in (f"{device.handle.hex()}.2", f"{device.handle.hex()}.0", f"{other.handle.hex()}.1"):
        refused(office.ask(entries=[name]), 404, "no-such-entry")
    refused(office.ask(range={"device": other.handle.hex(), "from": 1, "to": 1}), 404, "beyond")
    refused(office.ask(entries=[]), 404, "nothing-found")
    refused(office.ask(query={"text": "無いもの"}), 404, "nothing-found")
    refused(office.ask(entries=["x"]), 400, "query")
    refused(office.ask(query={"form": "x"}), 400, "query")
    refused(office.ask(range={"device": "nobody", "from": 1, "to": 1}), 400, "query")
    refused(office.ask(), 400, "malformed")
    refused(office.ask(entries=[], query={}), 400, "malformed")
    refused(office.ask(surprise=1), 400, "malformed")
    refused(office.http.post("/api/v1/evidence", content=b"x" * (17 << 20)), 413, "too-large")
    assert httpx.post(f"{running.address}/api/v1/evidence", content=b"{}").status_code == 401


def test_an_unreadable_batch_is_left_out_and_said(running: Running, office: Office) -> None:
    device = running.device()
    device.send(device.seal_batch([entry(1)]), device.seal_batch([entry(2)], intake=os.urandom(32)))
    office.wait_for(2, device=device.handle.hex())
    answer = office.ask(query={"device": device.handle.hex()})
    assert answer.headers["SecurePC-Left-Out"] == "1"
    assert [one.sequence for one in office.verdict(answer.content).entries] == [1]
    refused(office.ask(entries=[f"{device.handle.hex()}.2"]), 409, "unreadable")


def test_what_expired_is_gone_and_said(running: Running, office: Office) -> None:
    device = running.device()
    running.wait_judged(*device.send(device.seal_batch([entry(1)])))  # its key is kept with its month now
    running.manager.keys.destroy_month(running.log, running.manager.keys.months(running.log)[0])
    refused(office.ask(entries=[f"{device.handle.hex()}.1"]), 409, "unreadable")


def test_administrators_acts_are_proven_too(running: Running, office: Office) -> None:
    office.found(text="顧客名簿")
    # Looking for it is an act as well: the oldest is the one.
    *_, search = wait_for(lambda: office.found(kind="admin.search", text="text=顧客名簿"))
    data = office.pack(entries=[search["entry"]])
    (proven,) = office.verdict(data).entries
    assert json.loads(proven.text or b"")["user"] == "cli"
    assert wait_for(lambda: office.found(kind="admin.export", text=search["entry"]))


def test_a_changed_byte_is_refused(running: Running, office: Office, tmp_path: Path, home: Path) -> None:
    device = running.device()
    device.send(device.seal_batch([entry(n) for n in range(1, 9)]))
    data = office.pack(entries=[f"{device.handle.hex()}.{n}" for n in (2, 3)])
    for place in range(0, len(data), 97):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(NotValid):
            office.verdict(bytes(changed))
    pack = tmp_path / "proof.zip"
    for content, code in ((data, 0), (data[:700] + bytes([data[700] ^ 1]) + data[701:], 1)):
        pack.write_bytes(content)
        command = [sys.executable, "-m", "securepc.verify", str(pack), "--trust", str(home / "trust")]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == code, run.stdout + run.stderr
