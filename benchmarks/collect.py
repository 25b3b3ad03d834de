"""What watching costs: events a second that the file collectors follow without a gap, and CPU per event.

Another process creates, writes, renames and deletes files as fast as it is told to, three events a file,
five seconds at each rate; the highest rate whose events all arrive, with no gap and within two seconds of the
end, is the figure. The collector is the real one, with the noise rules off; entries go nowhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from securepc.agent.collect import Context
from securepc.agent.collect.changes import Watcher
from securepc.agent.collect.files import FilesCollector
from securepc.agent.platform.linux.identity import clock
from securepc.agent.platform.linux.processes import Processes
from securepc.agent.platform.linux.tree import TreeWatcher
from securepc.agent.platform.linux.whole import WholeWatcher
from securepc.wire.event import Event, to_entry
from securepc.wire.policy import default_rules

RATES = (1_500, 3_000, 6_000, 9_000, 12_000, 15_000, 20_000, 25_000, 30_000, 40_000, 50_000, 60_000)
SECONDS = 5.0
_EVENTS_A_FILE = 3

WRITER = """
import os, sys, time
folder, files, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
begin = time.monotonic()
for n in range(files):
    path = f"{folder}/{n % 50}/見積書_{n}.xlsx"
    with open(path, "wb") as file:
        file.write(b"x" * 100)
    os.rename(path, path + "~")
    os.unlink(path + "~")
    if n % 10 == 0:
        ahead = begin + (n + 10) / files * seconds - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
"""


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """`collect_inotify`, `collect_fanotify` (events/s) and the same with `_cost` (µs of CPU an event)."""
    for how in ("inotify", "fanotify"):
        wanted = [name for name in names if name.startswith(f"collect_{how}")]
        if not wanted:
            continue
        if how == "fanotify" and os.geteuid():
            print("collect_fanotify needs root", file=sys.stderr)
            continue
        rate, cost = _follow(how)
        for name in wanted:
            yield name, cost if name.endswith("_cost") else rate


def _follow(how: str) -> tuple[float, float]:
    best, cost = 0.0, 0.0
    for rate in RATES:
        reached, whole, spent = _run(how, rate)
        print(f"{how}: asked {rate}/s, came {reached:.0f}/s, {spent:.1f} µs each, {whole}", file=sys.stderr)
        if whole != "no loss":
            break
        best, cost = max(best, reached), spent
        if reached < rate * 0.9:
            break  # the writer is the slower one
    return best, cost


def _run(how: str, rate: int) -> tuple[float, str, float]:
    with tempfile.TemporaryDirectory() as place:
        home = Path(place).resolve() / "home"
        for number in range(50):
            (home / str(number)).mkdir(parents=True)
        (Path(place) / "agent").mkdir()
        rules = default_rules(paths=[str(home)])
        homes = [os.fsencode(home)]
        way: Callable[[], Watcher] = (
            TreeWatcher if how == "inotify" else lambda: WholeWatcher(Processes(), homes)
        )
        seen: list[str] = []

        def emit(event: Event) -> None:
            to_entry(event)
            seen.append(event.kind)

        context = Context(Path(place).resolve() / "agent", clock(), lambda: rules)
        collector = FilesCollector(context, [way], lambda: homes, "kakuu.taro")
        collector.start(emit)
        files = int(rate * SECONDS / _EVENTS_A_FILE)
        cpu, begin = time.process_time(), time.monotonic()
        subprocess.run([sys.executable, "-c", WRITER, str(home), str(files), str(SECONDS)], check=True)
        took = time.monotonic() - begin
        deadline = time.monotonic() + 2
        while seen.count("file.delete") < files and time.monotonic() < deadline:
            time.sleep(0.05)
        cpu = time.process_time() - cpu
        collector.stop()
        count = sum(kind.startswith("file.") for kind in seen)
        short = files * _EVENTS_A_FILE - count
        whole = "a gap" if "collect.gap" in seen else f"{short} missing" if short else "no loss"
        return count / took, whole, cpu / max(count, 1) * 1e6
