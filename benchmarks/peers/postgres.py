"""PostgreSQL as a log: rows with a hash chain that the client makes, COPY of 1,000 rows a transaction."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from benchmarks.peers.measured import Measured, folder_size, lines

BATCH = 1_000
_TABLE = "CREATE TABLE log (n bigint PRIMARY KEY, entry text NOT NULL, hash bytea NOT NULL)"
_INDEX = "CREATE EXTENSION pg_trgm; CREATE INDEX ON log USING gin (entry gin_trgm_ops)"


def postgres(folder: Path, entries: int) -> Measured:
    """Append only, and with a trigram index that finds words. A proof is the chain itself, up to its head."""
    with _served(folder / "plain") as cluster:
        append, size = cluster.fill(entries, _TABLE)
        started = time.perf_counter()
        cluster.walk(entries)
        walked = time.perf_counter() - started
        version = cluster.ask("SHOW server_version").split()[0]
    with _served(folder / "searched") as cluster:
        searched, searched_size = cluster.fill(entries, f"{_TABLE}; {_INDEX}")
    remark = f"a proof is every later row: {walked:.2f} s for all {entries:,}, and more with each day"
    name = f"PostgreSQL {version}, hash chain, COPY of {BATCH:,}"
    return Measured(name, append, size, None, None, searched, searched_size, remark)


class Cluster:
    """A server of its own, reached by a socket in its folder."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        where = ["-h", str(folder), "-U", "postgres"]
        self._psql = [str(programs / "psql"), "-qAtX", *where, "-v", "ON_ERROR_STOP=1"]

    def ask(self, sql: str) -> str:
        """What a statement answers."""
        return subprocess.check_output([*self._psql, "-c", sql], text=True, **_demoted())

    def fill(self, entries: int, schema: str) -> tuple[float, int]:
        """Append all entries, each transaction durable before the next; gives seconds and bytes."""
        self.ask("CREATE DATABASE peer")
        self._psql += ["-d", "peer"]
        self.ask(schema)
        self.ask("CHECKPOINT")
        before = folder_size(self._folder)
        started = time.perf_counter()
        with subprocess.Popen(self._psql, stdin=subprocess.PIPE, **_demoted()) as psql:
            assert psql.stdin is not None
            for text in _copies(lines(entries)):
                psql.stdin.write(text)
            psql.stdin.close()
            assert psql.wait() == 0
        seconds = time.perf_counter() - started
        assert self.ask("SELECT count(*) FROM log").strip() == str(entries)
        self.ask("VACUUM")
        self.ask("CHECKPOINT")
        # The write-ahead log is recycled: what stays is the table and its indexes.
        stays = int(self.ask("SELECT pg_total_relation_size('log')"))
        assert folder_size(self._folder) - before >= stays // 2
        return seconds, stays

    def walk(self, entries: int) -> None:
        """Read the whole chain and compute it again."""
        head, count = b"", 0
        sql = "COPY (SELECT entry, encode(hash, 'hex') FROM log ORDER BY n) TO STDOUT"
        with subprocess.Popen([*self._psql, "-c", sql], stdout=subprocess.PIPE, **_demoted()) as psql:
            assert psql.stdout is not None
            for row in psql.stdout:
                entry, _, found = row.rstrip(b"\n").rpartition(b"\t")
                head = hashlib.sha256(head + entry.replace(b"\\\\", b"\\")).digest()
                assert head.hex().encode() == found
                count += 1
        assert count == entries


def _copies(entries: Iterable[bytes]) -> Iterator[bytes]:
    head, number, source = b"", 0, iter(entries)
    while batch := list(islice(source, BATCH)):
        rows = [b"COPY log FROM STDIN;\n"]
        for entry in batch:
            head = hashlib.sha256(head + entry).digest()
            number += 1
            text = entry.replace(b"\\", b"\\\\")
            rows.append(b"%d\t%s\t\\\\x%s\n" % (number, text, head.hex().encode()))
        rows.append(b"\\.\n")
        yield b"".join(rows)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "")]
    assert found[-1].is_file(), "PostgreSQL's initdb is not installed"
    return found[-1].parent


def _demoted() -> dict[str, str]:
    """PostgreSQL refuses to run as root."""
    return {"user": "postgres"} if os.geteuid() == 0 else {}


@contextmanager
def _served(folder: Path) -> Iterator[Cluster]:
    programs = _programs()
    folder.mkdir()
    if _demoted():
        shutil.chown(folder, "postgres")
        for parent in (folder.parent, folder.parent.parent):
            parent.chmod(parent.stat().st_mode | 0o011)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    data = folder / "data"
    options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
    initdb = [programs / "initdb", "-D", data, *options]
    subprocess.run(initdb, check=True, **quiet, **_demoted())  # type: ignore[call-overload]
    command = [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses="]
    with subprocess.Popen(command, **quiet, **_demoted()) as server:  # type: ignore[call-overload]
        try:
            cluster = Cluster(folder, programs)
            _answers(folder)
            yield cluster
        finally:
            server.terminate()


def _answers(folder: Path) -> None:
    """Once it takes connections, the last line of its own file says so."""
    until = time.monotonic() + 60
    status = folder / "data" / "postmaster.pid"
    while not (status.exists() and status.read_text().rstrip().endswith("ready")):
        assert time.monotonic() < until, "PostgreSQL does not start"
        time.sleep(0.1)
