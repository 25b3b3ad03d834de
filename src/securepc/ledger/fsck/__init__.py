"""The full audit of a store: everything is computed again from the genesis and compared with what is there.

Nothing is believed but the genesis (or, better, the one that is given): not the state, the tiles, the
indexes nor the checkpoints. Signatures, hashes, rules and counts all have to come out the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from pathlib import Path

from securepc.ledger.fsck import structure
from securepc.ledger.fsck.ahead import Ahead
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
    log_keys: Mapping[bytes, Collection[bytes]] | None = None,
    keys: KeyStore | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    workers: int = 1,
) -> Report:
    """Audit a store. A writer may be at work: what it adds meanwhile is not looked at.

    Args:
        trusted: the genesis that the store must be of; else its own is taken and named as unchecked.
        log_keys: the public keys that may have signed the checkpoints of logs, by log handle.
        keys: where the batches' keys must be.
        progress: called with the blocks done and to do.
        workers: how many processes may check signatures; what is found is the same.

    Raises:
        FileNotFoundError: there is no store.
    """
    if not path.is_file():
        raise FileNotFoundError(str(path))
    report = Report()
    given = {"genesis": trusted, "log-keys": log_keys, "keys": keys}
    report.not_checked = [name for name, value in given.items() if value is None]
    try:
        with closing(schema.connect_readonly(path)) as db:
            db.execute("BEGIN")
            if structure.check(db, path, report):
                with closing(Ahead(db, workers)) as ahead:
                    Replay(db, path, report, log_keys, keys, progress, ahead).run(trusted)
    except TooMany:
        report.not_checked.append("more")
    except Exception as error:  # what damaged bytes lead to has no bounds; whatever it is, it is a finding
        detail = str(error) if isinstance(error, sqlite3.Error) else f"{type(error).__name__}: {error}"
        report.findings.append(Finding("chain.sqlite", "unreadable", detail))
        report.not_checked.append("rest")
    return report
