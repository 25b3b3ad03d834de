"""What the journal does to the disk, and how it starts again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from journal_kit import FakeClock, Opened, new_device, note_maker, open_store

from securepc.agent.journal import ChainKey, ChainKeyLost, frames
from securepc.agent.journal.recovery import Note, forget, recover
from securepc.agent.journal.store import JournalStore
from securepc.wire import chain
from securepc.wire.event import Event, to_entry


def entry(clock: FakeClock, number: int) -> bytes:
    return to_entry(
        Event("file.create", clock.at(), clock.up(), clock.boot.hex(), data={"path": f"/{number}"})
    )


def start(home: Path, clock: FakeClock) -> tuple[JournalStore, list[Note]]:
    store = open_store(home, clock)
    notes = recover(store, clock)
    store.open_epoch()
    if notes:
        store.commit([note_maker(clock)(*note) for note in notes])
        forget(store)
    return store, notes


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    new_device(tmp_path)
    return tmp_path


def test_entries_come_back_in_order_and_the_plaintext_is_gone(home: Path, clock: FakeClock) -> None:
    store, notes = start(home, clock)
    assert notes == []
    lines = [entry(clock, i) for i in range(10)]
    store.commit(lines[:4])
    store.seal()
    store.seal()  # an empty epoch is sealed too
    store.commit(lines[4:])
    store.seal(final=True)
    opened = Opened(home)
    assert opened.entries == lines
    assert opened.bad_seals == []
    assert [h.size for h in opened.headers] == [4, 0, 6]
    assert list((home / "journal").iterdir()) == []
    assert all(b"file.create" not in path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert start(home, clock)[1] == []  # it had ended in good order


def test_the_old_key_is_destroyed_and_the_new_one_derived(home: Path, clock: FakeClock) -> None:
    store, _ = start(home, clock)
    first = store.key.state.key
    store.seal()
    assert store.key.state.key == chain.next_key(first)
    assert first not in (home / "chain.key").read_bytes()


def test_a_crash_is_said_with_its_window_and_loses_nothing(home: Path, clock: FakeClock) -> None:
    store, _ = start(home, clock)
    lines = [entry(clock, i) for i in range(3)]
    store.commit(lines)
    last, boot = clock.at(), clock.boot
    clock.pass_time(3600)
    clock.reboot()
    store, notes = start(home, clock)
    assert [note.kind for note in notes] == ["agent.unclean"]
    assert notes[0].data["first"] == last
    assert notes[0].data["last"] == clock.at()
    assert "PC went down" in notes[0].data["detail"]
    store.seal(final=True)
    opened = Opened(home)
    assert opened.entries[:3] == lines
    assert opened.kinds()[3:] == ["agent.unclean"]
    assert opened.bad_seals == []
    # An epoch never spans two boots.
    assert [h.boot for h in opened.headers] == [boot, clock.boot]
    assert opened.headers[0].sealed_up <= 1_000_000_000


@pytest.mark.parametrize("cut", [1, 20, 43, 44, 45, 100])
def test_a_torn_tail_is_left_out_and_said(home: Path, clock: FakeClock, cut: int) -> None:
    store, _ = start(home, clock)
    lines = [entry(clock, i) for i in range(3)]
    store.commit(lines)
    path = store.path(1)
    path.write_bytes(path.read_bytes()[:-cut])
    store, notes = start(home, clock)
    assert [note.kind for note in notes] == ["agent.unclean"]
    store.seal(final=True)
    opened = Opened(home)
    assert opened.entries[:2] == lines[:2]
    assert opened.kinds()[2:] == ["agent.unclean"]
    assert opened.bad_seals == []


def test_an_altered_line_is_kept_named_and_condemned_by_the_seal(home: Path, clock: FakeClock) -> None:
    store, _ = start(home, clock)
    store.commit([entry(clock, i) for i in range(3)])
    path = store.path(1)
    path.write_bytes(path.read_bytes().replace(b'"/1"', b'"/9"'))
    altered = path.read_bytes()
    store, notes = start(home, clock)
    assert [note.kind for note in notes] == ["agent.tamper", "agent.unclean"]
    assert "entry 2" in notes[0].data["detail"]
    store.seal(final=True)
    opened = Opened(home)
    assert b'"/9"' in opened.entries[1]
    assert len(opened.entries) == 5
    assert opened.bad_seals == [1], "the manager sees it too; and the epochs after it are right"
    assert (home / "journal" / "1.altered").read_bytes() == altered


def test_an_altered_header_is_named(home: Path, clock: FakeClock) -> None:
    store, _ = start(home, clock)
    store.commit([entry(clock, 1)])
    path = store.path(1)
    data = bytearray(path.read_bytes())
    data[50] ^= 1  # the boot id
    path.write_bytes(data)
    _, notes = start(home, clock)
    assert [n.kind for n in notes] == ["agent.tamper", "agent.unclean"]
    assert "header" in notes[0].data["detail"]


def test_a_line_feed_put_into_a_line_does_not_stop_sealing(home: Path, clock: FakeClock) -> None:
    store, _ = start(home, clock)
    store.commit([entry(clock, i) for i in range(2)])
    path = store.path(1)
    path.write_bytes(path.read_bytes().replace(b'"/0"', b'"/\n"'))
    store, _ = start(home, clock)
    store.seal(final=True)
    assert Opened(home).bad_seals == [1]


def test_a_missing_file_is_said(home: Path, clock: FakeClock) -> None:
    store, _ = start(home, clock)
    store.seal()
    store.commit([entry(clock, 1)])
    store.path(2).unlink()
    _, notes = start(home, clock)
    assert [note.kind for note in notes] == ["agent.unclean"]
    assert "not there" in notes[0].data["detail"]
    assert notes[0].data["first"] > 0


def test_chain_key_put_back_is_said_and_the_chain_goes_on(home: Path, clock: FakeClock) -> None:
    store, _ = start(home, clock)
    old = (home / "chain.key").read_bytes()
    for i in range(3):
        store.commit([entry(clock, i)])
        store.seal()
    (home / "chain.key").write_bytes(old)
    store, notes = start(home, clock)
    assert "agent.tamper" in [note.kind for note in notes]
    store.seal(final=True)
    opened = Opened(home)
    assert len(opened.entries) == 3 + len(notes)
    assert opened.bad_seals == []


def test_a_damaged_chain_key_is_refused(home: Path, clock: FakeClock) -> None:
    store, _ = start(home, clock)
    store.seal()
    data = bytearray((home / "chain.key").read_bytes())
    slot = 0 if any(data[:4096]) else 4096
    data[slot + 9] ^= 1
    (home / "chain.key").write_bytes(data)
    with pytest.raises(ChainKeyLost):
        ChainKey(home)
    (home / "chain.key").unlink()
    with pytest.raises(ChainKeyLost):
        ChainKey(home)


def test_a_batch_altered_in_the_queue_before_the_key_moved_on_is_sealed_again(
    home: Path, clock: FakeClock
) -> None:
    store, _ = start(home, clock)
    store.commit([entry(clock, 1)])
    (home / "queue" / "1.batch").write_bytes(b"spcbatch" + bytes(500))
    store, notes = start(home, clock)
    assert [n.kind for n in notes] == ["agent.tamper", "agent.unclean"]
    store.seal(final=True)
    assert Opened(home).kinds()[0] == "file.create"


def test_a_frame_of_another_epoch_does_not_pass(home: Path, clock: FakeClock) -> None:
    """Replaying the file of an earlier epoch shows as no frame at all: its keys are gone."""
    store, _ = start(home, clock)
    store.commit([entry(clock, 1)])
    old = store.path(1).read_bytes()
    store.seal()
    state = store.key.state
    found = frames.scan(old, state.key, 2, 1, state.seal)
    assert found.entries == []
    assert found.altered == "header"


@pytest.mark.parametrize("byte", [0x80, 0xFF])
def test_whatever_byte_is_altered_the_journal_starts_again(
    home: Path, clock: FakeClock, tmp_path_factory: pytest.TempPathFactory, byte: int
) -> None:
    """Bytes that are no UTF-8 too: who can change the file must not be able to stop the recording."""
    store, _ = start(home, clock)
    store.commit([entry(clock, i) for i in range(2)])
    whole = store.path(1).read_bytes()
    copy = tmp_path_factory.mktemp("altered") / "home"
    for position in range(0, len(whole), 11):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(home, copy)
        data = bytearray(whole)
        data[position] ^= byte
        (copy / "journal" / "1.open").write_bytes(data)
        again, _ = start(copy, clock)
        again.seal(final=True)
        assert "agent.unclean" in Opened(copy).kinds()
