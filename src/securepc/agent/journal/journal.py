"""The journal: what collectors report waits in memory a moment, and one thread commits and seals it.

An entry exists once it is on the disk, at most about 100 ms after `append`. When the disk is full or
fails, entries wait in memory while they find room there; those that find none are counted, and the
count and its window are the first thing written when the disk takes entries again.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from securepc.agent.journal import recovery
from securepc.agent.journal.backlog import Backlog, Gap
from securepc.agent.journal.chainkey import ChainKey
from securepc.agent.journal.recovery import Note
from securepc.agent.journal.reserve import Reserve, free_bytes
from securepc.agent.journal.store import Identity, JournalStore
from securepc.agent.platform.base import Clock
from securepc.agent.queue import Queue
from securepc.wire import batch as batches
from securepc.wire import kinds

NoteToEntry = Callable[[str, dict[str, Any]], bytes]
"""(kind, data) → an entry of now."""


class Limits(NamedTuple):
    """Times in seconds. Changed in tests only."""

    group: float = 0.05  # how long a first entry waits for company before the disk is asked
    seal: float = batches.SEAL_AT_SECONDS
    seal_entries: int = batches.SEAL_AT_ENTRIES
    seal_bytes: int = batches.SEAL_AT_BYTES
    urgent: float = 0.25  # urgent entries are sealed at once, but no more often than this
    waiting: int = 20_000  # entries in memory
    waiting_bytes: int = 8 * 1024 * 1024
    patience: float = 1.0  # how long `append` holds its caller back when memory is full
    retry: float = 5.0  # how often a disk that refuses is asked again


class Lines(NamedTuple):
    """Durable lines of the open epoch: what goes up as provisional."""

    boot: bytes
    epoch: int
    first: int
    entries: list[bytes]


class View(NamedTuple):
    """Where the journal stands. `trouble` is the disk's last refusal, empty when it takes entries."""

    boot: bytes
    epoch: int
    durable: int
    sealed: int
    head: bytes
    waiting: int
    lost: int
    trouble: str
    free: int


class Journal:
    """The journal of one device. `changed` is called, from its thread, whenever something became durable
    or sealed; it must return at once."""

    def __init__(
        self,
        home: Path,
        identity: Identity,
        clock: Clock,
        *,
        note_to_entry: NoteToEntry,
        changed: Callable[[], None] = lambda: None,
        limits: Limits | None = None,
    ) -> None:
        """Open the files.

        Raises:
            ChainKeyLost: this device cannot continue its journal.
        """
        self.queue = Queue(home / "queue")
        self.limits = limits or Limits()
        self._store = JournalStore(home, self.queue, ChainKey(home), identity, clock)
        self._reserve = Reserve(self._store.folder)
        self._clock = clock
        self._entry = note_to_entry
        self._changed = changed
        self._disk = threading.Lock()
        """Held while the store changes; never asked for by `append`."""
        self._cond = threading.Condition()
        """Guards everything below; never held while the disk is waited for."""
        self._backlog = Backlog(self.limits.waiting, self.limits.waiting_bytes)
        self._first_waiting = 0.0
        self._hurry = False
        self._urgent = False
        self._asked = self._answered = 0
        """Requests to seal, numbered."""
        self._last_seal = 0.0
        self._unsealed = 0
        self._trouble = ""
        self._retry_at = 0.0
        self._stopping = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    @contextmanager
    def still(self) -> Iterator[JournalStore]:
        """While nothing is committed or sealed: who seals, and to whom, may be changed (`identity`)."""
        with self._disk:
            yield self._store

    def start(self) -> list[Note]:
        """Recover, open an epoch and begin; gives what recovery found, already on the disk.

        Raises:
            OSError: the disk refused; starting again later is right.
        """
        try:
            found = self._recover()
        except OSError as error:
            if not (_is_full(error) and self._reserve.release()):
                raise
            found = self._recover()
        self._reserve.take()
        self._unsealed = len(found)
        self._urgent = bool(found)
        self._thread.start()
        return found

    def append(self, entry: bytes, *, urgent: bool = False) -> bool:
        """Queue an entry; False where it found no room and was counted as lost instead.

        Raises:
            ValueError: not one non-empty line of at most 32 KiB.
        """
        if not entry or len(entry) > batches.MAX_ENTRY or b"\n" in entry:
            raise ValueError("an entry is one non-empty line of at most 32 KiB")
        with self._cond:
            if not self._has_room(entry) and not self._trouble:
                self._cond.wait_for(
                    lambda: self._has_room(entry) or self._trouble or self._stopping, self.limits.patience
                )
            if self._stopping or not self._has_room(entry):
                self._backlog.lose(self._clock.at(), self._trouble)
                return False
            if not len(self._backlog):
                self._first_waiting = time.monotonic()
                self._cond.notify_all()
            self._backlog.add(entry, urgent)
            if urgent and not self._urgent:
                self._urgent = True
                self._cond.notify_all()
            return True

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything appended before is on the disk; False when that took too long."""
        with self._cond:
            target = self._backlog.added
            self._hurry = True
            self._cond.notify_all()
            return self._cond.wait_for(lambda: self._backlog.taken >= target, timeout)

    def seal(self, timeout: float | None = None) -> bool:
        """Seal everything appended before, now; False when that took too long."""
        with self._cond:
            if not len(self._backlog) and not self._unsealed:
                return True
            self._asked += 1
            ticket = self._asked
            self._hurry = True
            self._cond.notify_all()
            return self._cond.wait_for(lambda: self._answered >= ticket, timeout)

    def stop(self, last: Sequence[bytes] = (), timeout: float | None = 10.0) -> bool:
        """Write the last entries, seal and end; False where the disk did not let it end in good order."""
        with self._cond:
            if not self._stopping:
                for entry in last:
                    self._backlog.add(entry, False)
            self._stopping = True
            self._cond.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return self._stopped

    def view(self) -> View:
        """Where the journal stands."""
        with self._disk:
            store = self._store
            epoch, durable, sealed, head = store.key.state.epoch, store.durable, store.sealed, store.head
        with self._cond:
            gap = self._backlog.gap
            return View(
                boot=self._clock.boot,
                epoch=epoch,
                durable=durable,
                sealed=sealed,
                head=head,
                waiting=len(self._backlog),
                lost=gap.lost if gap else 0,
                trouble=self._trouble,
                free=free_bytes(self._store.folder),
            )

    def open_lines(self, after: int) -> Lines | None:
        """The durable lines of the open epoch above a sequence number, None where there are none."""
        with self._disk:
            current = self._store.open
            if current is None:
                return None
            header = current.header
            skip = max(0, after + 1 - header.first)
            entries = current.entries[skip:]
            return Lines(header.boot, header.epoch, header.first + skip, entries) if entries else None

    def _has_room(self, entry: bytes) -> bool:
        return self._backlog.has_room(len(entry))

    def _recover(self) -> list[Note]:
        found = recovery.recover(self._store, self._clock)
        self._store.open_epoch()
        if found:
            self._store.commit([self._entry(*note) for note in found])
            recovery.forget(self._store)
        return found

    # The journal's thread.

    def _run(self) -> None:
        attempts = 3
        while not self._stopped and attempts:
            with self._cond:
                self._wait()
                stopping, self._hurry = self._stopping, False
            try:
                self._work(stopping)
                with self._cond:
                    self._trouble = ""
                    self._stopped = stopping
            except Exception as error:  # whatever it is, the next attempt may succeed, and status shows it
                self._fail(error)
            attempts -= stopping

    def _wait(self) -> None:
        """Sleep until there is something to do. The lock is held."""
        while not (self._stopping or self._hurry):
            now = time.monotonic()
            due = [now + self._until_seal()]
            if self._urgent:
                due.append(self._last_seal + self.limits.urgent)
            if len(self._backlog):
                due.append(self._first_waiting + self.limits.group)
            delay = (self._retry_at if self._trouble else min(due)) - now
            if delay <= 0:
                return
            # The clock of this wait stands still while the PC sleeps, so no wait is long.
            self._cond.wait(min(delay, 2.0))

    def _until_seal(self) -> float:
        current = self._store.open
        if current is None:
            return 0.0
        return self.limits.seal - (self._clock.up() - current.header.opened_up) / 1e6

    def _work(self, stopping: bool) -> None:
        self._report_gap()
        with self._cond:
            target, asked = self._backlog.added, self._asked
        while self._backlog.taken < target:
            self._commit_some()
        with self._cond:
            urgent = self._urgent and time.monotonic() >= self._last_seal + self.limits.urgent
        if stopping or urgent or asked > self._answered or self._until_seal() <= 0:
            self._seal(final=stopping)
            with self._cond:
                self._answered = asked
                self._cond.notify_all()
        if not self._reserve.held:
            self._reserve.take()

    def _commit_some(self) -> None:
        """Put the first waiting entries on the disk, sealing first where the epoch is full."""
        current, limits = self._store.open, self.limits
        entries, size = (len(current.entries), current.bytes) if current else (0, 0)
        with self._cond:
            items = self._backlog.peek(limits.seal_entries - entries, limits.seal_bytes - size)
        if not items or (entries and size + len(items[0].entry) > limits.seal_bytes):
            self._seal()
            return
        with self._disk:
            self._store.commit([item.entry for item in items])
        with self._cond:
            self._backlog.drop(len(items))
            self._unsealed += len(items)
            self._cond.notify_all()
        self._changed()

    def _seal(self, *, final: bool = False) -> None:
        with self._disk:
            self._store.seal(final=final)
        with self._cond:
            self._last_seal = time.monotonic()
            self._unsealed = 0
            self._urgent = self._backlog.urgent
            self._cond.notify_all()
        self._changed()

    # A disk that refuses.

    def _fail(self, error: Exception) -> None:
        """Give the reserve back for the last words, or try again in a while."""
        if _is_full(error) and self._reserve.release():
            free = free_bytes(self._store.folder)
            note = self._entry("agent.disk", {"free": free, "folder": str(self._store.folder)})
            with self._cond:
                self._backlog.add(note, True)
                self._urgent = self._hurry = True
            return
        with self._cond:
            reason = error.strerror if isinstance(error, OSError) else None
            self._trouble = reason or f"{type(error).__name__}: {error}"
            self._retry_at = time.monotonic() + self.limits.retry
            self._cond.notify_all()

    def _report_gap(self) -> None:
        """The count of what was lost is the first thing written when entries find room again."""
        with self._cond:
            gap = self._backlog.gap
        if gap is None:
            return
        with self._disk:
            self._store.commit([self._entry("collect.gap", gap_data(gap))])
        with self._cond:
            now = self._backlog.gap or gap
            rest = now.lost - gap.lost
            self._backlog.gap = Gap(rest, gap.last, now.last, now.trouble) if rest else None
            self._unsealed += 1
            self._urgent = True


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def gap_data(gap: Gap) -> dict[str, Any]:
    """The fields of a `collect.gap` about the journal itself."""
    trouble = gap.trouble
    why_ja = f"ディスクが書き込みを拒みました({trouble})" if trouble else "記録が追いつきませんでした"
    why_en = f"the disk refused ({trouble})" if trouble else "the journal could not keep up"
    return {
        "collector": "journal",
        "reason": trouble or "busy",
        "lost": gap.lost,
        "first": gap.first,
        "last": gap.last,
        "ja": f"{why_ja}。{gap.lost}件を記録できませんでした。",
        "en": f"{why_en}; {gap.lost} entries were not recorded.",
    }


def urgent(kind: str, result: str) -> bool:
    """Whether the batch that holds such an event is sealed at once."""
    return result == "blocked" or kinds.urgent(kind)
