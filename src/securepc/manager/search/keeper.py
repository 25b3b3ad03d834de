"""Keep the store in order: rows from memory to minute files, minute files to a file a day."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from securepc.manager.search import files
from securepc.manager.search.manifest import DAILY, File
from securepc.manager.search.query import Damaged
from securepc.manager.search.rows import joined
from securepc.manager.search.store import Store

logger = logging.getLogger("securepc.manager.search")

INTERVAL = 1.0
"""Seconds between looks at what is due."""
FAN_IN = 16
"""So many files of a level become one of the next: a row is written about three times before its day ends."""
QUIET_SECONDS = 600.0
"""A day is over when rows of the next came, or when it is over by the clock and nothing came for so long."""
LOOKS = 4
"""Files beside which is looked in a second: those of ten years in ten minutes. What is missing is made again,
one a second: after an update of the program those of ten years in an hour."""
_SLACK = timedelta(hours=2)
_SORTED = """
SELECT * FROM read_parquet($paths) WHERE (happened >= $first AND happened < $end) = $timely
ORDER BY device, sequence, leaf
"""


class Keeper:
    """A thread that tidies once a second, or `tidy` for whoever wants it done now."""

    def __init__(
        self,
        store: Store,
        connection: duckdb.DuckDBPyConnection,
        report: Callable[[Exception | None], None] = lambda _: None,
    ) -> None:
        """`report` is told of a failure, and of None once it is over."""
        self._store = store
        self._connection = connection
        self._report = report
        self._looked: dict[bytes, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="search-keeper", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread after what it is doing."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        wait = INTERVAL
        while not self._stop.wait(wait):
            try:
                self.tidy()
            except Exception as error:
                # The disk is full, mostly. The rows stay in memory and on the ledger; try again, less often.
                logger.exception("search files could not be written")
                wait = min(60.0, wait * 2)
                self._report(error)
                continue
            if wait > INTERVAL:
                wait = INTERVAL
                self._report(None)

    def tidy(self, *, everything: bool = False) -> None:
        """Write what is due, merge what is many, close the days that are over; or `everything`, today too.

        Raises:
            OSError: the disk is full or fails; nothing is lost.
        """
        self._store.flush(force=everything)
        for log in self._store.logs():
            try:
                with self._store.arranging:
                    self._tidy_agency(log, everything)
                    self._look_beside(log, everything)
            except Damaged as damage:
                if not self._store.discard_damaged(log, damage.files):
                    raise

    def _tidy_agency(self, log: bytes, everything: bool) -> None:
        listed, hot_days, quiet = self._store.status(log)
        days: defaultdict[str, list[File]] = defaultdict(list)
        for file in listed:
            days[file.day].append(file)
        latest = max([*days, *hot_days], default="")
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        for day, of_day in sorted(days.items()):
            if self._stop.is_set():
                return
            over = everything or day < latest or (day < today and quiet > QUIET_SECONDS)
            if day not in hot_days and over:
                if any(file.level < DAILY for file in of_day):
                    self._close_day(log, day, of_day)
            else:
                self._merge(log, day, of_day)

    def _look_beside(self, log: bytes, everything: bool) -> None:
        """Make again what is missing or damaged beside the files, a few at a time, round and round."""
        closed = [file for file in self._store.status(log)[0] if file.level >= DAILY]
        last = self._looked.get(log, 0)
        turn = sorted(closed, key=lambda file: (file.number <= last, file.number))
        for file in turn if everything else turn[:LOOKS]:
            if self._stop.is_set():
                return
            self._looked[log] = file.number
            path = self._store.folder / file.path
            if not files.has_sieve(path, file.size):
                try:
                    files.remake_sieve(path)
                except pa.ArrowException as error:
                    raise Damaged([file], str(error)) from error
                if not everything:
                    return

    def _close_day(self, log: bytes, day: str, of_day: list[File]) -> None:
        """All rows of a day, a device's together. Rows of other days by their own clock (a PC that was
        offline, or whose clock is wrong) go to a file of their own, so that a period finds few files."""
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        first, end = start - _SLACK, start + timedelta(days=1) + _SLACK
        values = {"first": _microseconds(first), "end": _microseconds(end)}
        added = self._store.write(log, day, DAILY, self._sorted(of_day, timely=True, **values))
        added += self._store.write(log, day, DAILY, self._sorted(of_day, timely=False, **values), ".late")
        self._store.replace(log, of_day, added)

    def _merge(self, log: bytes, day: str, of_day: list[File]) -> None:
        by_level = itertools.groupby(sorted(of_day, key=_level), key=_level)
        for level, group in by_level:
            many = list(group)
            if level < DAILY - 1 and len(many) >= FAN_IN:
                rows = self._sorted(many, timely=True, first=0, end=2**62)
                self._store.replace(log, many, self._store.write(log, day, level + 1, rows))

    def _sorted(self, of_day: list[File], *, timely: bool, first: int, end: int) -> Iterator[pa.RecordBatch]:
        paths = [str(self._store.folder / file.path) for file in of_day]
        values = {"paths": paths, "first": first, "end": end, "timely": timely}
        with self._connection.cursor() as cursor:
            try:
                found = cursor.sql(_SORTED, params=values)
                yield from _regroup(found.to_arrow_reader(files.ROW_GROUP))
            except (duckdb.Error, pa.ArrowException) as error:
                raise Damaged(of_day, str(error)) from error


def _regroup(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of exactly a row group, the last one excepted."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        while count + batch.num_rows >= files.ROW_GROUP:
            room = files.ROW_GROUP - count
            yield joined([*held, batch.slice(0, room)])
            held, count, batch = [], 0, batch.slice(room)
        held.append(batch)
        count += batch.num_rows
    if count:
        yield joined(held)


def _level(file: File) -> int:
    return file.level


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
