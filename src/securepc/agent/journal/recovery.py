"""Starting again, whatever stopped the agent: finish what was half done, seal what was left open, and say
what happened.

What is found is written down as *notes*, events of the next epoch, in `notes.json` before anything is
changed, so that losing power during recovery loses none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from securepc.agent import files
from securepc.agent.journal import frames
from securepc.agent.journal.frames import Contents, Header
from securepc.agent.journal.store import JournalStore
from securepc.agent.platform.base import Clock
from securepc.agent.queue import Damaged
from securepc.wire import chain
from securepc.wire.batch import MAX_ENTRY, SealedBatch
from securepc.wire.event import from_entry
from securepc.wire.shapes import prepared
from securepc.wire.signed import batch as headers

NOTES = "notes.json"
MAX_NOTES = 1024 * 1024
KEPT = 10
"""How many altered files are kept at most: they hold plaintext."""


@prepared
class Note(NamedTuple):
    """An event about the journal itself, not yet recorded."""

    kind: str
    data: dict[str, Any]


def recover(store: JournalStore, clock: Clock) -> list[Note]:
    """Bring the journal to where a new epoch can be opened; gives what is to be recorded first in it.

    Raises:
        OSError: the disk refused; trying again is right.
    """
    files.make_folder(store.folder)
    for path in store.folder.glob("*.tmp"):
        files.erase(path)
    notes = _Notes(store.folder / NOTES)
    clean = store.key.state.clean
    since = _finish_seals(store, notes)
    if (path := store.path(store.key.state.epoch)).exists():
        _seal_leftover(store, clock, path, notes)
    elif since or not clean:
        notes.add(_unclean(since or _last_sealed(store), clock.at(), "the journal's file is not there"))
    notes.save()
    _clear(store, notes)
    return notes.found


def forget(store: JournalStore) -> None:
    """The notes are in the journal now."""
    files.unlink(store.folder / NOTES)


class _Notes:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: list[Note] = []
        try:
            self.found = msgspec.json.decode(files.read(path, MAX_NOTES), type=list[Note])
        except (FileNotFoundError, ValueError, msgspec.DecodeError):
            return

    def add(self, note: Note) -> None:
        if len(self.found) < 100:
            self.found.append(note)

    def save(self) -> None:
        if self.found:
            files.replace(self._path, msgspec.json.encode(self.found))

    def altered(self) -> set[int]:
        return {note.data.get("epoch", 0) for note in self.found if note.kind == "agent.tamper"}


def _finish_seals(store: JournalStore, notes: _Notes) -> int:
    """Step 2 of sealing for each batch that got as far as the queue; gives when the last was sealed."""
    since, done = 0, 0
    while store.queue.has(epoch := store.key.state.epoch):
        batch = _expected(store, epoch)
        if batch is None:
            notes.add(_tamper(epoch, store.key.state.first, "a sealed batch in the queue was altered"))
            notes.save()
        if batch is None or _overtaken(store, batch):
            store.queue.remove(epoch)
            break
        since, done = headers.of_leaf(batch.leaf).sealed_at, done + 1
        if done == 2:  # an interrupted seal leaves one; more mean that chain.key is an old one
            notes.add(_tamper(epoch, store.key.state.first, "chain.key was put back to an older state"))
            notes.save()
        store.follow(batch, clean=False)
    store.key.settle()
    return since


def _expected(store: JournalStore, epoch: int) -> SealedBatch | None:
    """The batch in the queue, if it is the one that continues this journal."""
    state = store.key.state
    try:
        batch = store.queue.get(epoch)
        header = headers.of_leaf(batch.leaf)
    except (Damaged, KeyError, ValueError):
        return None
    follows = (epoch, state.first, state.previous)
    return batch if (header.epoch, header.first, header.previous) == follows else None


def _overtaken(store: JournalStore, batch: SealedBatch) -> bool:
    """Whether the epoch went on after this batch: putting it in the queue was reported as failed, so it
    was never sent, and the journal's file knows more."""
    try:
        return len(_scan(store).entries) > headers.of_leaf(batch.leaf).size
    except (OSError, ValueError):
        return False


def _scan(store: JournalStore) -> Contents:
    state = store.key.state
    data = files.read(store.path(state.epoch), frames.MAX_FILE)
    return frames.scan(data, state.key, state.epoch, state.first, state.seal)


def _seal_leftover(store: JournalStore, clock: Clock, path: Path, notes: _Notes) -> None:
    """Seal, under the boot it belongs to, what an agent that was not stopped has left open."""
    state, now = store.key.state, clock.at()
    try:
        found = _scan(store)
    except ValueError:
        found = Contents(None, [], [], path.stat().st_size, "")
        notes.add(_tamper(state.epoch, state.first, "the journal's file is impossibly long"))
    if found.altered:
        detail = f"the journal's file of epoch {state.epoch} was altered: {found.altered}"
        notes.add(_tamper(state.epoch, state.first, detail))
    detail = "the agent was stopped from outside"
    if found.header is not None and found.header.boot != clock.boot:
        detail = "the PC went down without stopping the agent"
    if found.torn:
        detail += f"; {found.torn} bytes after the last whole line were left out"
    # Twice over the same file, when power goes during recovery, is one unclean stop.
    note = _unclean(_last_time(found) or _last_sealed(store), now, detail)
    if not any(n.kind == note.kind and n.data["first"] == note.data["first"] for n in notes.found):
        notes.add(note)
    notes.save()
    if found.header is not None:
        _seal_contents(store, clock, found.header, found)


def _seal_contents(store: JournalStore, clock: Clock, header: Header, found: Contents) -> None:
    state = store.key.state
    mac = chain.mac_key(state.key)
    # The seal goes over the tags as they were stored: where lines were altered, it will not verify, and
    # the manager learns it from the seal as well as from the note.
    last = found.tags[-1] if found.tags else chain.opening(mac, state.epoch, state.seal)
    seal = chain.seal(mac, state.epoch, len(found.entries), last)
    entries = [_sealable(entry) for entry in found.entries]
    up = clock.up() if header.boot == clock.boot else _last_up(header, entries)
    store.queue.put(state.epoch, batch := store.seal_entries(header, entries, seal, up))
    store.follow(batch, clean=False)


def _clear(store: JournalStore, notes: _Notes) -> None:
    """Step 3 of sealing: erase the files of sealed epochs; put altered ones, and what is not ours, aside."""
    altered, current = notes.altered(), store.key.state.epoch
    for path in sorted(store.folder.glob("*.open")):
        epoch = int(path.stem) if path.stem.isdecimal() else 0
        if epoch > current and epoch not in altered:
            notes.add(_tamper(epoch, store.key.state.first, "chain.key was put back to an older state"))
            notes.save()
        if (epoch in altered or epoch > current) and len(list(store.folder.glob("*.altered"))) < KEPT:
            files.rename(path, path.with_suffix(".altered"))
        else:
            files.erase(path)
    files.sync_folder(store.folder)


def _sealable(entry: bytes) -> bytes:
    """An altered line as something that can be sealed: one line."""
    return entry.replace(b"\n", b"\\n")[:MAX_ENTRY]


def _last_time(found: Contents) -> int:
    times = [found.header.opened_at if found.header else 0]
    times += [event.at for entry in found.entries[-50:] if (event := from_entry(entry))]
    return max(times)


def _last_up(header: Header, entries: list[bytes]) -> int:
    ups = [event.up for entry in entries[-50:] if (event := from_entry(entry))]
    return max(up for up in [header.opened_up, *ups] if up <= headers.MAX_TIME)


def _last_sealed(store: JournalStore) -> int:
    try:
        return headers.of_leaf(store.queue.get(store.key.state.epoch - 1).leaf).sealed_at
    except (KeyError, Damaged, ValueError):
        return 0


def _unclean(first: int, last: int, detail: str) -> Note:
    return Note("agent.unclean", {"first": first, "last": last, "detail": detail})


def _tamper(epoch: int, sequence: int, detail: str) -> Note:
    return Note("agent.tamper", {"detail": detail, "epoch": epoch, "sequence": sequence})
