"""Judging the lines of a large pack in several processes; a small one is judged here.

The processes are forked: a spawned one would run the program that it is started from once more, whatever that
is. So only a program without threads may ask for several, as the commands are; and where a system does not
fork as POSIX says, there is one.
"""

from __future__ import annotations

import errno
import os
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

from securepc.verify.batches import Ground, Sealed, judge
from securepc.verify.verdict import NotValid

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

WORTH_IT = 4 * 1024 * 1024
"""Bytes of lines below which starting processes takes longer than judging here."""
_HELPING = 512 * 1024
"""Bytes of lines that travel together."""

Helping = tuple[int, list[bytes]]
"""Lines, and the number of the first."""

_ground: Ground
"""In a worker process: what it judges by."""


def cores() -> int:
    """How many processes a command may judge in: as many as there are processors for it."""
    if not sys.platform.startswith("linux"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spread(lines: Iterable[bytes], ground: Ground, workers: int, size: int) -> Generator[Sealed, None, None]:
    """The lines, each judged, in their order. Closing it stops the processes.

    Args:
        lines: may raise NotValid, which comes out after all lines before it.
        size: bytes of all lines.

    Raises:
        OSError: a process was killed; nothing can be said of the lines that it had.
    """
    if workers < 2 or size < WORTH_IT:
        for number, line in enumerate(lines, 1):
            yield judge(ground, number, line)
        return
    # Only here: most packs are small, and are judged on machines that should not start more than they need.
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    try:
        pool = ProcessPoolExecutor(workers, get_context("fork"), _start, (ground,))
    except (ImportError, NotImplementedError, OSError):  # a system without semaphores
        yield from spread(lines, ground, 1, size)
        return
    try:
        yield from _through(pool, lines, 2 * workers + 1)
    except BrokenProcessPool:
        raise OSError(errno.ECHILD, "a process that was checking it was killed") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _through(pool: ProcessPoolExecutor, lines: Iterable[bytes], most: int) -> Iterator[Sealed]:
    under_way: deque[Future[list[Sealed]]] = deque()
    wrong: NotValid | None = None
    helpings = _helpings(lines)
    while True:
        while wrong is None and len(under_way) < most:
            try:
                helping = next(helpings)
            except StopIteration:
                break
            except NotValid as found:
                wrong = found
            else:
                under_way.append(pool.submit(_judge, helping))
        if not under_way:
            break
        yield from under_way.popleft().result()
    if wrong is not None:
        raise wrong


def _helpings(lines: Iterable[bytes]) -> Iterator[Helping]:
    first, held, size = 1, [], 0
    wrong: NotValid | None = None
    try:
        for line in lines:
            held.append(line)
            size += len(line)
            if size >= _HELPING:
                yield first, held
                first, held, size = first + len(held), [], 0
    except NotValid as found:
        wrong = found
    if held:
        yield first, held
    if wrong is not None:
        raise wrong


def _start(ground: Ground) -> None:
    global _ground
    _ground = ground


def _judge(helping: Helping) -> list[Sealed]:
    first, lines = helping
    return [judge(_ground, number, line) for number, line in enumerate(lines, first)]
