"""`evidence_made`, `evidence_checked`, and `…_office`: a pack of 100,000 entries of ten PCs that were found.

A real manager with what the real uploaders of ten PCs sent it, in batches of 500, or as an office sends them.
The pack is checked as `securepc verify --summary` does. What a pack of every single line listed takes, its
size and the processor time are on stderr.
"""

from __future__ import annotations

import io
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.pipeline import ENTRIES, PCS, Desk, Load, _days, _full, cut_as_office
from benchmarks.verify import INSTALLED, _worked
from securepc.manager.search.model import Query
from securepc.verify.__main__ import run
from securepc.wire.event import Event

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from running_manager import Running, make_home, wait_for

CUTS: dict[str, Callable[[list[Event]], Load]] = {"": _full, "_office": cut_as_office}


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """Seconds."""
    logging.disable(logging.WARNING)
    for suffix, cut in CUTS.items():
        wanted = [name for name in (f"evidence_made{suffix}", f"evidence_checked{suffix}") if name in names]
        if wanted:
            with tempfile.TemporaryDirectory() as folder:
                made, checked = _measure(Path(folder), cut)
            times = {f"evidence_made{suffix}": made, f"evidence_checked{suffix}": checked}
            yield from ((name, times[name]) for name in wanted)


def _measure(folder: Path, cut: Callable[[list[Event]], Load]) -> tuple[float, float]:
    home, pack = folder / "home", folder / "evidence.zip"
    make_home(home, "架空商事")
    with Running(home) as running:
        running.manager.sequencer._interval = 0.0  # type: ignore[attr-defined]
        token = running.token(uses=PCS)
        handles = []
        for number, day in enumerate(_days(ENTRIES)):
            desk = Desk(folder / f"{number}", token, number)
            handles.append(desk.journal._identity.device.hex())
            desk.record(cut(day))
            desk.send()
        log, search = running.log, running.manager.search
        wait_for(lambda: search.position(log) == running.manager.log.size(log), 300)
        started, worked = time.perf_counter(), time.process_time()
        with pack.open("wb") as stream:
            found = running.manager.evidence.of_query(log, Query(devices=tuple(handles)), stream)
        made, making = time.perf_counter() - started, time.process_time() - worked
    started, worked = time.perf_counter(), _worked()
    _check(pack, home / "trust", summary=True)
    checked, checking = time.perf_counter() - started, _worked() - worked
    started = time.perf_counter()
    _check(pack, home / "trust", summary=False)
    listed, size = time.perf_counter() - started, pack.stat().st_size / 1e6
    print(
        f"evidence: {found.entries:,} entries, {size:.1f} MB; made with {making:.1f} s of processor, "
        f"checked with {checking:.1f} s; with every entry listed {listed:.1f} s",
        file=sys.stderr,
    )
    return made, checked


def _check(pack: Path, trust: Path, *, summary: bool) -> None:
    ended = run(pack, trust, as_json=True, out=io.StringIO(), summary=summary, **INSTALLED)  # type: ignore[arg-type]
    assert ended == 0, "the pack verifies"
