"""Where the rows are: memory, then minute files, then a file a day; and what a search sees of them.

    sealed rows ──60 s──▶ minute/<agency>/*.parquet ──day over──▶ daily/<agency>/<month>/<day>.*.parquet

Rows and the ledger position they reach move together, in one commit of the manifest. So after a crash at
any instant the ledger is read again from exactly where the files end.
"""

from __future__ import annotations

import itertools
import logging
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from securepc.manager.search import beside, files
from securepc.manager.search.gathering import Ready
from securepc.manager.search.hot import DayRows, Hot
from securepc.manager.search.manifest import DAILY, File, Manifest, Sealed
from securepc.manager.search.rows import SCHEMA

logger = logging.getLogger("securepc.manager.search")

FLUSH_SECONDS = 60.0
FLUSH_ROWS = 100_000
MAX_HOT_ROWS = 1_000_000
"""With so many rows that can't be written, the follower takes no more: the disk is full."""


class Full(Exception):
    """Rows can't be written and memory holds no more; the ledger will be read again from here."""


class View(NamedTuple):
    """What one search sees: each row once. The files stay as long as the view does."""

    folder: Path
    files: tuple[File, ...]
    hot: pa.Table
    provisional: pa.Table


class Store:
    """Thread-safe. `flush` and `replace` are called by one thread (`keeper`); anybody may do the rest."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._manifest = Manifest(folder / "manifest.sqlite")
        self._lock = threading.Lock()
        self._flushing = threading.RLock()
        self.arranging = threading.Lock()
        """Held by whoever reads files to put their rows into others; taken before everything else."""
        self._hot: dict[bytes, Hot] = {}
        self._files: dict[bytes, tuple[File, ...]] = {}
        self._generation = 0
        self._readers: Counter[int] = Counter()
        self._doomed: list[tuple[int, Path]] = []
        self._numbers = itertools.count(self._manifest.next_number())
        self._open()

    def _open(self) -> None:
        for log, position in self._manifest.positions().items():
            listed = self._manifest.files(log)
            if all(self._is_there(file) for file in listed):
                self._files[log] = tuple(listed)
                self._hot[log] = Hot(position, self._manifest.sealed(log))
            else:
                # Nothing here is a source of truth: the ledger is.
                logger.error("search files of %s are damaged; they are built again", log.hex())
                self._manifest.forget(log)
        self._sweep()

    def _is_there(self, file: File) -> bool:
        path = self.folder / file.path
        return path.is_file() and path.stat().st_size == file.size

    def _sweep(self) -> None:
        """Remove what a crash left: files that were written but never listed."""
        listed = {self.folder / file.path for each in self._files.values() for file in each}
        listed |= {each for path in listed for each in beside.paths(path)}
        for below in ("minute", "daily"):
            for path in (self.folder / below).rglob("*"):
                if path.is_file() and path not in listed:
                    path.unlink()
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        (self.folder / "tmp").mkdir(mode=0o700)

    def close(self) -> None:
        """Write what is in memory, so that the next start reads nothing again, and let go."""
        try:
            self.flush(force=True)
        except OSError as error:
            logger.warning("search rows stay on the ledger only: %s", error)
        self._manifest.close()

    def logs(self) -> list[bytes]:
        """The agencies that have rows or a position."""
        with self._lock:
            return list(self._hot)

    def position(self, log: bytes) -> int:
        """The first leaf index that has not been taken, into memory or files."""
        with self._lock:
            return self._of(log).position

    def add(
        self, log: bytes, days: Sequence[DayRows], start: int, position: int, sealed: Mapping[str, Sealed]
    ) -> None:
        """Take the sealed rows of leaves [start, position): searchable from now on.

        Nothing is taken where the position is not `start` any more: the files were found damaged meanwhile.

        Args:
            sealed: how far each of their devices (hex) has sealed.

        Raises:
            Full: nothing was taken.
        """
        with self._lock:
            hot = self._of(log)
            if hot.position != start:
                return
            if hot.rows > MAX_HOT_ROWS:
                raise Full("the search follower can't write its rows")
            hot.add(days, position, sealed)
            crowded = hot.rows > 2 * FLUSH_ROWS
        if crowded:  # the keeper doesn't keep up (a rebuild): whoever brings the rows writes them
            self.flush(log)

    def take(
        self, log: bytes, ready: Sequence[Ready], start: int, position: int, sealed: Mapping[str, Sealed]
    ) -> bool:
        """Take files of the rows of leaves [start, position): found, and listed, from now on. Whether they
        were taken: not where the position is not `start` any more.

        Raises:
            OSError: the disk is full or fails; nothing was taken.
        """
        added: list[File] = []
        with self._flushing:
            self._flush(log, force=True)  # what came before them
            try:
                for each in ready:
                    added.append(self._adopt(log, each))  # noqa: PERF401 - those before a failure count
                with self._lock:
                    hot = self._of(log)
                    current = hot.position == start
                    if current:
                        self._manifest.advance(log, position, added, sealed)
                        hot.skip(position, sealed)
                        self._files[log] = (*self._files.get(log, ()), *added)
            except BaseException:
                self._unlink(added)
                raise
            if not current:
                self._unlink(added)
            return current

    def _adopt(self, log: bytes, ready: Ready) -> File:
        """Give a file its place among the minute files."""
        number = next(self._numbers)
        path = f"minute/{log.hex()}/{ready.day}.{number}.parquet"
        files.move(Path(ready.path), self.folder / path)
        return File(number, path, ready.day[:7], ready.day, 0, *ready.written)

    def announce(self, log: bytes, device: str, epoch: int, first: int, rows: pa.RecordBatch) -> None:
        """Take provisional rows, consecutive from `first` on: searchable until the sealed ones come."""
        with self._lock:
            self._of(log).announce(device, epoch, first, rows)

    @contextmanager
    def view(self, log: bytes) -> Iterator[View]:
        """One consistent view of an agency's rows."""
        with self._lock:
            hot = self._of(log)
            view = View(self.folder, self._files.get(log, ()), hot.sealed_table(), hot.provisional_table())
            generation = self._generation
            self._readers[generation] += 1
        try:
            yield view
        finally:
            with self._lock:
                self._readers -= Counter({generation: 1})
            self._remove_doomed()

    def status(self, log: bytes) -> tuple[tuple[File, ...], set[str], float]:
        """The files, the days that have rows in memory, and seconds since anything came."""
        with self._lock:
            hot = self._of(log)
            days = {each.day for each in hot.days}
            return self._files.get(log, ()), days, time.monotonic() - hot.changed

    def flush(self, log: bytes | None = None, *, force: bool = False) -> None:
        """Write rows that are old enough, or too many, to minute files.

        Raises:
            OSError: the disk is full or fails; the rows stay in memory.
        """
        with self._flushing:
            for each in self.logs() if log is None else [log]:
                self._flush(each, force=force)

    def _flush(self, log: bytes, *, force: bool) -> None:
        with self._lock:
            hot = self._of(log)
            due = hot.rows >= FLUSH_ROWS or time.monotonic() - hot.since >= FLUSH_SECONDS
            if hot.position == hot.durable or not (due or force):
                return
            days, position, sealed = list(hot.days), hot.position, hot.take_unflushed()
        added: list[File] = []
        try:
            for day in sorted({each.day for each in days}):
                table = pa.Table.from_batches([each.rows for each in days if each.day == day])
                added += self.write(log, day, 0, table.combine_chunks().to_batches(files.ROW_GROUP))
            self._manifest.advance(log, position, added, sealed)
        except BaseException:
            with self._lock:
                hot.put_back(sealed)
            self._unlink(added)
            raise
        with self._lock:
            hot.flushed(days, position)
            self._files[log] = (*self._files.get(log, ()), *added)

    def write(
        self, log: bytes, day: str, level: int, batches: Iterable[pa.RecordBatch], suffix: str = ""
    ) -> list[File]:
        """Write rows of one day to a new file that is not listed yet; no file where there are no rows.

        Raises:
            OSError: the disk is full or fails; there is no file.
        """
        number = next(self._numbers)
        month = day[:7]
        if level == DAILY:
            path = f"daily/{log.hex()}/{month}/{day}{suffix}.{number}.parquet"
        else:
            path = f"minute/{log.hex()}/{day}.{number}.parquet"
        zstd = files.SMALL if level == DAILY else files.FAST
        written = files.write(self.folder / path, batches, zstd, skippable=level >= DAILY)
        return [] if written is None else [File(number, path, month, day, level, *written)]

    def replace(self, log: bytes, removed: Sequence[File], added: Sequence[File]) -> None:
        """The same rows are in other files now. The old ones go once no search reads them any more.

        Where an old one went meanwhile (its month expired), nothing is done and the new ones go instead.
        """
        gone = {file.number for file in removed}
        with self._lock:
            listed = self._files.get(log, ())
            current = gone <= {file.number for file in listed}
            try:
                if current:
                    self._manifest.replace(log, removed, added)
            except BaseException:
                self._unlink(added)
                raise
            if current:
                self._files[log] = (*(file for file in listed if file.number not in gone), *added)
                self._doom(removed)
            else:
                self._unlink(added)
        self._remove_doomed()

    def rewrite(
        self, log: bytes, chosen: Callable[[File], bool], change: Callable[[pa.Table], pa.Table | None]
    ) -> None:
        """Write anew those of the chosen files that `change` gives other rows for; None leaves one as it is.

        Raises:
            OSError: the disk is full or fails; what was not rewritten is as it was.
        """
        with self.arranging, self._flushing:
            self._flush(log, force=True)
            with self._lock:
                listed = [file for file in self._files.get(log, ()) if chosen(file)]
            for file in listed:
                try:
                    rows = change(pq.read_table(self.folder / file.path).cast(SCHEMA))
                except (OSError, pa.ArrowException):
                    if self.discard_damaged(log, [file]):
                        return  # all is read from the ledger again, without what had to go
                    raise
                if rows is not None:
                    batches = rows.combine_chunks().to_batches(files.ROW_GROUP)
                    self.replace(log, [file], self.write(log, file.day, file.level, batches))

    def forget(self, log: bytes) -> None:
        """Remove all of an agency's rows: the follower starts again from zero."""
        with self._flushing, self._lock:
            self._manifest.forget(log)
            self._of(log).restart()
            self._doom(self._files.pop(log, ()))
        self._remove_doomed()

    def discard_damaged(self, log: bytes, suspects: Iterable[File]) -> bool:
        """Start again from zero where one of these files is damaged; whether one is."""
        with self._lock:
            listed = {file.number for file in self._files.get(log, ())}
        if all(file.number not in listed or files.intact(self.folder / file.path) for file in suspects):
            return False
        logger.error("search files of %s are damaged; they are built again", log.hex())
        self.forget(log)
        return True

    def _doom(self, removed: Iterable[File]) -> None:
        self._generation += 1
        self._doomed += [(self._generation, self.folder / file.path) for file in removed]

    def _of(self, log: bytes) -> Hot:
        return self._hot.setdefault(log, Hot(0, {}))

    def _unlink(self, written: Iterable[File]) -> None:
        for file in written:
            beside.remove(self.folder / file.path)

    def _remove_doomed(self) -> None:
        """A view of generation g may read every file that was replaced after it, in generation g + 1 on."""
        with self._lock:
            oldest = min(self._readers, default=self._generation)
            ready = [path for generation, path in self._doomed if generation <= oldest]
            self._doomed = [each for each in self._doomed if each[0] > oldest]
        for path in ready:
            beside.remove(path)
