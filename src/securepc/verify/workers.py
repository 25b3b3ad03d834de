"""Judging the parts of a large pack in several processes; a pack of one part is judged here.

The processes are forked: a spawned one would run the program that it is started from once more, whatever that
is. So only a program without threads may ask for several, as the commands are; and where a system does not
fork as POSIX says, there is one. Each reads its parts from the file itself.
"""

from __future__ import annotations

import errno
import os
import sys
from collections import deque
from collections.abc import Generator, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from securepc.verify.batches import Ground, Sealed, judge_all
from securepc.verify.verdict import NotValid
from securepc.wire.signed.pack import Reader

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

Judged = tuple[list[Sealed], NotValid | None]
"""The batches of a part; and what is wrong with the part after them."""

_reader: Reader
_ground: Ground
"""In a worker process: what it reads, and what it judges by."""


def cores() -> int:
    """How many processes a command may judge in: as many as there are processors for it."""
    if not sys.platform.startswith("linux"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spread(reader: Reader, ground: Ground, workers: int) -> Generator[Sealed, None, None]:
    """The batches, each judged, in their order. Closing it stops the processes.

    Raises:
        NotValid: a part is damaged; after all batches before that.
        OSError: a process was killed; nothing can be said of the part that it had.
    """
    last = len(reader.parts) - 1
    if workers < 2 or not last:
        for part in range(last + 1):
            yield from judge_all(ground, reader.lines(part), part == last)
        return
    # Only here: most packs are small, and are judged on machines that should not start more than they need.
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    try:
        pool = ProcessPoolExecutor(workers, get_context("fork"), _start, (reader, ground))
    except (ImportError, NotImplementedError, OSError):
        # A system without semaphores: every batch is judged all the same, here. No process has begun yet.
        yield from spread(reader, ground, 1)
        return
    try:
        yield from _through(pool, last + 1, 2 * workers + 1)
    except BrokenProcessPool:
        raise OSError(errno.ECHILD, "a process that was checking it was killed") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _through(pool: ProcessPoolExecutor, parts: int, most: int) -> Iterator[Sealed]:
    waiting = iter(range(parts))
    under_way: deque[Future[Judged]] = deque(pool.submit(_judge, part) for part in islice(waiting, most))
    while under_way:
        judged, wrong = under_way.popleft().result()
        yield from judged
        if wrong is not None:
            raise wrong
        under_way.extend(pool.submit(_judge, part) for part in islice(waiting, 1))


def _start(reader: Reader, ground: Ground) -> None:
    global _reader, _ground
    _reader, _ground = reader, ground


def _judge(part: int) -> Judged:
    judged: list[Sealed] = []
    try:
        for sealed in judge_all(_ground, _reader.lines(part), part == len(_reader.parts) - 1):
            judged.append(sealed)  # noqa: PERF402 - those before the damage are wanted as well
    except NotValid as wrong:
        return judged, wrong
    return judged, None
