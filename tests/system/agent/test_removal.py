"""`securepc agent remove`: what was undone is said and recorded, and decides whether the program may go."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from running_manager import Keeper, wait_for

from securepc.agent.service import Agent
from securepc.cli.agent import command

Pc = Callable[..., Agent]


class Door:
    def __init__(self, name: str, error: str = "") -> None:
        self.name, self.error = name, error

    def remove(self) -> None:
        if self.error:
            raise RuntimeError(self.error)


def remove(home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str, doors: tuple[Door, ...]) -> Result:
    monkeypatch.setattr("securepc.agent.removal.platform.doors", lambda context: doors)
    monkeypatch.setenv("SECUREPC_LANG", "en")
    return CliRunner().invoke(command, ["remove", "--home", str(home), *arguments])


def told(keeper: Keeper, agent: Agent) -> list[str]:
    """What entries of removal say that have reached the ledger."""
    mine = [one for one in keeper.seen if one.header.device == agent.config.device]
    entries = [json.loads(line) for one in mine for line in one.entries or ()]
    return [entry["data"]["detail"] for entry in entries if entry["kind"] == "agent.removed"]


def test_a_removal_is_undone_told_and_erased(
    pc: Pc, keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = pc("agent")
    agent.start()
    running = remove(tmp_path, monkeypatch, doors=())
    assert running.exit_code and "running" in str(running.exception)
    agent.stop()
    done = remove(tmp_path, monkeypatch, "--purge", doors=(Door("web"), Door("shutter")))
    assert done.exit_code == 0, done.output
    assert "web: undone" in done.output and "the manager has been told" in done.output
    wait_for(lambda: told(keeper, agent))
    assert told(keeper, agent) == ["undone: web, shutter"]
    assert not (tmp_path / "agent").exists()
    again = remove(tmp_path, monkeypatch, doors=(Door("web"),))
    assert (again.exit_code, again.output) == (0, "there is nothing to undo on this PC.\n")


def test_what_cannot_be_undone_keeps_the_program_until_it_is_given_up(
    pc: Pc, keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = pc("agent")
    agent.start()
    agent.stop()
    doors = (Door("web"), Door("ghost", "its content is still there"))
    refused = remove(tmp_path, monkeypatch, "--purge", doors=doors)
    assert refused.exit_code and "ghost" in str(refused.exception)
    assert "ghost: NOT undone (RuntimeError: its content is still there)" in refused.output
    wait_for(lambda: told(keeper, agent))
    assert told(keeper, agent)[0].startswith("undone: web; left: ghost: RuntimeError: its content")
    assert (tmp_path / "agent" / "agent.toml").exists()
    given_up = remove(tmp_path, monkeypatch, "--abandon", doors=doors)
    assert given_up.exit_code == 0
    assert not (tmp_path / "agent").exists()


def test_a_removal_goes_on_where_no_manager_hears_it(
    pc: Pc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = pc("agent")
    agent.start()
    agent.stop()
    monkeypatch.setattr("securepc.agent.removal.FAREWELL", 0.5)
    path = tmp_path / "agent" / "agent.toml"
    path.write_text(path.read_text().replace(agent.config.address, "http://127.0.0.1:9"))
    done = remove(tmp_path, monkeypatch, doors=(Door("web"),))
    assert done.exit_code == 0
    assert "the manager could not be told" in done.output
