"""Run by a test: index an agency and be killed at the n-th moment at which something becomes durable."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search_office import LOG, Ledger, fill, open_search

from securepc.manager.search import keeper, store
from securepc.manager.search.manifest import Manifest

left = int(sys.argv[2])


def mortal(original: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but dying right before or right after it when its time has come."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        tick()
        result = original(*args, **kwargs)
        tick()
        return result

    return wrapped


def tick() -> None:
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


ledger = Ledger()
fill(ledger, 2)
store.FLUSH_SECONDS = 0.0
keeper.FAN_IN = 4
os.fsync = mortal(os.fsync)
Path.replace = mortal(Path.replace)  # type: ignore[method-assign]
Path.unlink = mortal(Path.unlink)  # type: ignore[method-assign]
Manifest._add = mortal(Manifest._add)  # type: ignore[method-assign]
Manifest.advance = mortal(Manifest.advance)  # type: ignore[method-assign]
Manifest.replace = mortal(Manifest.replace)  # type: ignore[method-assign]

searching = open_search(Path(sys.argv[1]), ledger)
for start in range(searching.follower.position(LOG), len(ledger.opened), 2):
    batches = ledger.opened[start : start + 2]
    searching.follower.follow(LOG, batches, start + len(batches))
    searching.keeper.tidy()
for number, path in enumerate(sorted((Path(sys.argv[1]) / "daily").rglob("*.parquet.*"))):
    if number % 2:  # as after an update of the program
        path.unlink()
searching.keeper.tidy(everything=True)
print("done")
