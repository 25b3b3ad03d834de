"""`verify`, `verify_office`: how fast the auditor's tool judges a long range of one PC, without listing it.

Batches of 500 entries of office work, and of 16. With what is installed (libsodium, as many processes as
there are processors); on stderr also with every entry listed, and with Python alone.
"""

from __future__ import annotations

import io
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from securepc.agent.simulate.office import office_day
from securepc.verify.__main__ import run
from securepc.wire import keys
from securepc.wire.event import to_entry

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from tiny_log import TinyLog

LOADS = {"verify": (2_000, 500), "verify_office": (4_000, 16)}
"""Batches, and entries in each."""
INSTALLED = {"verify": keys.verify}


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """Entries a second, from the pack on the disk to the verdict."""
    for name, (batches, size) in LOADS.items():
        if name in names:
            with tempfile.TemporaryDirectory() as folder:
                yield name, _measure(name, Path(folder), batches, size)


def _measure(name: str, folder: Path, batches: int, size: int) -> float:
    tiny = TinyLog()
    device = tiny.register("a")
    lines = cycle([to_entry(event) for seed in range(5) for event in office_day(seed=seed)])
    for _ in range(batches):
        tiny.seal(device, list(islice(lines, size)))
    evidence, trust = folder / "evidence.zip", tiny.trust_folder(folder / "trust")
    evidence.write_bytes(tiny.range(device, 1, batches * size).zip())
    entries = batches * size
    rates = {}
    for how, options in (
        ("as installed, summary", {**INSTALLED, "summary": True}),
        ("as installed, all listed", INSTALLED),
        ("standard library alone, summary", {"summary": True}),
    ):
        if name == "verify_office" and "alone" in how:
            continue  # a signature in plain Python takes two milliseconds: minutes that tell nothing new
        started, worked = time.perf_counter(), _worked()
        assert run(evidence, trust, as_json=True, out=io.StringIO(), **options) == 0  # type: ignore[arg-type]
        rates[how] = entries / (time.perf_counter() - started)
        cost = (_worked() - worked) / entries * 1e6
        print(
            f"{name} {how}: {rates[how]:,.0f} entries/s, {cost:.2f} µs of processor an entry", file=sys.stderr
        )
    print(
        f"{name}: {entries:,} entries in {batches:,} batches, {evidence.stat().st_size / 1e6:.1f} MB",
        file=sys.stderr,
    )
    return rates["as installed, summary"]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _worked() -> float:
    """Seconds of processor of this process and of those it started and has waited for."""
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime
