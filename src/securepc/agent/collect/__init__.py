"""What a collector is: something that turns what the operating system tells into events.

One file per kind of log. A collector runs its own thread or none; `emit` may be called from any thread,
returns at once in ordinary times and makes the caller wait a little when the journal cannot keep up.
A collector that raises is reported as such and never stops the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from securepc.agent.platform.base import Clock
from securepc.wire.event import Event

Emit = Callable[[Event], None]
"""Hand an event to the journal. `boot` and `policy` may be left empty: the agent fills them in."""


class CollectorStatus(NamedTuple):
    """`running`: sees all it is meant to. `degraded`: `ja` and `en` say, in a sentence each, what it
    cannot see. `off`: not running, by policy, since this PC has nothing of the kind, or since it failed;
    they say why."""

    state: Literal["running", "degraded", "off"]
    ja: str = ""
    en: str = ""
    crashed: bool = False
    """Off since its own thread failed: it is started anew after a while."""


RUNNING = CollectorStatus("running")


class Collector(Protocol):
    """One kind of log of one operating system."""

    name: str
    """A word, for status, policies and events: `files`, `processes`, `sessions`, `network`."""
    kinds: tuple[str, ...]
    """The kinds of event it emits."""

    def start(self, emit: Emit) -> None:
        """Begin; returns when events are being seen.

        Raises:
            Unsupported: this PC has no such mechanism. Anything else counts as a failure.
        """

    def stop(self) -> None:
        """End; after the return `emit` is not called any more. Harmless if never started."""

    def status(self) -> CollectorStatus:
        """What it sees now. Cheap; called from any thread."""


class Context(NamedTuple):
    """What collectors are made with. `rules()` gives the rules of the policy in force, the same object
    until the policy changes, so comparing with `is` tells that it did. `home` is the agent's own folder.
    `settle()` waits, not for long, until what was emitted is on the disk."""

    home: Path
    clock: Clock
    rules: Callable[[], Mapping[str, Any]]
    settle: Callable[[], object] = lambda: None

    def event(
        self,
        kind: str,
        data: dict[str, Any] | None = None,
        *,
        user: str = "",
        result: str = "ok",
    ) -> Event:
        """An event of now, by both of the PC's clocks."""
        return Event(
            kind=kind,
            at=self.clock.at(),
            up=self.clock.up(),
            boot=self.clock.boot.hex(),
            user=user,
            result=result,
            data=data or {},
        )


def crash(context: Context, ja: str, en: str, error: Exception) -> tuple[CollectorStatus, Event]:
    """What a collector says and records when its thread fails. `ja`, `en`: what it collects."""
    detail = f"{type(error).__name__}: {error}"
    status = CollectorStatus(
        "off", f"異常により停止しました({detail})。", f"Failed ({detail}).", crashed=True
    )
    data = {"detail": detail, "ja": f"{ja}の収集が停止しました。", "en": f"Collecting {en} has failed."}
    return status, context.event("agent.error", data)
