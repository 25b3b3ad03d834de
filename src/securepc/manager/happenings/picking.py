"""The entries that contexts asked for, among all others; pure, so that any process can do it."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from securepc.manager.ingest.opened import Opened
from securepc.wire.event import from_entry
from securepc.wire.shapes import prepared

_START = b'{"kind":"'


@prepared
class Picked(msgspec.Struct, frozen=True, array_like=True):
    """An entry of the batch at leaf `index`."""

    index: int
    sequence: int
    device: bytes
    block_time: int
    entry: bytes


class Picker:
    """An `ingest.tasks.Maker`: its settings are the kinds, as msgpack."""

    def __init__(self, settings: bytes) -> None:
        self._kinds = frozenset(msgspec.msgpack.decode(settings, type=list[str]))
        self._families = families(self._kinds)
        self._picked: list[Picked] = []

    def add(self, opened: Opened) -> None:
        """The next batch."""
        self._picked += pick(opened, self._kinds, self._families)

    def result(self) -> bytes:
        """What was picked, in order."""
        return msgspec.msgpack.encode(self._picked)

    def abandon(self) -> None:
        """Nothing is left behind."""


def families(kinds: Collection[str]) -> tuple[bytes, ...]:
    """How entries of these kinds begin, and few others."""
    return tuple({_START + kind.partition(".")[0].encode() for kind in kinds})


def pick(opened: Opened, kinds: Collection[str], beginnings: tuple[bytes, ...]) -> list[Picked]:
    """The entries of these kinds in a batch."""
    found = []
    for sequence, entry in enumerate(opened.entries or (), opened.header.first):
        if not entry.startswith(beginnings):
            continue
        event = from_entry(entry)
        if event is not None and event.kind in kinds:
            device = opened.header.device
            found.append(Picked(opened.index, sequence, device, opened.block_time, entry))
    return found
