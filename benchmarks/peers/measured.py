"""What is measured of each, and the entries that all of them are given."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from securepc.agent.simulate import USERS, office_day
from securepc.wire.event import Event, to_entry

PCS = 10


class Measured(NamedTuple):
    """One row; None where there is no such thing."""

    name: str
    append: float  # seconds until all entries are durable
    size: int  # bytes on the disk then
    proof: float | None  # seconds to make the proof of one entry
    verify: float | None  # seconds to check it, away from the server
    searched: float | None = None  # seconds until all entries are durable and found by a word in them
    searched_size: int | None = None
    remark: str = ""


def events(entries: int) -> list[list[Event]]:
    """An office of invented people: a list of events for each PC."""
    return [list(office_day(n, USERS[n % len(USERS)], entries=entries // PCS)) for n in range(PCS)]


def lines(entries: int) -> Iterator[bytes]:
    """The same as entries, one PC after the other."""
    for day in events(entries):
        yield from map(to_entry, day)


def write(path: Path, entries: int) -> int:
    """Entries as programs in Go read them: u32 big-endian lengths, and bytes; gives the bytes in all."""
    size = 0
    with path.open("wb") as file:
        for line in lines(entries):
            size += len(line)
            file.write(struct.pack(">I", len(line)) + line)
    return size


def folder_size(folder: Path) -> int:
    """Bytes that the files of a folder take on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
