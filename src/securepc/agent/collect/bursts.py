"""Bursts: too many changes of files below one folder to be worth a line each become one line that counts.

The first ones are recorded one by one; what comes on top while the burst lasts is summarised in a
`file.burst` with the folder, counts by kind, first and last time and a few names. A burst that goes on is
reported every minute. Pure: time comes with the events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from securepc.wire.event import Event
from securepc.wire.policy import Burst

_ANCESTORS = 6
"""How many folders above a file's own may be the one that is bursting."""
_REPORT_US = 60_000_000
_EXAMPLES = 5
_TRACKED = 20_000


class _Lasting:
    """A burst that has begun."""

    __slots__ = (
        "counts",
        "examples",
        "first",
        "kinds",
        "last",
        "processes",
        "recent",
        "reported",
        "users",
        "window",
    )

    def __init__(self, kind: str, up: int) -> None:
        self.kinds = {kind}
        self.window = self.reported = up
        self.recent = 0
        self.clear()

    def clear(self) -> None:
        """Begin the next summary."""
        self.counts: Counter[str] = Counter()
        self.examples: list[str] = []
        self.first = self.last = 0
        self.processes: set[str] = set()
        self.users: set[str] = set()

    def absorb(self, event: Event, path: str) -> None:
        """Count an event instead of recording it."""
        self.counts[event.kind] += 1
        self.recent += 1
        self.first = self.first or event.at
        self.last = max(self.last, event.at)
        self.processes.add(event.data.get("process", ""))
        self.users.add(event.user)
        if len(self.examples) < _EXAMPLES:
            self.examples.append(path)


class Bursts:
    """Finds bursts in the stream of events. Not thread-safe."""

    def __init__(self, rule: Burst, roots: Sequence[str], separator: str = "/") -> None:
        """`roots` (home folders): a burst is below one of their folders, or directly in one."""
        self._rule, self._separator = rule, separator
        self._roots = tuple(
            sorted((root.rstrip(separator) + separator for root in roots), key=len, reverse=True)
        )
        self._windows: dict[tuple[str, str], list[int]] = {}  # (kind, folder) → [start µs, count]
        self._lasting: dict[str, _Lasting] = {}

    def absorbs(self, event: Event, path: str) -> bool:
        """Whether the event is part of a burst, and then counted in it."""
        if not self._rule.on:
            return False
        folders = list(self._folders(path))
        for folder in folders:
            burst = self._lasting.get(folder)
            if burst is not None and event.kind in burst.kinds:
                burst.absorb(event, path)
                return True
        for folder in folders:
            if self._exceeds(event.kind, folder, event.up):
                burst = self._lasting.get(folder)
                if burst is None:
                    burst = self._lasting[folder] = _Lasting(event.kind, event.up)
                burst.kinds.add(event.kind)
                burst.absorb(event, path)
                return True
        return False

    def due(self, at: int, up: int, boot: str, *, end: bool = False) -> Iterator[Event]:
        """Summaries of bursts that are over, or have lasted another minute; all of them at the `end`."""
        length = self._rule.seconds * 1_000_000
        for folder, burst in list(self._lasting.items()):
            over = end
            if up - burst.window >= length:
                over = over or burst.recent <= self._rule.events // 2
                burst.window, burst.recent = up, 0
            if over:
                del self._lasting[folder]
            elif up - burst.reported < _REPORT_US:
                continue
            burst.reported = up
            if burst.counts:
                yield self._summary(folder, burst, at, up, boot)
                burst.clear()

    def _summary(self, folder: str, burst: _Lasting, at: int, up: int, boot: str) -> Event:
        data: dict[str, Any] = {
            "folder": folder,
            "counts": dict(sorted(burst.counts.items())),
            "first": burst.first,
            "last": burst.last,
            "examples": burst.examples,
        }
        if len(burst.processes) == 1 and (process := burst.processes.copy().pop()):
            data["process"] = process
        user = burst.users.copy().pop() if len(burst.users) == 1 else ""
        return Event("file.burst", at, up, boot, user, data=data)

    def _exceeds(self, kind: str, folder: str, up: int) -> bool:
        key = kind, folder
        window = self._windows.get(key)
        if window is None or up - window[0] > self._rule.seconds * 1_000_000:
            if len(self._windows) >= _TRACKED:
                self._prune(up)
            self._windows[key] = [up, 1]
            return False
        window[1] += 1
        return window[1] > self._rule.events

    def _prune(self, up: int) -> None:
        oldest = up - self._rule.seconds * 1_000_000
        self._windows = {key: window for key, window in self._windows.items() if window[0] >= oldest}
        if len(self._windows) >= _TRACKED:
            self._windows.clear()

    def _folders(self, path: str) -> Iterator[str]:
        """The folder of a path, then those above it, up to below its root: the root itself counts only
        what lies directly in it, so that unrelated folders never make a burst together."""
        end = path.rfind(self._separator)
        if end <= 0:
            return
        yield path[:end]
        root = next((len(root) for root in self._roots if path.startswith(root)), 1)
        for _ in range(_ANCESTORS):
            end = path.rfind(self._separator, 0, end)
            if end < root:
                return
            yield path[:end]
