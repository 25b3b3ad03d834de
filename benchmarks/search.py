"""`search_day`, `search_month`, `search_all`: all entries with a rare two-character Japanese word.

One agency of ten office PCs, fifty working days in two months: five million rows in daily files as the
manager writes them, and the search as the console and the API call it, to its last hit.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from securepc.agent.simulate import USERS, office_day
from securepc.manager.search import rows
from securepc.manager.search.hot import DayRows
from securepc.manager.search.keeper import Keeper
from securepc.manager.search.model import Query
from securepc.manager.search.query import connect
from securepc.manager.search.rows import Source
from securepc.manager.search.service import SearchService
from securepc.manager.search.store import Store
from securepc.wire.event import Event, to_entry

LOG = bytes(16)
PCS, ENTRIES, DAYS = 10, 10_000, 50
FIRST = date(2026, 9, 7)
WORD, EVERY = "鰻重", 5_000
"""A word that nobody at the simulated office uses, put in one entry of so many."""
DAY = 86_400_000_000


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """Seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store(folder)
        connection = connect(str(folder / "tmp"))
        days = _fill(store, Keeper(store, connection))
        service = SearchService(store, connection, lambda *_: [])
        last = _midnight(days[-1])
        month = _midnight(days[-1].replace(day=1))
        for figure, start in (("search_day", last), ("search_month", month), ("search_all", None)):
            if figure in names:
                seconds, found = _measure(service, Query(start=start, text=WORD))
                print(f"{figure}: {found} found", file=sys.stderr)
                yield figure, seconds
        seconds, _ = _measure(service, Query(limit=100))
        common, found = _measure(service, Query(start=last, text="見積"))
        print(
            f"search: the newest 100 of everything {seconds:.3f} s; "
            f"a common word in a day, {found} found, {common:.2f} s",
            file=sys.stderr,
        )
        store.close()
        connection.close()


def _measure(service: SearchService, query: Query) -> tuple[float, int]:
    """The middle of three times, and how many are found."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        found = sum(1 for _ in service.search(LOG, query))
        times.append(time.perf_counter() - started)
    return sorted(times)[1], found


def _fill(store: Store, keeper: Keeper) -> list[date]:
    days = [day for n in range(2 * DAYS) if (day := FIRST + timedelta(n)).weekday() < 5][:DAYS]
    started = time.perf_counter()
    templates = [_template(number) for number in range(PCS)]
    making = time.perf_counter() - started
    for number, day in enumerate(days):
        moved = [_moved(rows_, number, day) for rows_ in templates]
        store.add(LOG, [DayRows(str(day), rows.joined(moved))], number, number + 1, {})
        keeper.tidy(everything=True)
    size = sum(file.size for file in store.status(LOG)[0])
    count = PCS * ENTRIES * DAYS
    print(
        f"search: {count} rows of {size / count:.1f} bytes, written at "
        f"{count / (time.perf_counter() - started - making):.0f} rows/s; rows made of entries at "
        f"{_rate(PCS * ENTRIES):.0f} rows/s",
        file=sys.stderr,
    )
    return days


def _entries(number: int) -> list[bytes]:
    """A PC's day; today's date in file names stays the template's."""
    events = list(office_day(number, USERS[number % len(USERS)], day=FIRST, entries=ENTRIES))
    for index in range(0, ENTRIES, EVERY):
        event = events[index + 17]
        events[index + 17] = Event(
            "file.create", event.at, event.up, event.boot, event.user, data={"path": f"/書類/{WORD}.txt"}
        )
    return [to_entry(event) for event in events]


def _template(number: int) -> pa.RecordBatch:
    source = Source(f"{number:032x}", 1, 1, 0, 0, 0)
    return rows.joined(rows.of_entries(source, _entries(number)))


def _moved(template: pa.RecordBatch, number: int, day: date) -> pa.RecordBatch:
    """The same office, so many days later."""
    offset = (day - FIRST).days * DAY
    columns = {name: template.column(name) for name in template.schema.names}
    columns["sequence"] = pc.add(columns["sequence"], number * ENTRIES)
    columns["happened"] = pc.add(columns["happened"], offset)
    columns["received"] = columns["happened"]
    columns["leaf"] = pc.add(columns["leaf"], number)
    return pa.RecordBatch.from_pydict(columns, schema=template.schema)


def _rate(count: int) -> float:
    entries = [entry for number in range(PCS) for entry in _entries(number)]
    started = time.process_time()
    for start in range(0, len(entries), 500):
        rows.of_entries(Source("0" * 32, 1, 1, 0, 0, 0), entries[start : start + 500])
    return count / (time.process_time() - started)


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
