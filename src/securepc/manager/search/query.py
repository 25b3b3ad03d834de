"""Ask DuckDB: one query over files and memory for a stretch of time, stretch after stretch, newest first.

A search without a limit would have to sort everything it finds before it could give the first row. So the
past is cut into windows along the files' times, small ones first and larger ones the less they hold: what
is recent comes at once, what is rare is still found with few queries, and memory stays bounded.

Values are always parameters; an agency's files are chosen by its handle before any of this begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from securepc.manager.search import rows as rowmaking
from securepc.manager.search import texts
from securepc.manager.search.manifest import File
from securepc.manager.search.model import Query
from securepc.manager.search.skipping import Skipper
from securepc.manager.search.store import View
from securepc.wire.kinds import KINDS
from securepc.wire.signed.batch import MAX_TIME

REPEATING = ("admin.search", "admin.export")
"""Kinds that repeat what somebody searched for: a search for a text finds them where it asks for kinds only,
or else the second search for anything would find the first."""
FIRST_WINDOW = 50_000
WANTED = 20_000
"""Rows that one window should give: what is sorted and held in memory at once."""
LARGEST_STEP = 16
MAX_APART = 64
"""Files of which one query reads some row groups only, each a source of its own; of more it reads all."""
_ORDER = "happened DESC, device DESC, sequence DESC, leaf DESC"
_NAMES = ", ".join(rowmaking.COLUMNS)


class Damaged(Exception):
    """These files could not be read; where one is damaged, rows are built again from the ledger."""

    def __init__(self, files: Sequence[File], detail: str) -> None:
        super().__init__(detail)
        self.files = files


class Part(NamedTuple):
    """A file and those of its rows that may match."""

    file: File
    rows: range

    @property
    def is_whole(self) -> bool:
        """Whether all of the file has to be read."""
        return len(self.rows) == self.file.rows


class Window(NamedTuple):
    """Times in (after, until], and what of the files may have rows of them."""

    after: int
    until: int
    parts: tuple[Part, ...]


def connect(temporary: str, *, threads: int | None = None, memory: str = "1GB") -> duckdb.DuckDBPyConnection:
    """A database in memory that only reads what it is handed."""
    options: dict[str, str | bool | int | float | list[str]] = {
        "temp_directory": temporary,
        "memory_limit": memory,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": False,
    }
    if threads:
        options["threads"] = threads
    connection = duckdb.connect(":memory:", config=options)
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET lock_configuration = true")
    return connection


def find(connection: duckdb.DuckDBPyConnection, view: View, query: Query) -> Iterator[pa.Table]:
    """The rows that match, newest first, a table a window.

    Raises:
        Invalid: the text can't be searched for.
        Damaged: a file can't be read.
    """
    words = texts.words(query.text)
    clauses, values = _conditions(query, words)
    left, size = query.limit, FIRST_WINDOW
    until = MAX_TIME if query.end is None else query.end - 1
    if query.before is not None:
        until = min(until, query.before.happened)
    start = 0 if query.start is None else query.start
    skipper = Skipper(view, words)
    while until >= start and (left is None or left > 0):
        window = _window(view.files, start, until, size, skipper)
        after = max(window.after, start - 1)
        parts = [part for part in window.parts if part.file.latest > after]
        times = {"after": after, "until": until}
        table = _ask(
            connection,
            view,
            parts,
            ["happened > $after", "happened <= $until", *clauses],
            {**values, **times},
            left,
        )
        if table.num_rows:
            yield table
        if left is not None:
            left -= table.num_rows
        size = _next_size(size, table.num_rows)
        until = window.after


def by_number(
    connection: duckdb.DuckDBPyConnection, view: View, device: str, first: int, last: int, leaves: list[int]
) -> pa.Table:
    """A device's rows with these sequence numbers, in the order of `find`.

    Args:
        leaves: indexes of the batches that hold them, as far as they are sealed.

    Raises:
        Damaged: a file can't be read.
    """
    parts = [
        Part(file, range(file.rows))
        for file in view.files
        if any(file.first_leaf <= leaf <= file.last_leaf for leaf in leaves)
    ]
    clauses = ["device = $device", "sequence BETWEEN $first AND $last"]
    return _ask(connection, view, parts, clauses, {"device": device, "first": first, "last": last}, None)


def _next_size(size: int, found: int) -> int:
    """Rows to read for the next window, so that it gives about as many as are wanted."""
    if found == 0:
        return size * LARGEST_STEP
    return max(FIRST_WINDOW // 4, min(size * LARGEST_STEP, size * WANTED // found))


def _window(files: tuple[File, ...], start: int, until: int, size: int, skipper: Skipper) -> Window:
    """The latest stretch up to `until` for which about `size` rows have to be read."""
    candidates = [file for file in files if file.earliest <= until and file.latest >= start]
    candidates.sort(key=_latest, reverse=True)
    parts: list[Part] = []
    rows = 0
    for index, file in enumerate(candidates):
        part = Part(file, skipper.rows(file))
        rows += len(part.rows)
        if part.rows:
            parts.append(part)
        following = candidates[index + 1].latest if index + 1 < len(candidates) else -1
        # Where the next file ends before this stretch does, it has no rows of the stretch.
        if rows >= size and following < until and following < file.latest:
            return Window(following, until, tuple(parts))
    return Window(-1, until, tuple(parts))


def _latest(file: File) -> int:
    return file.latest


def _ask(
    connection: duckdb.DuckDBPyConnection,
    view: View,
    parts: Sequence[Part],
    clauses: list[str],
    values: dict[str, Any],
    limit: int | None,
) -> pa.Table:
    sources, paths = _sources(view, parts)
    values = {**values, **paths}
    where = " AND ".join(clauses)
    # The condition stands at every source, so that row groups are skipped by their statistics.
    sql = f"SELECT * FROM ({' UNION ALL '.join(f'{each} AND {where}' for each in sources)}) ORDER BY {_ORDER}"  # noqa: S608
    if limit is not None:
        sql += " LIMIT $limit"
        values = {**values, "limit": limit}
    with connection.cursor() as cursor:
        cursor.register("hot", view.hot)
        cursor.register("provisional", view.provisional)
        try:
            return cursor.sql(sql, params=values).to_arrow_table()
        except duckdb.Error as error:  # damaged bytes come to light as any kind of it
            raise Damaged([part.file for part in parts], str(error)) from error


def _sources(view: View, parts: Sequence[Part]) -> tuple[list[str], dict[str, Any]]:
    """What rows are selected from, without conditions, and the values of its parameters."""
    few = sorted((part for part in parts if not part.is_whole), key=_spared, reverse=True)[:MAX_APART]
    apart = {part.file.number for part in few}
    whole = [str(view.folder / part.file.path) for part in parts if part.file.number not in apart]
    sources = [f"SELECT {_NAMES}, true AS sealed FROM hot WHERE true"]  # noqa: S608 - fixed names only
    sources.append(f"SELECT {_NAMES}, false AS sealed FROM provisional WHERE true")  # noqa: S608
    values: dict[str, Any] = {}
    if whole:
        sources.append(f"SELECT {_NAMES}, true AS sealed FROM read_parquet($paths) WHERE true")  # noqa: S608
        values["paths"] = whole
    for number, part in enumerate(few):
        sources.append(
            f"SELECT {_NAMES}, true AS sealed FROM read_parquet($path{number}, file_row_number = true)"  # noqa: S608
            f" WHERE file_row_number >= $row{number} AND file_row_number < $stop{number}"
        )
        values[f"path{number}"] = str(view.folder / part.file.path)
        values |= {f"row{number}": part.rows.start, f"stop{number}": part.rows.stop}
    return sources, values


def _spared(part: Part) -> int:
    return part.file.rows - len(part.rows)


def _conditions(query: Query, words: tuple[texts.Word, ...]) -> tuple[list[str], dict[str, Any]]:
    clauses: list[str] = []
    values: dict[str, Any] = {}
    if query.devices:
        clauses.append(
            "list_contains($devices, device)" if len(query.devices) > 1 else "device = $devices[1]"
        )
        values["devices"] = list(query.devices)
    if query.user:
        clauses.append("lower(account) = lower($account)")
        values["account"] = query.user
    if query.result:
        clauses.append("coalesce(outcome, 'ok') = $outcome")
        values["outcome"] = query.result
    if query.kinds:
        clauses.append(_kinds(query.kinds, values))
    if words and not query.kinds:
        clauses.append("NOT list_contains($repeating, kind)")
        values["repeating"] = list(REPEATING)
    clauses += texts.conditions(words, values)
    if query.before is not None:
        clauses.append(
            "(happened, device, sequence, coalesce(leaf, -1))"
            " < ($b_happened, $b_device, $b_sequence, $b_leaf)"
        )
        values |= {f"b_{name}": value for name, value in query.before._asdict().items()}
    return clauses, values


def _kinds(kinds: tuple[str, ...], values: dict[str, Any]) -> str:
    names, prefixes = set(), []
    for kind in kinds:
        if kind.endswith(".*"):
            family = kind.removesuffix(".*")
            prefixes.append(family + ".")
            names |= {known.name for known in KINDS.values() if known.family == family}
        else:
            names.add(kind)
    clauses = []
    if names:
        clauses.append("list_contains($kinds, kind)")
        values["kinds"] = sorted(names)
    for number, prefix in enumerate(prefixes):
        clauses.append(f"starts_with(kind, $prefix{number})")
        values[f"prefix{number}"] = prefix
    return "(" + " OR ".join(clauses) + ")"
