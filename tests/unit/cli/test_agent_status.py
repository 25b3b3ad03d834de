"""`securepc agent status` as a person reads it: nothing stale is passed off as so."""

import time
from pathlib import Path
from typing import Any

import click.testing
import pytest

from securepc.agent import config as configs
from securepc.agent import status
from securepc.cli.agent import command
from securepc.ledger import note
from securepc.wire import keys

AT = 1_795_408_011_421_275
STATUS: dict[str, Any] = {
    "enrolled": True,
    "running": True,
    "device": "11" * 16,
    "at": AT,
    "epoch": 3,
    "durable": 12,
    "sealed": 10,
    "acknowledged": 2,
    "queue": {"batches": 2, "bytes": 1_200_000, "unsent": 0},
    "journal": {"waiting": 0, "lost": 0, "free": 1, "trouble": ""},
    "last_contact": AT,
    "error": {"at": AT, "code": "x", "ja": "\x1b[31m赤\x07", "en": "\x1b]0;title\x07"},
    "policy": {"version": "1.2", "expires": AT},
    "collectors": {"files": {"state": "running", "ja": "", "en": ""}},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    folder = tmp_path / "agent"
    folder.mkdir()
    public = keys.SigningKey(bytes(32)).public
    log_key = note.VerifierKey("securepc/" + "22" * 16, note.ED25519, public)
    configs.write(
        folder,
        configs.Config("http://127.0.0.1:1", public, b"\x22" * 16, b"\x11" * 16, log_key, public, public),
    )
    status.write(folder, STATUS)
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


def shown(home: Path, language: str) -> str:
    runner = click.testing.CliRunner(env={"SECUREPC_LANG": language})
    answer = runner.invoke(command, ["status", "--home", str(home)])
    assert answer.exit_code == 0, answer.output
    return answer.output


@pytest.mark.parametrize("language", ["ja", "en"])
def test_times_name_their_zone_and_a_terminal_gets_no_orders(home: Path, language: str) -> None:
    with status.locked(home / "agent"):
        text = shown(home, language)
    assert "2026-11-23 13:26:51 JST" in text
    assert "\x1b" not in text and "\x07" not in text
    assert {"ja": "ファイル: 収集中", "en": "files: running"}[language] in text


def test_an_agent_that_was_ended_by_force_does_not_collect(home: Path) -> None:
    text = shown(home, "ja")
    assert "停止中(以下は 2026-11-23 13:26:51 JST 時点)" in text
    assert "ファイル: 停止" in text
    told = status.read(home / "agent")
    assert told is not None and told["collectors"]["files"]["state"] == "off"
