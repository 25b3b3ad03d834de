"""Between the collectors and the journal: the noise rules of the policy in force, for all collectors
together, because bursts and counts do not care who told of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from securepc.agent.collect import Collector, CollectorStatus, Context, Emit
from securepc.agent.collect.noise import Noise, as_text
from securepc.agent.collect.own import own_folders
from securepc.wire.event import Event
from securepc.wire.policy import read_rules

_TICK = 1.0


class Sieve:
    """Applies the noise rules and reports what they kept out, as long as a collector runs."""

    def __init__(self, context: Context, homes: Callable[[], list[bytes]]) -> None:
        self._context, self._homes = context, homes
        self._lock = threading.Lock()
        self._running = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._emit: Emit = lambda event: None
        self._noise: Noise | None = None
        self._source: object = None

    def join(self, emit: Emit) -> None:
        """A collector starts; the first one starts the sieve."""
        with self._lock:
            self._emit = emit
            self._running += 1
            if self._running > 1:
                return
            self._stop.clear()
            self._thread = threading.Thread(target=self._tick, name="collect-noise", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """A collector has stopped; with the last one everything still counted is reported."""
        with self._lock:
            self._running -= 1
            if self._running:
                return
            thread, self._thread = self._thread, None
        self._stop.set()
        if thread is not None:
            thread.join()
        self._report(end=True)

    def sift(self, event: Event) -> None:
        """Pass an event on, or count it. From any thread."""
        with self._lock:
            left, noise = self._current()
            kept = noise.keeps(event)
        for summary in left:
            self._emit(summary)
        if kept:
            self._emit(event)

    def _current(self) -> tuple[list[Event], Noise]:
        """The rules in force; where they have just changed, also what the old ones had counted."""
        source = self._context.rules()
        if self._noise is not None and source is self._source:
            return [], self._noise
        clock = self._context.clock
        left = (
            list(self._noise.due(clock.at(), clock.up(), clock.boot.hex(), end=True)) if self._noise else []
        )
        self._source = source
        self._noise = Noise(
            read_rules(source).noise,
            homes=as_text(self._homes()),
            own=as_text(own_folders(self._context.home)),
        )
        return left, self._noise

    def _tick(self) -> None:
        while not self._stop.wait(_TICK):
            self._report()

    def _report(self, *, end: bool = False) -> None:
        clock = self._context.clock
        with self._lock:
            left, noise = self._current()
            due = [*left, *noise.due(clock.at(), clock.up(), clock.boot.hex(), end=end)]
        for event in due:
            self._emit(event)


class Sifted:
    """A `Collector` whose events pass the sieve."""

    def __init__(self, collector: Collector, sieve: Sieve) -> None:
        self.name, self.kinds = collector.name, (*collector.kinds, "file.burst", "collect.suppressed")
        self._collector, self._sieve = collector, sieve
        self._started = False

    def start(self, emit: Emit) -> None:
        """Begin."""
        self._sieve.join(emit)
        self._started = True
        try:
            self._collector.start(self._sieve.sift)
        except BaseException:
            self._started = False
            self._sieve.leave()
            raise

    def stop(self) -> None:
        """End; the last to end reports what was counted."""
        if self._started:
            self._started = False
            self._collector.stop()
            self._sieve.leave()

    def status(self) -> CollectorStatus:
        """The collector's own."""
        return self._collector.status()


def sifted(
    context: Context, collectors: Sequence[Collector], homes: Callable[[], list[bytes]]
) -> list[Collector]:
    """The same collectors behind one sieve."""
    sieve = Sieve(context, homes)
    return [Sifted(collector, sieve) for collector in collectors]
