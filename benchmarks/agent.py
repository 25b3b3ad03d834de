"""What the agent costs the PC it runs on: memory and processor of a real one under office load."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from securepc.agent import status

SECONDS = 60
RATE = 10_000 / (8 * 3600)
"""Operations a second: an office PC-day of 10,000 entries in eight hours."""
SETTLE = 5


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """`agent_rss` in MB, `agent_cpu` in % of one core."""
    with tempfile.TemporaryDirectory() as folder:
        user = Path(folder) / "user"
        user.mkdir()
        demo = subprocess.Popen(
            [sys.executable, "-m", "securepc", "demo", "--json", "--simulate", "0", "--port", "0"],
            cwd=folder,
            env={**os.environ, "HOME": str(user)},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert demo.stdout
            home = Path(json.loads(demo.stdout.readline())["home"])
            pid = (status.read(home / "agent") or {})["pid"]
            time.sleep(SETTLE)
            began, before = time.monotonic(), cpu_seconds(pid)
            done = _work(user, SECONDS)
            spent = (cpu_seconds(pid) - before) / (time.monotonic() - began) * 100
            said = status.read(home / "agent") or {}
            print(
                f"agent: {done} operations in {SECONDS} s, {said['durable']} entries; "
                f"collectors: { {name: one['state'] for name, one in said['collectors'].items()} }; "
                f"largest so far {memory(pid, 'VmHWM'):.1f} MB",
                file=sys.stderr,
            )
            found = {"agent_rss": memory(pid, "VmRSS"), "agent_cpu": spent}
        finally:
            demo.terminate()
            demo.wait()
    yield from ((name, found[name]) for name in names)


def _work(folder: Path, seconds: float) -> int:
    """Work as a person does: now and then a program, and files made, changed, renamed, deleted."""
    rng = random.Random(1)
    end = time.monotonic() + seconds
    files: list[Path] = []
    done = 0
    while time.monotonic() < end:
        time.sleep(rng.expovariate(RATE))
        done += 1
        act = rng.random()
        if act < 0.2:
            subprocess.run(["/bin/true"], check=True)
        elif act < 0.6 or not files:
            files.append(folder / f"書類-{done:04d}.txt")
            files[-1].write_text("内容")
        elif act < 0.8:
            rng.choice(files).write_text("変更")
        elif act < 0.9:
            place = rng.randrange(len(files))
            files[place] = files[place].rename(folder / f"改名-{done:04d}.txt")
        else:
            files.pop().unlink()
    return done


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, user and system (proc(5), stat fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int, name: str) -> float:
    """A memory figure of a process in MB (proc(5), status)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise KeyError(name)
