"""`python -m benchmarks.peers [--entries N] [NAME…]`: append the same entries to each, and print a table.

Names: embedded served validators immudb tessera postgres. Needs Go for what is written in it (built once,
from a pinned go.mod) and PostgreSQL's server; what is not there is said and left out. Each runs alone, on the
disk of the folder for temporary files, with fsync as it is meant to be run.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers import others, ours, postgres
from benchmarks.peers.measured import Measured, write

ROWS: dict[str, Callable[[Path, int, Path], Measured]] = {
    "embedded": lambda folder, entries, _: ours.embedded(folder, entries),
    "served": lambda folder, entries, _: ours.served(folder, entries),
    "validators": lambda folder, entries, _: ours.validators(folder, entries),
    "immudb": lambda folder, _, file: others.immudb(folder, file),
    "tessera": lambda folder, _, file: others.tessera(folder, file),
    "postgres": lambda folder, entries, _: postgres.postgres(folder, entries),
}


def main() -> int:
    """Measure what is named, or all, and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(ROWS))
    parser.add_argument("--entries", type=int, default=100_000, help="a multiple of 100,000")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in ROWS]
    if unknown or given.entries % 100_000 or given.entries <= 0:
        parser.error(f"no such name: {', '.join(unknown)}" if unknown else "--entries: a multiple of 100,000")
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "entries"
        plain = write(file, given.entries)
        print(_heading(given.entries, plain))
        for row in given.names or ROWS:
            folder = Path(name) / row
            folder.mkdir()
            try:
                print(_row(ROWS[row](folder, given.entries, file), given.entries), flush=True)
            except (AssertionError, OSError) as error:
                failed += 1
                print(f"{row} could not be measured: {error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


def _heading(entries: int, plain: int) -> str:
    where = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return (
        f"{entries:,} entries of {plain / entries:.0f} bytes; {time.strftime('%Y-%m-%d')}, {where}\n\n"
        "| | entries/s | bytes/entry | … found by a word: entries/s | bytes/entry | proof | verify | |\n"
        "|---|---|---|---|---|---|---|---|"
    )


def _row(found: Measured, entries: int) -> str:
    cells = [
        found.name,
        f"{entries / found.append:,.0f}",
        f"{found.size / entries:.1f}",
        f"{entries / found.searched:,.0f}" if found.searched else "–",
        f"{found.searched_size / entries:.1f}" if found.searched_size else "–",
        f"{found.proof * 1e3:.2f} ms" if found.proof is not None else "–",
        f"{found.verify * 1e3:.3f} ms" if found.verify is not None else "–",
        found.remark,
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    raise SystemExit(main())
