"""The file itself: SQLite's own check, the tables as they were made, the constants of its header."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from securepc.ledger.fsck.report import Report
from securepc.ledger.store import schema

_HEADER = 100
_CONSTANTS = {
    # offset: bytes that never change in our stores (SQLite file format, section 1.3)
    0: b"SQLite format 3\x00" + schema.PAGE_SIZE.to_bytes(2, "big") + b"\x02\x02\x00\x40\x20\x20",
    44: (4).to_bytes(4, "big"),  # schema format
    52: bytes(4),  # no auto-vacuum
    56: (1).to_bytes(4, "big"),  # UTF-8
    60: schema.FORMAT.to_bytes(4, "big"),
    64: bytes(4),
    68: schema.APPLICATION_ID.to_bytes(4, "big"),
    72: bytes(20),
}


def check(db: sqlite3.Connection, path: Path, report: Report) -> bool:
    """Whether the file can be read as a store at all."""
    _check_header(path, report)
    for row in db.execute("PRAGMA integrity_check"):
        if row[0] != "ok":
            report.wrong("chain.sqlite", "sqlite", str(row[0]))
    found = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    wanted = {table.split()[2]: table for table in schema.TABLES}
    return report.expect(found, wanted, "chain.sqlite", "tables")


def _check_header(path: Path, report: Report) -> None:
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if not header:
        return  # all is in the WAL still
    for offset, constant in _CONSTANTS.items():
        found = header[offset : offset + len(constant)]
        report.expect(found, constant, f"chain.sqlite byte {offset}", "header")
