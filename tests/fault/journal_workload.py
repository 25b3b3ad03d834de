"""A journal that commits, seals and keeps its receipts, for `shim.sweep`."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from journal_kit import FakeClock, Opened, new_device, note_maker, open_store

from securepc.agent.journal.recovery import forget, recover
from securepc.agent.journal.store import JournalStore
from securepc.agent.state import State
from securepc.wire.event import Event, from_entry, to_entry

ENTRIES, GROUP, EPOCH = 18, 2, 6


def prepare(folder: Path) -> None:
    new_device(folder)
    for name in ("queue", "journal"):
        (folder / name).mkdir()
    State(folder).close()


def _start(folder: Path, clock: FakeClock) -> JournalStore:
    store = open_store(folder, clock)
    notes = recover(store, clock)
    store.open_epoch()
    if notes:
        store.commit([note_maker(clock)(*note) for note in notes])
        forget(store)
    return store


def _again(call: Callable[[], None]) -> None:
    """As the journal's thread does: once more after a while."""
    try:
        call()
    except OSError:
        call()


def work(folder: Path, acknowledge: Callable[[str], None]) -> None:
    clock = FakeClock()
    try:
        store = _start(folder, clock)
    except OSError:
        store = _start(folder, clock)
    state = None
    for n in range(0, ENTRIES, GROUP):
        clock.pass_time(1)
        lines = [
            to_entry(Event("file.create", clock.at(), clock.up(), "00", data={"n": n + i}))
            for i in range(GROUP)
        ]
        _again(lambda lines=lines: store.commit(lines))  # type: ignore[misc]
        for i in range(GROUP):
            acknowledge(str(n + i))
        if (n + GROUP) % EPOCH == 0:
            _again(store.seal)
            try:
                state = state or State(folder)
                state.rewind(store.key.state.epoch - 1)
                acknowledge(f"state {store.key.state.epoch - 1}")
            except (sqlite3.Error, OSError):
                state = None
    _again(lambda: store.seal(final=True))


def check(folder: Path, acknowledged: list[str]) -> None:
    clock = FakeClock()
    clock.pass_time(3600)
    clock.reboot()
    store = _start(folder, clock)
    store.seal(final=True)
    opened = Opened(folder)
    seen = [e.data["n"] for x in opened.entries if (e := from_entry(x)) and e.kind == "file.create"]
    assert seen == sorted(set(seen)), f"twice or out of order: {seen}"
    missing = {int(n) for n in acknowledged if n.isdecimal()} - set(seen)
    assert not missing, f"lost: {missing}"
    assert opened.bad_seals == []
    assert "agent.tamper" not in opened.kinds()
    assert not any(b"file.create" in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    state = State(folder)
    kept = [int(text.split()[1]) for text in acknowledged if text.startswith("state")]
    assert state.acknowledged >= max(kept, default=0), "a receipt was forgotten"
    state.close()
