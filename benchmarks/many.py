"""`pcs_…`: five hundred simulated PCs for an hour of office time, then a day away from their manager and all
back at once.

A real manager over HTTP in this process, real agents in others. Takes an hour and a half; environment
variables make less of it: SECUREPC_PCS, SECUREPC_PCS_SECONDS, SECUREPC_PCS_DAY (entries of the day away).
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from benchmarks.agent import cpu_seconds, memory
from securepc.manager.ingest.opened import Opened, Provisional
from securepc.wire.event import from_entry

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from running_manager import Running, make_home, wait_for

PCS = int(os.environ.get("SECUREPC_PCS", "500"))
SECONDS = float(os.environ.get("SECUREPC_PCS_SECONDS", "3600"))
AWAY = int(os.environ.get("SECUREPC_PCS_DAY", "10000"))
RATE = 0.35
"""Events a second of a PC in working hours: nine of 141 parts of 10,000 in a busy half hour."""
PROCESSES = 4
SOON = 5.0
"""Seconds within which 99 of 100 lines are to be seen."""
_WINDOW = 30.0
_SHM = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Seen(NamedTuple):
    """A live line: when it happened, and how long until the manager could show it, in seconds."""

    at: float
    delay: float


class Ear:
    """Listens to provisional lines and follows sealed ones: whichever comes first shows a line."""

    name = "ear"

    def __init__(self) -> None:
        self.since = time.time()
        self.seen: deque[Seen] = deque()
        self._shown: dict[bytes, int] = {}
        self._positions: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def announced(self, lines: Provisional) -> None:
        self._take(lines.device, lines.first, lines.lines)

    def position(self, log: bytes) -> int:
        return self._positions.get(log, 0)

    def follow(self, log: bytes, opened: Sequence[Opened], position: int) -> None:
        for one in opened:
            # A day's old batches say nothing about how soon a line of now is seen.
            if one.entries and one.header.sealed_at / 1e6 >= self.since:
                self._take(one.header.device, one.header.first, one.entries)
        self._positions[log] = position

    def _take(self, device: bytes, first: int, lines: Sequence[bytes]) -> None:
        now = time.time()
        with self._lock:
            new = lines[max(self._shown.get(device, 0) + 1 - first, 0) :]
            self._shown[device] = max(self._shown.get(device, 0), first + len(lines) - 1)
        for line in new:
            event = from_entry(line)
            if event is not None and event.at / 1e6 >= self.since:
                self.seen.append(Seen(event.at / 1e6, now - event.at / 1e6))


def p99(delays: Sequence[float]) -> float:
    """The delay that 99 of 100 do not exceed; infinite where there is none."""
    return sorted(delays)[int(len(delays) * 0.99)] if delays else float("inf")


class Group:
    """A process of PCs."""

    def __init__(self, folder: Path, first: int, count: int, token: str) -> None:
        command = [sys.executable, "-m", "benchmarks.many_pcs", str(folder), str(first), str(count)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.send(token)

    def send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"a process of PCs ended with {self._process.wait()}"
        return dict(json.loads(line))

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """`pcs_p99` s of the hour, `pcs_rss` MB and `pcs_cpu` % of the manager in it; `pcs_again` s until p99 is
    within `SOON` after the day away, `pcs_caught_up` s until its last line is found; `pcs_missing` lines."""
    logging.disable(logging.WARNING)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "home"
        pcs = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_SHM)))
        make_home(home, "架空商事")
        ear = Ear()

        def listen(manager: Any) -> None:
            manager.opener.listen(ear)
            manager.opener.subscribe(ear)

        running = stack.enter_context(Running(home, listen))
        running.manager.sequencer._interval = 1.0  # type: ignore[attr-defined]
        groups = _groups(stack, pcs, running.token(uses=PCS))
        found = _hour(groups, ear) | _back(groups, running, ear, home)
    yield from ((name, found[name]) for name in names)


def _groups(stack: ExitStack, folder: Path, token: str) -> list[Group]:
    many = min(PROCESSES, PCS)
    edges = [PCS * n // many for n in range(many + 1)]
    groups = [Group(folder, first, end - first, token) for first, end in pairwise(edges)]
    for group in groups:
        stack.callback(group.end)
    _tell(f"{sum(group.answer()['enrolled'] for group in groups)} PCs enrolled")
    return groups


def _hour(groups: list[Group], ear: Ear) -> dict[str, float]:
    _all(groups, "start")
    ear.since = time.time()
    began, spent = time.monotonic(), cpu_seconds(os.getpid())
    _all(groups, f"work {RATE}")
    time.sleep(SECONDS)
    took, spent = time.monotonic() - began, cpu_seconds(os.getpid()) - spent
    delays = [one.delay for one in ear.seen]
    found = {
        "pcs_p99": p99(delays),
        "pcs_cpu": spent / took * 100,
        "pcs_rss": memory(os.getpid(), "VmRSS"),
    }
    _tell(f"{took:.0f} s: {len(delays)} lines, p50 {sorted(delays)[len(delays) // 2]:.2f} s; {found}")
    _all(groups, "rest")
    _all(groups, "stop")
    return found


def _back(groups: list[Group], running: Running, ear: Ear, home: Path) -> dict[str, float]:
    _all(groups, f"day 1 {AWAY}")
    ear.seen.clear()
    began, ear.since = time.monotonic(), time.time()
    _tell(f"back with {PCS} days of {AWAY} entries")
    for group in groups:
        group.send("start")
    for group in groups:
        group.answer()
    _all(groups, f"work {RATE}")
    log, manager = running.log, running.manager
    slow = working = time.time()
    caught_up = 0.0
    while True:
        time.sleep(1.0)
        now = time.time()
        recent = [one for one in tuple(ear.seen) if one.at > now - _WINDOW - SOON]
        # A line of more than `SOON` ago that is not seen yet counts as slow: it is expected at this rate.
        old = [one for one in recent if one.at < now - SOON]
        expected = PCS * RATE * min(_WINDOW, max(now - SOON - working, 0.0))
        late = sum(one.delay > SOON for one in old) + max(expected * 0.9 - len(old), 0)
        if late > expected * 0.01:
            slow = now
        if not caught_up and manager.log.size(log) - manager.search.position(log) < PCS:
            behind = sum(answer["behind"] for answer in _all(groups, "behind"))
            caught_up = 0.0 if behind else time.monotonic() - began
        if (caught_up and now - slow > 2 * _WINDOW) or time.monotonic() - began > 3600:
            break
    found = {"pcs_again": slow - ear.since, "pcs_caught_up": caught_up or float("inf")}
    _tell(f"{found}; at {memory(os.getpid(), 'VmRSS'):.0f} MB")
    _all(groups, "rest")
    last: dict[str, int] = {}
    refused = 0
    for answer in _all(groups, "stop"):
        last |= answer["last"]
        refused += answer["refused"]
    wait_for(lambda: manager.search.position(log) == manager.log.size(log), 600)
    manager.search.flush()
    missing = _missing(home, last)
    _tell(f"{sum(last.values())} entries of {len(last)} PCs, {missing} not found once, {refused} had no room")
    return found | {"pcs_missing": float(missing + refused)}


def _missing(home: Path, last: dict[str, int]) -> int:
    """Entries that the search does not have exactly once, by its files."""
    files = str(home / "search" / "**" / "*.parquet")
    query = "SELECT device, count(*), count(DISTINCT sequence), max(sequence) FROM read_parquet(?) GROUP BY 1"
    rows = {row[0]: row[1:] for row in duckdb.connect().execute(query, [files]).fetchall()}
    wrong = 0
    for device, most in last.items():
        count, distinct, highest = rows.get(device, (0, 0, 0))
        wrong += most - distinct + count - distinct + max(highest - most, 0)
    return wrong


def _all(groups: list[Group], line: str) -> list[dict[str, Any]]:
    for group in groups:
        group.send(line)
    return [group.answer() for group in groups]


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
