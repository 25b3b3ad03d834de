"""The heart of it: a file made by hand on this PC is found, and proven where there is no manager."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from running_demo import RunningDemo, Tree, processes_of, run

KEYS = {"console", "login", "api", "agency", "device", "home", "trust", "auditor_token"}


def test_it_says_where_everything_is(demo: RunningDemo) -> None:
    facts = demo.facts
    assert facts.keys() == KEYS
    assert facts["console"].startswith("http://127.0.0.1:")
    assert facts["login"].startswith(facts["console"])
    assert Path(facts["home"]) == demo.tree.root / ".demo"
    assert Path(facts["trust"]).is_file()
    with urllib.request.urlopen(facts["console"].rstrip("/") + "/healthz") as answer:
        assert answer.status == 200
    with urllib.request.urlopen(facts["login"]) as answer:
        assert answer.status == 200


def test_a_file_made_by_hand_is_found_and_proven_elsewhere(demo: RunningDemo, tmp_path: Path) -> None:
    tree = demo.tree
    started = time.monotonic()
    (tree.home / "山田様-見積書-4711.txt").write_text("1,000,000")
    lines = tree.found("山田様-見積書-4711", seconds=3)
    seconds = time.monotonic() - started
    assert lines, "not found within 3 s"
    assert seconds < 3, f"found after {seconds:.1f} s"
    created = [line for line in lines if line["kind"] == "file.create"]
    assert len(created) == 1
    assert created[0]["device"] == demo.facts["device"]
    entry = created[0]["entry"]

    pack = tmp_path / "証拠.zip"
    made = tree.securepc("evidence", entry, "-o", str(pack))
    assert made.returncode == 0, made.stderr

    # A copy of the sources without the demo's home; the policy file is all that is taken along.
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tree.root / "src", elsewhere / "src")
    shutil.copy(demo.facts["trust"], elsewhere / "policy")

    def verify(file: Path) -> tuple[int, str]:
        command = [sys.executable, "-m", "securepc.verify", str(file), "--trust", "policy"]
        ran = run(command, elsewhere, {"PATH": os.defpath, "PYTHONPATH": str(elsewhere / "src")})
        return ran.returncode, ran.stdout + ran.stderr

    code, said = verify(pack)
    assert code == 0, said

    whole = pack.read_bytes()
    for place in (len(whole) // 3, len(whole) // 2, len(whole) - 30):
        changed = bytearray(whole)
        changed[place] ^= 1
        (tmp_path / "changed.zip").write_bytes(changed)
        code, said = verify(tmp_path / "changed.zip")
        assert code == 1, f"byte {place}: {code} {said}"
        assert said.strip()


def test_the_simulated_pcs_are_searchable_and_named(demo: RunningDemo) -> None:
    end = time.monotonic() + 60
    names: set[str] = set()
    while len(names) < 4 and time.monotonic() < end:
        ran = demo.tree.securepc("logs", "search", "--json", "--limit", "2000")
        assert ran.returncode == 0, ran.stderr
        lines = [json.loads(line) for line in ran.stdout.splitlines()]
        names = {line["device_name"] for line in lines if line["kind"] != "admin.search"}
        time.sleep(0.3)
    assert len(names) >= 4, names


def test_its_files_are_the_owners_alone(demo: RunningDemo) -> None:
    home = Path(demo.facts["home"])
    for name in ("manager/keys.sqlite", "manager/run/token", "agent/device.key"):
        assert (home / name).stat().st_mode & 0o077 == 0, name


def test_a_second_demo_in_the_same_folder_says_that_one_is_running(demo: RunningDemo) -> None:
    ran = demo.tree.securepc("demo", "--for", "1")
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "already running" in ran.stderr


@pytest.mark.timeout(600)
def test_stopping_and_starting_again_keeps_everything(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    first = RunningDemo(tree, "--simulate", "1")
    (tree.home / "before-the-restart.txt").write_text("1")
    assert tree.found("before-the-restart", seconds=60)
    pids = processes_of(tree)
    assert len(pids) >= 4
    code, error = first.stop()
    assert (code, error) == (0, "")
    assert not processes_of(tree)

    second = RunningDemo(tree, "--simulate", "1")
    try:
        assert second.facts["device"] == first.facts["device"]
        assert second.facts["agency"] == first.facts["agency"]
        assert second.facts["login"] != first.facts["login"]
        (line,) = [x for x in tree.found("before-the-restart", seconds=60) if x["kind"] == "file.create"]
        assert not line.get("provisional")
        assert line["sealed"]
    finally:
        code, error = second.stop()
    assert (code, error) == (0, "")


def test_for_ends_it_by_itself(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    running = RunningDemo(tree, "--simulate", "0", "--for", "1")
    out, error = running.process.communicate(timeout=60)
    assert (running.process.returncode, out, error) == (0, "", "")
    assert not processes_of(tree)


def test_the_death_of_a_part_ends_the_demo_and_is_said(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    running = RunningDemo(tree, "--simulate", "0")
    agent = next(p for p, command in processes_of(tree).items() if "agent" in command)
    os.kill(agent, 9)
    _, error = running.process.communicate(timeout=60)
    assert running.process.returncode == 2
    assert "agent" in error
    assert error.count("\n") == 1
    assert not processes_of(tree)
