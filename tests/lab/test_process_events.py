"""Programs by the kernel's process connector, as root: even the shortest lives."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from securepc.agent.collect.processes import ProcessesCollector
from securepc.agent.platform.linux.connector import ProcessEvents
from securepc.agent.platform.linux.processes import Processes

if TYPE_CHECKING:
    from collecting import Gathered

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]


@pytest.fixture
def collector(context: Context, gathered: Gathered) -> Iterator[ProcessesCollector]:
    collector = ProcessesCollector(context, [lambda: ProcessEvents(Processes())])
    collector.start(gathered.emit)
    assert collector.status().state == "running"
    yield collector
    collector.stop()


def test_short_lives_are_seen_with_hash_and_exit_code(
    collector: ProcessesCollector, gathered: Gathered, tmp_path: Path
) -> None:
    program = tmp_path / "短命"
    shutil.copy(os.path.realpath(shutil.which("sh") or "/bin/sh"), program)
    pids = [subprocess.Popen([program, "-c", f"sleep 0.05; exit {n}"]) for n in range(20)]
    for child in pids:
        child.wait()
    gathered.until(lambda g: {d["pid"] for d in g.of("process.stop")} >= {c.pid for c in pids})
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    for number, child in enumerate(pids):
        (started,) = [d for d in gathered.of("process.start") if d["pid"] == child.pid]
        assert started["sha256"] == digest
        assert started["exe"] == str(program)
        assert started["command"].startswith(str(program))
        (stopped,) = [d for d in gathered.of("process.stop") if d["pid"] == child.pid]
        assert stopped["exit"] == number
        assert stopped["process"] == "短命"


def test_a_killed_process_has_its_signal(collector: ProcessesCollector, gathered: Gathered) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        gathered.until(lambda g: child.pid in {d["pid"] for d in g.of("process.start")})
        child.kill()
    gathered.until(lambda g: child.pid in {d["pid"] for d in g.of("process.stop")})
    (stopped,) = [d for d in gathered.of("process.stop") if d["pid"] == child.pid]
    assert stopped["signal"] == 9


def test_a_loss_is_a_gap_and_who_is_still_there_is_found(
    context: Context, gathered: Gathered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader stands still while a small queue overflows."""
    from securepc.agent.platform.linux import connector as module

    monkeypatch.setattr(module, "_BUFFER", 4_096)
    observer = ProcessEvents(Processes())
    observer.open()
    try:
        for _ in range(60):
            subprocess.run(["true"], check=True)
        child = subprocess.Popen(["sleep", "60"])
        time.sleep(0.2)
        seen = []
        for _ in range(20):
            seen += observer.read(0.1)
        child.kill()
        child.wait()
    finally:
        observer.close()
    names = [type(sighting).__name__ for sighting in seen]
    assert "Missed" in names
    assert child.pid in {s.pid for s in seen if type(s).__name__ == "Started"}
