"""Programs: started and ended, with the hash of what was run. What runs already at the start is no news."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from securepc.agent.collect import RUNNING, CollectorStatus, Context, Emit, crash
from securepc.agent.collect.masking import mask
from securepc.agent.platform.base import Unsupported
from securepc.wire.event import Event
from securepc.wire.policy import Processes as Rules
from securepc.wire.policy import read_rules

MAX_COMMAND = 1_024
"""Longest command line in an entry, in bytes of UTF-8; a longer one is shortened, and the entry says so."""
_TICK = 1.0


class Started(NamedTuple):
    """A program began to run in a process. `sha256` computes the hash of its file, "" where it cannot;
    it may take a while, and is called at most once, from another thread."""

    pid: int
    name: str
    exe: str
    command: str
    user: str
    parent: str
    parent_pid: int
    sha256: Callable[[], str]


class Ended(NamedTuple):
    """A process ended. `code` and `signal` are None where unknown."""

    pid: int
    code: int | None
    signal: int | None


class Missed(NamedTuple):
    """The kernel dropped records since this moment, µs of the wall clock."""

    since: int


Sighting = Started | Ended | Missed


class Observer(Protocol):
    """One way to see processes come and go. Used from one thread, but for `wake`."""

    how: str
    """A word for entries and status."""
    limits: tuple[tuple[str, str], ...]
    """What this way cannot see, each as a sentence in Japanese and English."""

    def open(self) -> None:
        """Begin to watch.

        Raises:
            OSError, Unsupported: this way is not to be had here; nothing is left open.
        """

    def read(self, timeout: float) -> list[Sighting]:
        """What happened, waiting at most so many seconds for the first of it."""

    def wake(self) -> None:
        """Make a `read` that waits return; from any thread."""

    def close(self) -> None:
        """Stop watching."""


class ProcessesCollector:
    """`Collector` of programs."""

    name = "processes"
    kinds: tuple[str, ...] = (
        "process.start",
        "process.stop",
        "collect.started",
        "collect.degraded",
        "collect.gap",
    )

    def __init__(self, context: Context, ways: Sequence[Callable[[], Observer]]) -> None:
        self._context, self._ways = context, ways
        self._observer: Observer | None = None
        self._threads: list[threading.Thread] = []
        self._stop, self._seen_all = threading.Event(), threading.Event()
        self._told: list[tuple[Sighting, int, int]] = []
        self._more = threading.Condition()
        self._running: dict[int, tuple[Started, int]] = {}
        self._rules = Rules()
        self._source: Any = None
        self._refusals: list[tuple[str, str]] = []
        self._status = CollectorStatus("off", "まだ開始していません。", "Not started yet.")
        self._emit: Emit = lambda event: None

    def start(self, emit: Emit) -> None:
        """Open the best way of seeing processes. One thread reads, so that short lives are seen in time;
        another hashes and reports."""
        self._emit = emit
        self._stop.clear()
        self._seen_all.clear()
        self._follow_policy()
        self._threads = [
            threading.Thread(target=self._guard, args=(body,), name=f"collect-{name}", daemon=True)
            for name, body in (("processes", self._observe), ("programs", self._report))
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Report what was seen and end."""
        self._stop.set()
        if self._observer is not None:
            self._observer.wake()
        for thread in self._threads:
            thread.join()
            self._seen_all.set()  # the first one reads; when it has ended, the second reports the rest
            with self._more:
                self._more.notify_all()
        self._threads = []
        self._close()

    def status(self) -> CollectorStatus:
        """Which way sees processes, and what it misses."""
        observer = self._observer
        if self._status.state == "off" or observer is None:
            return self._status
        limits = [*self._refusals, *observer.limits]
        if not limits:
            return RUNNING
        return CollectorStatus("degraded", "".join(ja for ja, _ in limits), " ".join(en for _, en in limits))

    def _follow_policy(self) -> None:
        source = self._context.rules()
        if source is self._source:
            return
        self._source, self._rules = source, read_rules(source).collect.processes
        if not self._rules.on:
            self._close()
            self._status = CollectorStatus("off", "ポリシーにより記録しません。", "Off by policy.")
        elif self._observer is None:
            self._open()

    def _open(self) -> None:
        self._refusals = []
        for way in self._ways:
            observer = way()
            try:
                observer.open()
            except (OSError, Unsupported) as error:
                reason = error.en if isinstance(error, Unsupported) else error.strerror or str(error)
                ja, en = (
                    f"{observer.how}が使えません({reason})。",
                    f"{observer.how} cannot be used ({reason}).",
                )
                self._refusals.append((ja, en))
                data = {"collector": self.name, "how": observer.how, "reason": "refused", "ja": ja, "en": en}
                self._emit(self._context.event("collect.degraded", data))
            else:
                self._observer, self._status = observer, RUNNING
                started = {"collector": self.name, "how": observer.how}
                self._emit(self._context.event("collect.started", started))
                return
        ja, en = self._refusals[-1] if self._refusals else ("方法がありません。", "There is no way.")
        self._status = CollectorStatus("off", ja, en)

    def _close(self) -> None:
        if self._observer is not None:
            self._observer.close()
            self._observer = None
        self._status = CollectorStatus("off", "停止しています。", "Stopped.")

    def _guard(self, body: Callable[[], None]) -> None:
        try:
            body()
        except Exception as error:
            self._status, event = crash(self._context, "プログラム", "programs", error)
            self._emit(event)

    def _observe(self) -> None:
        clock = self._context.clock
        while not self._stop.is_set():
            self._follow_policy()
            if self._observer is None:
                self._stop.wait(_TICK)
                continue
            sightings = self._observer.read(_TICK)
            if sightings:
                at, up = clock.at(), clock.up()
                with self._more:
                    self._told.extend((sighting, at, up) for sighting in sightings)
                    self._more.notify_all()

    def _report(self) -> None:
        while True:
            with self._more:
                while not self._told and not self._seen_all.is_set():
                    self._more.wait(_TICK)
                told, self._told = self._told, []
            if not told:
                return
            for sighting, at, up in told:
                event = self._event(sighting, at, up)
                if event is not None:
                    self._emit(event)

    def _event(self, sighting: Sighting, at: int, up: int) -> Event | None:
        boot = self._context.clock.boot.hex()
        if isinstance(sighting, Started):
            self._running[sighting.pid] = sighting, up
            return Event("process.start", at, up, boot, sighting.user, data=self._started(sighting))
        if isinstance(sighting, Ended):
            known = self._running.pop(sighting.pid, None)
            if known is None:
                return None  # it ran before this agent did, or never ran a program of its own
            started, since = known
            data: dict[str, Any] = {"exe": started.exe, "pid": started.pid, "process": started.name}
            if sighting.code is not None:
                data["exit"] = sighting.code
            if sighting.signal:
                data["signal"] = sighting.signal
            data["ran"] = max(0, up - since)
            return Event("process.stop", at, up, boot, started.user, data=data)
        ja = "プログラムの開始・終了が多すぎて一部の記録を失いました。"
        en = "Too many programs started and ended: some records were lost."
        gap = {"collector": self.name, "reason": "overflow", "first": sighting.since, "last": at}
        return Event("collect.gap", at, up, boot, data={**gap, "ja": ja, "en": en})

    def _started(self, started: Started) -> dict[str, Any]:
        data: dict[str, Any] = {"pid": started.pid, "process": started.name}
        if started.exe:
            data["exe"] = started.exe
        if self._rules.hash and (sha256 := started.sha256()):
            data["sha256"] = sha256
        if self._rules.command and started.command:
            masked = mask(started.command)
            data["command"] = shorten(masked)
            if data["command"] != masked:
                data["shortened"] = ["command"]
            if masked != started.command:
                data["masked"] = ["command"]
        if started.parent_pid:
            data["parent_pid"] = started.parent_pid
        if started.parent:
            data["parent"] = started.parent
        return data


def shorten(text: str, limit: int = MAX_COMMAND) -> str:
    """At most so many bytes of UTF-8, ending in an ellipsis where something was cut."""
    data = text.encode("utf-8")
    if len(data) <= limit:
        return text
    return data[: limit - 3].decode("utf-8", "ignore") + "…"
