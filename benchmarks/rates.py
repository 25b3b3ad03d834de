"""What a real agent costs at a rate of events, and whether it misses any: `agent_cpu_5`, `agent_rss_2000` …

`securepc agent run`, enrolled with a manager in this process; another process creates, writes, renames and
deletes files at that rate for a minute, three events a file. Bursts are not summarised and noise rules are
off, so that every event is an entry; what the manager's search then finds is counted. Programs are not
recorded, and as root the files are on a file system of their own: what this machine happens to do besides
would be counted with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from running_manager import Running, make_home

from benchmarks.agent import cpu_seconds, memory
from benchmarks.collect import WRITER
from securepc.agent import status
from securepc.manager.search import asked
from securepc.wire.policy import default_rules

SECONDS = 60
EVENTS_A_FILE = 3
_SETTLE = 5.0
_FOUND_WITHIN = 120.0


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """`agent_rss_RATE` in MB (largest), `agent_cpu_RATE` in % of one core, `agent_missed_RATE` in events that
    neither an entry nor a gap tells of."""
    for rate in sorted({int(name.rpartition("_")[2]) for name in names}):
        found = _run(rate)
        for name in names:
            if name.endswith(f"_{rate}"):
                yield name, found[name.removesuffix(f"_{rate}")]


def _run(rate: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        user, pc = folder / "user", folder / "pc"
        make_home(folder / "manager")
        with _file_system(user), Running(folder / "manager") as running:
            running.manager.policies.change(running.log, _rules(user), actor="benchmark")
            return _follow(running, rate, user, pc)


@contextlib.contextmanager
def _file_system(user: Path) -> Iterator[None]:
    """A home folder, for root one on a file system of its own."""
    user.mkdir()
    own = os.geteuid() == 0
    if own:
        subprocess.run(["mount", "-t", "tmpfs", "benchmark", str(user)], check=True)
    try:
        for number in range(50):
            (user / str(number)).mkdir()
        yield
    finally:
        if own:
            subprocess.run(["umount", str(user)], check=True)


def _rules(user: Path) -> dict[str, Any]:
    rules = default_rules(paths=[str(user)])
    rules["noise"] |= {"rules": [], "burst": {**rules["noise"]["burst"], "on": False}}
    rules["collect"]["processes"]["on"] = False
    rules["doors"]["software"]["on"] = False
    return rules


def _follow(running: Running, rate: int, user: Path, pc: Path) -> dict[str, float]:
    securepc = [sys.executable, "-m", "securepc", "agent"]
    environment = {**os.environ, "HOME": str(user)}
    subprocess.run(
        [*securepc, "enrol", "-", "--home", str(pc)],
        input=running.token().encode(),
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    run = [*securepc, "run", "--home", str(pc), "--json"]
    with subprocess.Popen(run, env=environment, stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        try:
            pid = json.loads(agent.stdout.readline())["pid"]
            time.sleep(_SETTLE)
            files = rate * SECONDS // EVENTS_A_FILE
            began, before = time.monotonic(), cpu_seconds(pid)
            subprocess.run([sys.executable, "-c", WRITER, str(user), str(files), str(SECONDS)], check=True)
            took = time.monotonic() - began
            kinds = _entries(running, files)
            spent = cpu_seconds(pid) - before
            said = status.read(pc / "agent") or {}
            print(
                f"agent at {rate}/s: {files * EVENTS_A_FILE} events in {took:.1f} s; entries {dict(kinds)};"
                f" {spent / max(sum(kinds.values()), 1) * 1e6:.0f} µs of processor an entry;"
                f" lost {said['journal']['lost']}; RSS at the end {memory(pid, 'VmRSS'):.1f} MB",
                file=sys.stderr,
            )
            missing = files * EVENTS_A_FILE - sum(n for kind, n in kinds.items() if kind.startswith("file."))
            return {
                "agent_rss": memory(pid, "VmHWM"),
                "agent_cpu": spent / took * 100,
                "agent_missed": 0 if kinds["collect.gap"] else missing,
            }
        finally:
            agent.terminate()


def _entries(running: Running, files: int) -> Counter[str]:
    """What is found, once the last file's end is, or nothing more comes."""
    end = time.monotonic() + _FOUND_WITHIN
    kinds: Counter[str] = Counter()
    while time.monotonic() < end and kinds["file.delete"] < files and not kinds["collect.gap"]:
        time.sleep(3.0)
        search, names = running.manager.search, running.manager.devices.names(running.log)
        kinds = Counter(hit.kind for hit in search.search(running.log, asked.read({}, names)))
    return kinds
