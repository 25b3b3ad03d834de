"""From an event to a journal entry: fills in boot and policy, and lets nothing fail on its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from securepc.agent.journal import Journal, urgent
from securepc.agent.platform.base import Clock
from securepc.wire.batch import MAX_ENTRY
from securepc.wire.event import Event, to_entry

_MAX_TEXT = 2_000
_KEPT = 8_000


def entry_of(event: Event) -> bytes:
    """The bytes of an event. What cannot be written as it is, is written as well as it can be, and marked
    `"shortened"`: text that is no Unicode is escaped, fields that make the entry too long are cut."""
    try:
        entry = to_entry(event)
        if len(entry) <= MAX_ENTRY:
            return entry
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError, RecursionError):
        pass
    tame = msgspec.structs.replace(
        event,
        kind=_text(event.kind),
        boot=_text(event.boot),
        user=_text(event.user),
        policy=_text(event.policy),
        result=_text(event.result),
        data={**_data(event.data), "shortened": True},
    )
    return to_entry(tame)


def _data(data: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    left = _KEPT
    for name, value in data.items():
        kept = value if value is None or isinstance(value, (bool, int)) else _text(str(value))
        if isinstance(kept, int) and abs(kept) >= 2**63:
            kept = str(kept)[:100]
        left -= len(str(kept)) + len(str(name))
        if left < 0:
            break
        out[_text(str(name))[:100]] = kept
    return out


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:_MAX_TEXT]


class Recorder:
    """Records events in a journal. `policy()` names the policy in force."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._boot = clock.boot.hex()
        self.journal: Journal | None = None
        self.policy: Callable[[], str] = lambda: ""
        self._listeners: dict[str, list[Callable[[Event], None]]] = {}

    def listen(self, kind: str, listener: Callable[[Event], None]) -> None:
        """Tell `listener` of every event of a kind that is recorded, on the thread that records it: it
        returns at once and never raises."""
        self._listeners.setdefault(kind, []).append(listener)

    def record(self, event: Event) -> bool:
        """Record an event; False where there was no room and it was counted as lost. Never raises."""
        if not event.boot or not event.policy:
            event = msgspec.structs.replace(
                event, boot=event.boot or self._boot, policy=event.policy or self.policy()
            )
        entry = entry_of(event)
        journal = self.journal
        for listener in self._listeners.get(event.kind, ()):
            listener(event)
        return journal is not None and journal.append(entry, urgent=urgent(event.kind, event.result))

    def report(self, kind: str, data: dict[str, Any]) -> None:
        """Record an event about the agent itself."""
        self.record(self.event(kind, data))

    def event(self, kind: str, data: dict[str, Any]) -> Event:
        """An event of now."""
        return Event(kind, self._clock.at(), self._clock.up(), self._boot, "", self.policy(), "ok", data)

    def entry(self, kind: str, data: dict[str, Any]) -> bytes:
        """The entry of an event of now."""
        return entry_of(self.event(kind, data))
