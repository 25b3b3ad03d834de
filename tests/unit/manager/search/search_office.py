"""An agency's searches over a folder, and batches as the opener hands them on."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from securepc.manager.ingest.opened import Opened, Provisional
from securepc.manager.search import query
from securepc.manager.search.follower import SearchFollower
from securepc.manager.search.keeper import Keeper
from securepc.manager.search.model import Hit, Query
from securepc.manager.search.service import SearchService
from securepc.manager.search.store import Store
from securepc.wire.event import Event, to_entry
from securepc.wire.signed.batch import BatchHeader

LOG = bytes(range(16))
NOON = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()) * 1_000_000
DAY = 86_400_000_000


class Ledger:
    """Batches of an agency in the order in which they were accepted."""

    def __init__(self, log: bytes = LOG) -> None:
        self.log = log
        self.opened: list[Opened] = []
        self._next: dict[bytes, tuple[int, int]] = {}

    def accept(
        self, entries: list[bytes] | None, *, device: int = 1, time: int = NOON, size: int = 0, at: int = 0
    ) -> Opened:
        """A batch of these entries; None for a payload that does not open, of `size` entries."""
        handle = device_of(device)
        epoch, first = self._next.get(handle, (1, 1))
        size = size if entries is None else len(entries)
        self._next[handle] = (epoch + 1, first + size)
        zero = bytes(32)
        header = BatchHeader(
            self.log, handle, bytes(8), bytes(16), epoch, first, first + size - 1, at or time, at or time,
            1_000, 1_000, zero, zero, zero, 1, zero, zero,
        )  # fmt: skip
        reason = "key" if entries is None else None
        opened = Opened(self.log, len(self.opened), len(self.opened) + 1, time, header, entries, reason)
        self.opened.append(opened)
        return opened

    def locate(self, log: bytes, device: bytes, first: int, last: int) -> list[int]:
        return [
            each.index
            for each in self.opened
            if each.header.device == device and each.header.first <= last and each.header.last >= first
        ]


class Searching(NamedTuple):
    """Everything over one folder, as `wiring` puts it together."""

    store: Store
    follower: SearchFollower
    keeper: Keeper
    service: SearchService

    def catch_up(self, ledger: Ledger, step: int = 1) -> None:
        """Hand over what the follower has not seen, `step` batches at a time."""
        position = self.follower.position(ledger.log)
        for start in range(position, len(ledger.opened), step):
            batches = ledger.opened[start : start + step]
            self.follower.follow(ledger.log, batches, start + len(batches))

    def announce(self, first: int, entries: list[bytes], *, device: int = 1, epoch: int = 1) -> None:
        self.follower.announced(
            Provisional(LOG, device_of(device), bytes(16), epoch, first, entries, NOON + 5)
        )

    def all(self, log: bytes = LOG, **conditions: object) -> list[Hit]:
        return list(self.service.search(log, Query(**conditions)))  # type: ignore[arg-type]


def device_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()[:16]


def file_entry(number: int, *, at: int = NOON, name: str = "見積", user: str = "テスト太郎") -> bytes:
    path = f"/home/test/書類/{name}_{number:06}.xlsx"
    data = {"path": path, "size": 1000 + number}
    return to_entry(Event("file.create", at + number, 9_000 + number, "b0" * 16, user, "1.1", data=data))


def open_search(folder: Path, ledger: Ledger | None = None) -> Searching:
    store = Store(folder)
    connection = query.connect(str(folder / "tmp"))
    locate = ledger.locate if ledger else (lambda *_: [])
    return Searching(
        store, SearchFollower(store), Keeper(store, connection), SearchService(store, connection, locate)
    )


def fill(ledger: Ledger, days: int = 3) -> list[tuple[str, int]]:
    """Some days of three devices: one steady, one late by a day, one whose clock is ten years behind."""
    for day in range(days):
        for part in range(20):
            time = NOON + day * DAY + part * 60_000_000
            ledger.accept([file_entry(n, at=time) for n in range(5)], device=1, time=time)
            ledger.accept([file_entry(n, at=time - DAY) for n in range(3)], device=2, time=time)
            ledger.accept([file_entry(n, at=time - 3_650 * DAY) for n in range(2)], device=3, time=time)
            if part == 7:
                ledger.accept(None, size=2, device=2, time=time)
                ledger.accept([], device=2, time=time)
    return sorted(
        (batch.header.device.hex(), batch.header.first + offset)
        for batch in ledger.opened
        for offset in range(len(batch.entries) if batch.entries is not None else 1)
    )
