"""The full audit of a store: everything is computed again from the genesis and compared with what is there.

Nothing is believed but the genesis (or, better, the one that is given): not the state, the tiles, the
indexes nor the checkpoints. Signatures, hashes, rules and counts all have to come out the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from securepc.ledger.fsck import structure
from securepc.ledger.fsck.replay import Replay
from securepc.ledger.fsck.report import Finding, Report, TooMany
from securepc.ledger.genesis import Genesis
from securepc.ledger.keys import KeyStore
from securepc.ledger.store import schema

__all__ = ["Finding", "Report", "check"]


def check(
    path: Path,
    *,
    trusted: Genesis | None = None,
    keys: KeyStore | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Audit a store. A writer may be at work: what it adds meanwhile is not looked at.

    Args:
        trusted: the genesis that the store must be of; else its own is taken and named as unchecked.
        keys: where the batches' keys must be.
        progress: called with the blocks done and to do.

    Raises:
        FileNotFoundError: there is no store.
    """
    if not path.is_file():
        raise FileNotFoundError(str(path))
    report = Report()
    if trusted is None:
        report.not_checked.append("that this is the chain you mean: no genesis was given to compare with")
    if keys is None:
        report.not_checked.append("the keys of the batches: no key store was given")
    try:
        _check(path, report, trusted, keys, progress)
    except TooMany:
        report.stopped = True
    except sqlite3.Error as error:
        report.findings.append(Finding("the file", f"cannot be read: {error}"))
    return report


def _check(
    path: Path,
    report: Report,
    trusted: Genesis | None,
    keys: KeyStore | None,
    progress: Callable[[int, int], None],
) -> None:
    db = schema.connect_readonly(path)
    try:
        db.execute("BEGIN")
        if structure.check(db, path, report):
            Replay(db, report, keys, progress).run(trusted)
    finally:
        db.close()
