"""Any bytes in the agent's files: it starts or says why not, never hangs, and the chain goes on."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from journal_kit import FakeClock, Opened, new_device, note_maker, open_store

from securepc.agent.journal import ChainKeyLost, frames
from securepc.agent.journal.recovery import forget, recover
from securepc.agent.journal.store import JournalStore
from securepc.wire import chain
from securepc.wire.event import Event, to_entry

changes = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "zero", "insert", "append", "remove"]),
        st.integers(0, 2**20),
        st.binary(max_size=50),
    ),
    min_size=1,
    max_size=3,
)


def vandalise(data: bytes, how: str, at: int, junk: bytes) -> bytes:
    at = at % max(len(data), 1)
    match how:
        case "flip":
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if data else junk
        case "cut":
            return data[:at]
        case "zero":
            return data[:at] + bytes(len(data[at : at + 64])) + data[at + 64 :]
        case "insert":
            return data[:at] + junk + data[at:]
        case "append":
            return data + junk
        case _:
            return data[:at] + data[at + 1 :]


def start(home: Path, clock: FakeClock) -> JournalStore:
    store = open_store(home, clock)
    notes = recover(store, clock)
    store.open_epoch()
    if notes:
        store.commit([note_maker(clock)(*note) for note in notes])
        forget(store)
    return store


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["journal/3.open", "chain.key", "queue/2.batch", "journal/notes.json"]), changes)
def test_whatever_is_done_to_a_file(name: str, how: list[tuple[str, int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        new_device(home)
        clock = FakeClock()
        store = start(home, clock)
        lines = [
            to_entry(Event("file.create", clock.at(), clock.up(), "00", data={"n": n})) for n in range(9)
        ]
        for epoch in range(3):
            store.commit(lines[3 * epoch : 3 * epoch + 3])
            if epoch < 2:
                store.seal()
        assert store.open is not None
        store.open.close()
        path = home / name
        before = data = path.read_bytes() if path.exists() else b""
        for change in how:
            data = vandalise(data, *change)
        path.write_bytes(data)
        try:
            store = start(home, clock)
        except ChainKeyLost:
            assert name == "chain.key"
            return
        store.seal(final=True)
        if name == "queue/2.batch":
            return  # its check sum is looked at when it is sent: test_upload
        opened = Opened(home)
        intact = opened.entries[:9] == lines
        assert opened.entries[:6] == lines[:6]
        assert intact or "agent.unclean" in opened.kinds()
        if name == "journal/3.open" and data != before and opened.entries[6:9] != lines[6:]:
            # Altered lines are condemned by the seal, and said; a damaged tail is an unclean stop.
            assert not opened.bad_seals or "agent.tamper" in opened.kinds()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=2_000))
def test_any_bytes_as_an_open_file(data: bytes) -> None:
    found = frames.scan(data, bytes(32), 1, 1, chain.NO_SEAL)
    assert found.entries == []
