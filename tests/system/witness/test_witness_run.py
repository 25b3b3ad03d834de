"""`securepc witness run` over HTTP, killed and started again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from any_log import Log

from securepc.ledger import checkpoint as checkpoints
from securepc.ledger import note
from securepc.wire.keys import verify


@contextmanager
def running(home: Path, trust: Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    command = [sys.executable, "-m", "securepc", "witness", "run", "--home", str(home), "--port", "0"]
    process = subprocess.Popen([*command, "--trust", str(trust), "--json"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield process, ready["url"], ready["vkey"]
    finally:
        process.kill()
        process.wait()


def ask(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    path = tmp_path / "policy"
    path.write_text(f"log {Log().key}\nquorum none\n", encoding="utf-8")
    return path


def test_its_word_outlives_a_kill(tmp_path: Path, trust: Path) -> None:
    log, home = Log(), tmp_path / "home"
    with running(home, trust) as (process, url, vkey):
        status, line = ask(url + "/add-checkpoint", log.request(0, 5))
        assert status == 200
        found = checkpoints.cosignatures(note.parse(log.note(5) + line), [note.parse_key(vkey)], verify)
        assert len(found) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
    with running(home, trust) as (process, url, again):
        assert again == vkey
        assert ask(url + "/add-checkpoint", Log(fork=2).request(5, 5))[0] == 422
        assert ask(url + "/add-checkpoint", log.request(0, 7)) == (409, b"5\n")
        assert ask(url + "/add-checkpoint", log.request(5, 7))[0] == 200
        assert ask(url + "/healthz") == (200, b"ok\n")
        assert ask(url + "/add-checkpoint")[0] == 405
        assert ask(url + "/nothing")[0] == 404
        assert ask(url + "/add-checkpoint", b"x" * 70_000)[0] == 413
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_what_cannot_be_a_witness_says_so_in_one_line(tmp_path: Path, trust: Path) -> None:
    def fails(home: Path, policy: Path, *more: str) -> str:
        command = [sys.executable, "-m", "securepc", "witness", "run", "--home", str(home), "--port", "0"]
        done = subprocess.run(
            [*command, "--trust", str(policy), *more],
            capture_output=True,
            text=True,
            timeout=30,
            env={"SECUREPC_LANG": "en", "PATH": ""},
        )
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        return done.stderr

    empty = tmp_path / "empty"
    empty.write_text("quorum none\n")
    assert "names no log" in fails(tmp_path / "a", empty)
    home = tmp_path / "home"
    with running(home, trust):
        pass
    assert "cannot change" in fails(home, trust, "--name", "another.example")
    (home / "witness" / "witness.key").write_bytes(b"\xff")
    assert "damaged" in fails(home, trust)
    (home / "witness" / "witness.key").unlink()
    assert "bring the key back" in fails(home, trust)
