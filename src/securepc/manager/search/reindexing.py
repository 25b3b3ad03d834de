"""Drop what the search has of an agency and read it from the ledger again, while no manager runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from securepc.manager.core import Manager

_TIDY_SECONDS = 5.0
_FOLLOWER = "search"


class Step(NamedTuple):
    """How far an agency's log has been read again: leaves, of how many."""

    log: bytes
    done: int
    total: int


def reindex(manager: Manager, log: bytes) -> Iterator[Step]:
    """Build everything again that is searched of an agency.

    Where it is stopped or killed, the next start of the manager goes on from there by itself.

    Args:
        manager: assembled, and not started.

    Raises:
        Full, OSError: the disk is full or fails.
    """
    total = manager.opener.judged(log)
    manager.search.forget(log)
    yield Step(log, 0, total)
    tidied = time.monotonic()
    for done in manager.opener.catch_up(_FOLLOWER, log):
        yield Step(log, done, total)
        if time.monotonic() - tidied > _TIDY_SECONDS:
            manager.search.tidy()
            tidied = time.monotonic()
    manager.search.flush()
    manager.search.tidy()
