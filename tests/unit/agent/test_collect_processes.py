"""Programs are seen for real: a child process with its hash, its command line, its end."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from securepc.agent.collect.processes import ProcessesCollector, shorten
from securepc.agent.platform.linux.polling import ProcessList
from securepc.agent.platform.linux.processes import Processes
from securepc.wire.policy import default_rules

if TYPE_CHECKING:
    from collecting import Gathered, Rules

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]


@pytest.fixture
def observe(context: Context, gathered: Gathered) -> Iterator[Callable[..., ProcessesCollector]]:
    started: list[ProcessesCollector] = []

    def start(*ways: Callable[[], Any]) -> ProcessesCollector:
        collector = ProcessesCollector(context, ways or [lambda: ProcessList(Processes())])
        collector.start(gathered.emit)
        started.append(collector)
        return collector

    yield start
    for collector in started:
        collector.stop()


def of(gathered: Gathered, kind: str, pid: int) -> dict[str, Any] | None:
    return next((data for data in gathered.of(kind) if data["pid"] == pid), None)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program of our own, so that its hash is not one that was computed before."""
    program = tmp_path / "見積計算"
    shutil.copy(os.path.realpath(shutil.which("sleep") or "/bin/sleep"), program)
    return program


def test_a_program_is_seen_with_its_hash_and_its_end(
    observe: Callable, gathered: Gathered, program: Path
) -> None:
    collector = observe()
    with subprocess.Popen([program, "60"]) as child:
        started = gathered.until(lambda g: of(g, "process.start", child.pid))
        child.kill()
    assert started["exe"] == str(program)
    assert started["sha256"] == hashlib.sha256(program.read_bytes()).hexdigest()
    assert started["command"] == f"{program} 60"
    assert started["process"] == "見積計算"
    assert started["parent_pid"] == os.getpid()
    stopped = gathered.until(lambda g: of(g, "process.stop", child.pid))
    assert stopped["exe"] == str(program)
    assert stopped["ran"] > 0
    event = next(e for e in gathered.events if e.kind == "process.start" and e.data["pid"] == child.pid)
    assert event.user
    status = collector.status()
    assert status.state == "degraded"
    assert "1秒未満" in status.ja


def test_a_long_command_line_is_shortened_and_says_so(
    observe: Callable, gathered: Gathered, program: Path
) -> None:
    observe()
    argument = "見積" * 2_000
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", argument, "a b"]) as child:
        started = gathered.until(lambda g: of(g, "process.start", child.pid))
        child.kill()
    assert len(started["command"].encode()) <= 1_024
    assert started["command"].endswith("…")
    assert '"import time; time.sleep(60)"' in started["command"]
    assert started["shortened"] == ["command"]


def test_shortening_never_cuts_a_character() -> None:
    for length in range(330, 345):
        short = shorten("見" * length)
        assert len(short.encode()) <= 1_024
        assert set(short) <= {"見", "…"}
    assert shorten("a" * 1_024) == "a" * 1_024


def test_what_ran_before_is_no_news(observe: Callable, gathered: Gathered, program: Path) -> None:
    with subprocess.Popen([program, "60"]) as before:
        observe()
        with subprocess.Popen([program, "60"]) as after:
            gathered.until(lambda g: of(g, "process.start", after.pid))
            before.kill()
            before.wait()
            after.kill()
        gathered.until(lambda g: of(g, "process.stop", after.pid))
    assert of(gathered, "process.start", before.pid) is None
    assert of(gathered, "process.stop", before.pid) is None


def test_the_policy_leaves_out_command_lines_and_hashes(
    observe: Callable, gathered: Gathered, rules: Rules, program: Path
) -> None:
    wanted = default_rules()
    wanted["collect"]["processes"] = {"on": True, "hash": False, "command": False}
    rules.value = wanted
    observe()
    with subprocess.Popen([program, "60"]) as child:
        started = gathered.until(lambda g: of(g, "process.start", child.pid))
        child.kill()
    assert "sha256" not in started
    assert "command" not in started
    assert started["exe"] == str(program)


def test_the_policy_switches_programs_off(observe: Callable, gathered: Gathered, rules: Rules) -> None:
    collector = observe()
    off = default_rules()
    off["collect"]["processes"]["on"] = False
    rules.value = off
    gathered.until(lambda g: collector.status().state == "off")
    rules.value = default_rules()
    gathered.until(lambda g: collector.status().state != "off")
    assert len(gathered.of("collect.started")) == 2


def test_where_the_better_way_is_refused_the_next_is_taken_and_said(
    observe: Callable, gathered: Gathered
) -> None:
    class Refused(ProcessList):
        how = "refused"

        def open(self) -> None:
            raise PermissionError(1, "Operation not permitted")

    collector = observe(lambda: Refused(Processes()), lambda: ProcessList(Processes()))
    assert gathered.of("collect.degraded")[0]["how"] == "refused"
    assert gathered.of("collect.started")[0]["how"] == "/proc"
    assert "Operation not permitted" in collector.status().en
