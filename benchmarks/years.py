"""`years_…`: searches through a hundred million entries of one agency, as `search_…` but of years.

Forty office PCs, 250 working days. What people do is simulated anew every ten days, and what is dated in
file names gets the date of its day; the rows are written by the manager's own writer. It takes a
quarter of an hour of processor and 2 GB of disk: only where they are named. `SECUREPC_YEARS` names a folder
to keep it in.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from securepc.agent.simulate import USERS, office_day
from securepc.manager.search import beside, files, rows
from securepc.manager.search.keeper import Keeper
from securepc.manager.search.manifest import DAILY, File
from securepc.manager.search.model import Query
from securepc.manager.search.query import connect
from securepc.manager.search.rows import Source
from securepc.manager.search.service import SearchService
from securepc.manager.search.store import Store
from securepc.wire.event import to_entry

LOG = bytes(16)
PCS, ENTRIES, DAYS, FRESH = 40, 10_000, 250, 10
FIRST = date(2025, 9, 1)
DAY = 86_400_000_000
RARE, RARE_DAY = "鰻重", 100
"""A word that nobody at the simulated office uses, in five entries of one day."""
NOWHERE = "鱧料理"
"""One that no entry has, nor any of its pairs of characters."""


def days() -> list[date]:
    """The working days."""
    return [day for n in range(2 * DAYS) if (day := FIRST + timedelta(n)).weekday() < 5][:DAYS]


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """Seconds."""
    kept = os.environ.get("SECUREPC_YEARS")
    with nullcontext(kept) if kept else tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = Store(folder)
        connection = connect(str(folder / "tmp"))
        fill(store, Keeper(store, connection))
        service = SearchService(store, connection, lambda *_: [])
        yield from _measured(service, names)
        store.close()
        connection.close()


def _measured(service: SearchService, names: list[str]) -> Iterator[tuple[str, float]]:
    all_days = days()
    middle = all_days[DAYS // 2]
    first, after = middle.replace(day=1), (middle.replace(day=1) + timedelta(31)).replace(day=1)
    one_day = {"start": _midnight(middle), "end": _midnight(middle) + DAY}
    one_month = {"start": _midnight(first), "end": _midnight(after)}
    asked = {
        "years_device": Query(**one_day, devices=(f"{7:032x}",)),
        "years_month": Query(**one_month, text=RARE),
        "years_month_common": Query(**one_month, text="見積", limit=100),
        "years_month_all": Query(**one_month, text="満期案内"),
        "years_nothing": Query(text=NOWHERE),
        "years_rare": Query(text=RARE),
        "years_latin": Query(text="kaiyaku"),
        "years_number": Query(text="90417724"),
        "years_number_7": Query(text="9041772"),
        "years_number_6": Query(text="904177"),
        "years_telephone": Query(text="03-9041-7724"),
        "years_words": Query(text=f"見積 {RARE}"),
        "years_common": Query(text="見積", limit=100),
        "years_newest": Query(limit=100),
    }
    for figure, query in asked.items():
        if figure in names:
            yield figure, _measure(figure, service, query)


def _measure(figure: str, service: SearchService, query: Query) -> float:
    """The middle of three times."""
    times: list[tuple[float, float]] = []
    for _ in range(3):
        started, worked = time.perf_counter(), time.process_time()
        found = sum(1 for _ in service.search(LOG, query))
        times.append((time.perf_counter() - started, time.process_time() - worked))
    seconds, worked = sorted(times)[1]
    print(
        f"{figure}: {found} found; first time {times[0][0]:.3f} s, then {seconds:.3f} s and {worked:.3f} s "
        f"of processor; load average {os.getloadavg()[0]:.1f}",
        file=sys.stderr,
        flush=True,
    )
    return seconds


def fill(store: Store, keeper: Keeper) -> None:
    """Write the days that are not there yet, on all processors; what is stopped goes on the next time."""
    started, worked = time.perf_counter(), _processor()
    if not store.position(LOG):  # files of an agency without a position are swept away at the next start
        store.add(LOG, [], 0, DAYS, {})
        store.flush(force=True)
    there = {file.day for file in store.status(LOG)[0]}
    missing = [n for n, day in enumerate(days()) if str(day) not in there]
    blocks = [[n for n in missing if n // FRESH == block] for block in range(DAYS // FRESH)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for written in pool.map(_write, [store.folder] * len(blocks), blocks):
            store.replace(LOG, [], written)
    made, took = time.perf_counter() - started, _processor() - worked
    keeper.tidy(everything=True)
    listed = store.status(LOG)[0]
    count = sum(file.rows for file in listed)
    size = sum(file.size for file in listed)
    standing = {
        suffix: sum(path.stat().st_size for path in store.folder.rglob(f"*{suffix}")) / count
        for suffix in (beside.GRAMS, beside.NUMBERS)
    }
    print(
        f"years: {count} rows in {len(listed)} files, {size / count:.2f} bytes a row, {standing} beside; "
        f"{len(missing)} days made in {made:.0f} s, {took:.0f} s of processor",
        file=sys.stderr,
        flush=True,
    )


def _processor() -> float:
    """Seconds of processor that this process and those it started have taken."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _write(folder: Path, numbers: list[int]) -> list[File]:
    """The files of these days, of which people do the same."""
    template: list[pa.RecordBatch] = []
    made = []
    for number in numbers:
        day = days()[number]
        if not template:
            drawn = days()[number - number % FRESH]
            template = [_template(pc_number, drawn) for pc_number in range(PCS)]
        moved = pa.Table.from_batches([_moved(each, number, day) for each in template])
        batches = moved.combine_chunks().to_batches(files.ROW_GROUP)
        month = f"{day:%Y-%m}"
        path = f"daily/{LOG.hex()}/{month}/{day}.{number + 1}.parquet"
        written = files.write(folder / path, batches, files.SMALL, skippable=True)
        if written is not None:
            made.append(File(number + 1, path, month, str(day), DAILY, *written))
    return made


def _template(number: int, day: date) -> pa.RecordBatch:
    """A PC's day."""
    user = USERS[number % len(USERS)]
    events = list(office_day(number, user, day=day, entries=ENTRIES))
    entries = [to_entry(event) for event in events]
    return rows.joined(rows.of_entries(Source(f"{number:032x}", 1, 1, 0, 0, 0), entries))


def _moved(template: pa.RecordBatch, number: int, day: date) -> pa.RecordBatch:
    """The same work, on this day."""
    drawn = days()[number - number % FRESH]
    offset = (day - drawn).days * DAY
    columns = {name: template.column(name) for name in template.schema.names}
    columns["sequence"] = pc.add(columns["sequence"], number * ENTRIES)
    columns["happened"] = pc.add(columns["happened"], offset)
    columns["received"] = columns["happened"]
    columns["leaf"] = pc.add(columns["leaf"], number)
    old, new = f"{drawn:%Y%m%d}", f"{day:%Y%m%d}"
    columns["words"] = pc.replace_substring(columns["words"], old, new)
    columns["folded"] = pc.replace_substring(columns["folded"], old, new)
    if number == RARE_DAY and template.column("device")[0].as_py() == f"{7:032x}":
        columns["words"] = _with_rare(columns["words"])
        columns["folded"] = _with_rare(columns["folded"])
    return pa.RecordBatch.from_pydict(columns, schema=template.schema)


def _with_rare(texts: pa.Array) -> pa.Array:
    """The word put into five rows."""
    values = texts.to_pylist()
    for index in range(5_000, 5_005):
        values[index] = values[index] and f"/書類/{RARE}{index}.txt\x1f" + values[index].partition("\x1f")[2]
    return pa.array(values, pa.string())


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
