"""`verify`, `verify_office`: how fast the auditor's tool judges a long range of one PC, without listing it.

Batches of 500 entries of office work, and of 16. With what is installed (libsodium, zlib-ng, as many
processes as there are processors); on stderr also with every entry listed, and with Python alone.
`verify_year` is the command itself, from its start to its verdict on 2,450,000 entries, what a busy PC
records in a year; the best of three, which is nearest to what it takes on a machine that others use, too.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from zlib_ng import zlib_ng

from securepc.agent.simulate.office import office_day
from securepc.cli import verify as command
from securepc.verify.__main__ import run
from securepc.verify.batches import entries_root
from securepc.wire import keys
from securepc.wire.event import to_entry

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from tiny_log import TinyLog

LOADS = {"verify": (2_000, 500), "verify_office": (4_000, 16)}
"""Batches, and entries in each."""
YEAR = (4_900, 500)
INSTALLED = {"verify": keys.verify, "deflate": zlib_ng, "root": command._root()}


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """Entries a second, from the pack on the disk to the verdict."""
    for name, (batches, size) in LOADS.items():
        if name in names:
            with tempfile.TemporaryDirectory() as folder:
                yield name, _measure(name, Path(folder), batches, size)
    if "verify_year" in names:
        with tempfile.TemporaryDirectory() as folder:
            yield "verify_year", _year(Path(folder))


def make(folder: Path, batches: int, size: int) -> tuple[Path, Path]:
    """A pack with all that a PC recorded, and what to trust."""
    tiny = TinyLog()
    device = tiny.register("a")
    lines = cycle([to_entry(event) for seed in range(5) for event in office_day(seed=seed)])
    for _ in range(batches):
        tiny.seal(device, list(islice(lines, size)))
    evidence, trust = folder / "evidence.zip", tiny.trust_folder(folder / "trust")
    evidence.write_bytes(tiny.range(device, 1, batches * size).zip())
    return evidence, trust


def _year(folder: Path) -> float:
    batches, size = YEAR
    evidence, trust = make(folder, batches, size)
    command = [sys.executable, "-m", "securepc", "verify", str(evidence), "--trust", str(trust)]
    hashed = "by Python's hashlib" if INSTALLED["root"] is entries_root else "in native/"
    rates = []
    for _ in range(3):
        started, worked = time.perf_counter(), _worked()
        said = subprocess.run([*command, "--summary", "--json"], check=True, stdout=subprocess.PIPE).stdout
        seconds, worked = time.perf_counter() - started, _worked() - worked
        rates.append(batches * size / seconds)
        assert json.loads(said)["count"] == batches * size
        _say(
            f"verify_year: {batches * size:,} entries, {evidence.stat().st_size / 1e6:.0f} MB, "
            f"in {seconds:.2f} s, {worked:.2f} s of processor in all; hashed {hashed}"
        )
    return max(rates)


def _measure(name: str, folder: Path, batches: int, size: int) -> float:
    evidence, trust = make(folder, batches, size)
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
