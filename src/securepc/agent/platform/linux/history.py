"""One browser's history, read by a process that is its user's own and holds little memory and time.

    python -c '… history.main()' <'{"kind", "path", "id", "at"}'  >'{"visits", "more"}' or '{"error"}'

`kind` is `chromium`, `firefox`, or one of these with `-downloads`.

Browsers keep their database locked while they run, so a copy is read: the file and its write-ahead log,
in memory (/dev/shm), taken again where the browser wrote meanwhile. Chromium has `visits` and `urls` (times
in µs since 1601), Firefox `moz_historyvisits` and `moz_places` (µs since 1970). Downloads: Chromium's
`downloads` and `downloads_url_chains`, Firefox's annotations of places. These end in another order than they
begin in, so the time of their end is their number.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import sqlite3
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

_ROWS = 1_000
_MEMORY = 1 << 30
_SECONDS = 20
_LARGEST = 512 * 1024 * 1024
_TEXT = 4_096
_WEBKIT = 11_644_473_600_000_000
"""Microseconds from 1601 to 1970."""
# What a page shows inside itself is no visit: Chromium's subframes (page_transition_types.h), Firefox's
# embedded and framed pages (nsINavHistoryService).
_TABLES = {
    "chromium": (
        f"SELECT visits.id, visits.visit_time - {_WEBKIT} AS at, urls.url AS url, urls.title AS title,"  # noqa: S608
        " '' AS path, NULL AS size"
        " FROM visits JOIN urls ON urls.id = visits.url WHERE (visits.transition & 255) NOT IN (3, 4)"
    ),
    "firefox": (
        "SELECT v.id, v.visit_date AS at, p.url AS url, p.title AS title, '' AS path, NULL AS size"
        " FROM moz_historyvisits v JOIN moz_places p ON p.id = v.place_id WHERE v.visit_type NOT IN (4, 8)"
    ),
    # State 1 is "complete" in both (download_database.cc, DownloadHistory.sys.mjs).
    "chromium-downloads": (
        f"SELECT end_time - {_WEBKIT} AS id, end_time - {_WEBKIT} AS at, '' AS title, target_path AS path,"  # noqa: S608
        " received_bytes AS size, (SELECT c.url FROM downloads_url_chains c WHERE c.id = downloads.id"
        " ORDER BY c.chain_index DESC LIMIT 1) AS url FROM downloads WHERE state = 1 AND end_time > 0"
    ),
    "firefox-downloads": (
        "SELECT json_extract(m.content, '$.endTime') * 1000 + m.id % 1000 AS id,"
        " json_extract(m.content, '$.endTime') * 1000 + m.id % 1000 AS at, '' AS title, f.content AS path,"
        " json_extract(m.content, '$.fileSize') AS size, p.url AS url FROM moz_annos m"
        " JOIN moz_anno_attributes n ON n.id = m.anno_attribute_id AND n.name = 'downloads/metaData'"
        " JOIN moz_places p ON p.id = m.place_id JOIN moz_annos f ON f.place_id = m.place_id"
        " JOIN moz_anno_attributes o ON o.id = f.anno_attribute_id"
        " AND o.name = 'downloads/destinationFileURI'"
        " WHERE json_valid(m.content) AND json_extract(m.content, '$.state') = 1"
    ),
}
_AFTER = (  # numbers of our own, and the tables above, are all that is put in
    f"SELECT id, at, substr(url, 1, {_TEXT}), substr(coalesce(title, ''), 1, {_TEXT}),"  # noqa: S608
    f" substr(coalesce(path, ''), 1, {_TEXT}), size FROM ({{}})"
    f" WHERE CASE WHEN ?1 <= (SELECT max(id) FROM ({{}})) THEN id > ?1 AND at >= ?3 ELSE at > ?2 END"
    f" ORDER BY id LIMIT {_ROWS + 1}"
)
"""Where numbers went back the history was erased, and what is newer counts."""


def main() -> None:
    """See above."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = json.loads(sys.stdin.buffer.read(65_536))
    try:
        answer = read(asked["kind"], Path(asked["path"]), int(asked["id"]), int(asked["at"]))
    except (OSError, sqlite3.Error, MemoryError, UnicodeError) as error:
        answer = {"error": f"{type(error).__name__}: {error}"[:200]}
    sys.stdout.write(json.dumps(answer))


def read(kind: str, path: Path, number: int, at: int) -> dict[str, Any]:
    """Visits after that one, oldest first.

    Raises:
        OSError, sqlite3.Error: it cannot be read now.
    """
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder of its own inside
    with tempfile.TemporaryDirectory(prefix="securepc-history-", dir=memory) as folder:
        copy = _copy(path, Path(folder))
        with contextlib.closing(sqlite3.connect(f"file:{copy}?mode=rw", uri=True)) as db:
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA query_only = ON")
            table = _TABLES[kind]
            since = at if number == 0 else -(1 << 62)
            rows = db.execute(_AFTER.format(table, table), (number, at, since)).fetchall()
    visits = [
        {
            "id": row[0],
            "at": row[1],
            "url": str(row[2]),
            "title": str(row[3]),
            "path": str(row[4]),
            "size": row[5] if type(row[5]) is int and row[5] >= 0 else None,
        }
        for row in rows[:_ROWS]
        if type(row[0]) is int and type(row[1]) is int
    ]
    return {"visits": visits, "more": len(rows) > _ROWS}


def _copy(path: Path, folder: Path) -> Path:
    """The database and its log as they stood at one moment."""
    target = folder / "db"
    for _ in range(5):
        before = _states(path)
        for end in ("", "-wal"):
            (folder / f"db{end}").unlink(missing_ok=True)
            if before[end] is not None:
                _copy_file(path.with_name(path.name + end), folder / f"db{end}")
        if _states(path) == before and before[""] is not None:
            return target
    raise OSError("the browser writes all the time")


def _states(path: Path) -> dict[str, tuple[int, int] | None]:
    found: dict[str, tuple[int, int] | None] = {}
    for end in ("", "-wal"):
        try:
            state = path.with_name(path.name + end).stat()
            found[end] = (state.st_mtime_ns, state.st_size)
        except FileNotFoundError:
            found[end] = None
    return found


def _copy_file(source: Path, target: Path) -> None:
    fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file, target.open("xb") as copy:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode) or state.st_size > _LARGEST:
            raise OSError("no history, or one of over 512 MiB")
        shutil.copyfileobj(file, copy, 1 << 20)
