"""Train a zstd dictionary for small batches from simulated office days: python packaging/train_dictionary.py OUT

The same bytes come out for the same simulator and zstd version. A dictionary that has been shipped is never
trained again: payloads name it by its number, and it must open them in ten years. A new one gets a new
number, `src/securepc/wire/dictionaries/N.dict`, a line in docs/formats/batch.md and its hash in
tests/unit/wire/test_dictionaries.py.
"""

from __future__ import annotations

import datetime
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import zstandard

from securepc.agent.simulate import USERS, office_day
from securepc.wire.event import to_entry

SIZE = 32 * 1024
SEEDS = range(1_000, 1_012)
ENTRIES = 3_000
BATCH = 16
"""Entries a sample: the size of batch that gains most."""


def samples() -> Iterator[bytes]:
    """Small batches of many simulated PCs, of both ways to spell paths. Hashes, times, boot ids and process
    numbers differ from PC to PC, so the dictionary learns what entries look like, not whose they are."""
    for system in ("linux", "windows"):
        for seed in SEEDS:
            day = datetime.date(2026, 11, 24) + datetime.timedelta(days=seed % 200)
            user = USERS[seed % len(USERS)]
            lines = [
                to_entry(event) + b"\n"
                for event in office_day(seed, user, system=system, day=day, entries=ENTRIES)
            ]
            for start in range(0, len(lines), BATCH):
                yield b"".join(lines[start : start + BATCH])


def train() -> bytes:
    """The dictionary's bytes. `k` and `d` are fixed, so that nothing is searched for and nothing varies."""
    return zstandard.train_dictionary(SIZE, list(samples()), k=200, d=8, dict_id=32_769).as_bytes()


if __name__ == "__main__":
    data = train()
    Path(sys.argv[1]).write_bytes(data)
    print(f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}, zstd {zstandard.ZSTD_VERSION}")
