"""A real authority stamps what a real manager keeps; what is no good stamp is not kept."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from authority import Authority, openssl
from running_manager import Running, make_home, wait_for
from tiny_device import Device

from securepc.manager import clock
from securepc.manager.app import assemble
from securepc.manager.config import ConfigError
from securepc.manager.search.model import EntryId, Query
from securepc.manager.stamps.client import NoStamp
from securepc.manager.stamps.model import Stamp, StampAttempt
from securepc.verify import trust
from securepc.verify.check import check
from securepc.verify.verdict import Verdict
from securepc.wire import stamps
from securepc.wire.event import Event, to_entry
from securepc.wire.keys import verify


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    with Authority(tmp_path / "tsa") as one:
        yield one


@pytest.fixture
def home(tmp_path: Path, authority: Authority) -> Path:
    home = tmp_path / "home"
    make_home(home)
    settle(home, authority)
    return home


def settle(home: Path, authority: Authority, hours: float = 24) -> None:
    (home / "manager" / "tsa.pem").write_bytes(authority.pem)
    settings = f'[stamps]\nurl = "{authority.url}"\nhours = {hours}\n'
    (home / "manager" / "config.toml").write_text(settings)


def send(device: Device) -> None:
    made = time.time_ns() // 1_000
    device.send(device.seal_batch([to_entry(Event("file.create", made, 1, "b" * 32))]))


def evidence(running: Running, entry: EntryId, home: Path, **options: bool) -> Verdict:
    stream = io.BytesIO()
    running.manager.evidence.of_entries(running.log, [entry], stream, **options)
    return check(stream, trust.load(home / "trust"), verify, stamped=stamps.check)


def cli(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "securepc", "manager", *words, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def first(running: Running) -> Stamp:
    """The one that is taken when a manager starts."""
    return wait_for(lambda: running.manager.stamps.newest(running.log))[0]


def test_evidence_carries_the_earliest_stamp_that_covers_it(
    home: Path, authority: Authority, tmp_path: Path
) -> None:
    with Running(home) as running:
        manager, log = running.manager, running.log
        begun = first(running)
        assert begun.authority == "架空時刻認証局, Fictional TSA"
        device = running.device()
        send(device)
        assert evidence(running, EntryId(device.handle, 1), home).stamp is None, "none covers it yet"
        (home / "manager" / "run").mkdir(exist_ok=True)
        (home / "manager" / "run" / "address").write_text(running.address)
        (home / "manager" / "run" / "token").write_text(manager.local_token)
        said = cli(home, "stamp", "--json")
        assert said.returncode == 0, said.stderr
        made = json.loads(said.stdout)
        covered = evidence(running, EntryId(device.handle, 1), home).stamp
        assert covered and (covered.size, covered.time) == (made["size"], made["time"])
        send(device)
        later = manager.stamps.stamp(log, "test")
        assert later.size > made["size"]
        still = evidence(running, EntryId(device.handle, 1), home).stamp
        assert still == covered, "the earliest says most"
        assert evidence(running, EntryId(device.handle, 1), home, stamped=False).stamp is None

        # Another program for RFC 3161 reads what is kept.
        (tmp_path / "text").write_bytes(later.text)
        (tmp_path / "answer").write_bytes(later.response)
        kept = ("-data", tmp_path / "text", "-in", tmp_path / "answer")
        openssl("ts", "-verify", *kept, "-CAfile", authority.folder / "chain.pem")

        # Each stamp is an entry, and so a later stamp covers it.
        def entries() -> list[EntryId]:
            found = manager.search.search(log, Query(kinds=("admin.stamp",), limit=9))
            return [EntryId(bytes.fromhex(one.device), one.sequence) for one in found]

        manager.audit.hurry(log)
        oldest = wait_for(lambda: entries() if len(entries()) >= 3 else None)[-1]
        evidence(running, oldest, home)  # has it sealed
        renewed = manager.stamps.stamp(log, "test")
        shown = evidence(running, oldest, home)
        assert shown.stamp and begun.size < shown.stamp.size <= renewed.size
        text = shown.entries[0].text
        assert text and json.loads(text)["data"]["stamped"] == begun.time


def test_what_is_no_good_stamp_is_not_kept(home: Path, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "別の認証局")
    old = authority.answer(stamps.ask(b"something else").data)
    with Running(home) as running:
        manager, log = running.manager, running.log
        kept = first(running)
        send(running.device())
        requests: list[bytes] = []
        plain = authority.answer

        def remembered(body: bytes) -> bytes:
            requests.append(body)
            return plain(body)

        authority.answer = remembered  # type: ignore[method-assign]
        for mangle, status, trouble in (
            (lambda answer: old, 200, "wrong"),
            (lambda answer: answer[:-1], 200, "wrong"),
            (lambda answer: bytes(200_000), 200, "wrong"),
            (lambda answer: other.answer(requests[-1]), 200, "wrong"),
            (lambda answer: answer, 503, "refused"),
        ):
            authority.mangle, authority.status = mangle, status
            with pytest.raises(NoStamp) as none:
                manager.stamps.stamp(log, "test")
            assert none.value.trouble == trouble
        assert [one.size for one in manager.stamps.newest(log, 9)] == [kept.size]
        attempt = manager.stamps.attempt(log)
        assert attempt and (attempt.failed, attempt.detail) == (5, "HTTP 503")

        # None for days is an alarm, which the next good one closes.
        assert not running.alerts("stamp-late") and not manager.stamps.late()
        with manager.database.write() as session:
            row = session.get(StampAttempt, log)
            assert row
            row.since -= 4 * clock.DAY
        assert "stamp-late" in manager.health.problems()
        with pytest.raises(NoStamp):
            manager.stamps.stamp(log, "test")
        assert running.alerts("stamp-late")
        authority.mangle, authority.status = lambda answer: answer, 200
        manager.stamps.stamp(log, "test")
        assert not running.alerts("stamp-late")
        assert "stamp-late" not in manager.health.problems()


def test_it_is_taken_every_so_often(home: Path, authority: Authority) -> None:
    settle(home, authority, hours=0.2 / 3600)
    with Running(home) as running:
        first(running)
        send(running.device())
        wait_for(lambda: len(running.manager.stamps.newest(running.log, 9)) >= 2)
    settle(home, authority)
    asked = authority.asked
    with Running(home) as running:
        send(running.device())
        running.manager.stamps.stamp(running.log, "test")
        assert authority.asked == asked + 1, "none was due by itself"


def test_what_is_there_is_listed_and_strangers_get_nothing(home: Path) -> None:
    with Running(home) as running:
        kept = first(running)
        with httpx.Client(base_url=running.address) as people:
            people.headers["Authorization"] = f"Bearer {running.manager.local_token}"
            assert [one["size"] for one in people.get("/api/v1/stamps").json()] == [kept.size]
        assert httpx.get(f"{running.address}/api/v1/stamps").status_code == 401
        assert httpx.post(f"{running.address}/api/v1/stamps").status_code == 401
        assert httpx.get(f"{running.address}/ledger/stamps/{kept.size}.tsr").status_code != 200
        figures = running.manager.health.figures()
        assert any(re.fullmatch(r"stamp_time_seconds\{.*", name) for name in figures)


def test_an_authority_without_certificates_is_refused(home: Path) -> None:
    for data in (None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        path = home / "manager" / "tsa.pem"
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(ConfigError, match=r"tsa\.pem"):
            assemble(home)
