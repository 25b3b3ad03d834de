"""`securepc pc` against a real socket: exit codes and one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from securepc.agent.local.server import LocalServer, Refused
from securepc.cli import main

MEDIUM = {"id": "1-1", "kind": "usb", "name": "架空\x1b[2Jスティック", "serial": "S1"}


@pytest.fixture
def pc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LocalServer, list[dict[str, Any]]]]:
    monkeypatch.setenv("SECUREPC_HOME", str(tmp_path))
    monkeypatch.setenv("SECUREPC_LANG", "ja")
    local, asked = LocalServer(tmp_path / "agent" / "run" / "agent.sock"), list[dict[str, Any]]()

    def keep(peer: object, question: dict[str, Any]) -> dict[str, Any]:
        asked.append(question)
        return {"taken": True, "challenge": "7K3M-9QXD", "on": True, "open": True, "folder": "/ghost"}

    for name in ("shutter.request", "shutter.challenge", "shutter.answer", "network.request"):
        local.on(name, keep)
    for name in ("software-request", "ghost.state", "ghost.open", "ghost.pin", "lock.challenge"):
        local.on(name, keep)
    local.on("shutter.media", lambda *_: {"on": True, "longest": 480, "media": [MEDIUM]})
    local.on("lock", lambda *_: {"locked": False})
    local.start()
    yield local, asked
    local.stop()


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["pc", *arguments])
    return int(left.value.code or 0)


def test_requests_are_asked(pc: Any, capsys: pytest.CaptureFixture[str]) -> None:
    _, asked = pc
    assert run("request-usb", "--purpose", "見積書", "--minutes", "5", "--write") == 0
    assert asked[-1] | {"ask": ""} == {
        "ask": "",
        "medium": "1-1",
        "purpose": "見積書",
        "minutes": 5,
        "access": "write",
    }
    assert "申請を記録しました" in capsys.readouterr().out
    assert run("request-network", "--purpose", "支店") == 0
    assert asked[-1]["purpose"] == "支店"
    assert run("request-software", "見積ソフト", "--reason", "業務") == 0
    assert run("ghost", "open") == 0
    assert "/ghost" in capsys.readouterr().out
    assert run("code") == 0


def test_what_media_say_gives_the_terminal_no_orders(pc: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("request-usb", "--list") == 0
    said = capsys.readouterr().out
    assert "架空" in said
    assert "\x1b" not in said


def test_the_agents_no_is_exit_code_1_and_no_agent_2(pc: Any, capsys: pytest.CaptureFixture[str]) -> None:
    local, _ = pc

    def refuse(*_: object) -> dict[str, Any]:
        raise Refused("too-many", "申請が多すぎます。", "too many requests")

    local.on("network.request", refuse)
    assert run("request-network", "--purpose", "x") == 1
    assert capsys.readouterr().err == "エラー: 申請が多すぎます。\n"
    assert run("request-usb") == 2
    local.on("status", lambda *_: {"garbled": True})
    assert run("status") == 2
    local.stop()
    assert run("status") == 2
    assert "接続できません" in capsys.readouterr().err.splitlines()[-1]
