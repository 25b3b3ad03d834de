"""Adds searching to a manager."""

from __future__ import annotations

import itertools

from securepc.manager.alerts import service as alerts
from securepc.manager.core import Manager
from securepc.manager.ingest.opened import Provisional
from securepc.manager.search.follower import SearchFollower
from securepc.manager.search.keeper import Keeper
from securepc.manager.search.query import connect
from securepc.manager.search.service import SearchService
from securepc.manager.search.store import Store

TROUBLE = "search-files"


def attach(manager: Manager) -> None:
    """`manager.search`."""
    store = Store(manager.home.search)
    connection = connect(str(manager.home.search / "tmp"))
    follower = SearchFollower(store)
    keeper = Keeper(store, connection, lambda error: _report(manager, error))
    manager.search = SearchService(store, connection, manager.log.batches, keeper.tidy)
    manager.opener.subscribe(follower)
    manager.opener.listen(follower)
    manager.opener.on_late(lambda _, log, opened: follower.late(log, opened))

    def start() -> None:
        keeper.start()
        for lines in _runs(manager):
            follower.announced(lines)

    def close() -> None:
        manager.opener.close()  # nothing may come in any more
        keeper.close()
        store.close()
        connection.close()

    manager.on_start(start)
    manager.on_close(close)


def _runs(manager: Manager) -> list[Provisional]:
    """The lines that were announced before the last stop, those that follow each other put together."""
    runs = []
    numbered = enumerate(manager.ingest.provisional.pending())
    for _, group in itertools.groupby(numbered, lambda pair: (_kin(pair[1]), pair[1].first - pair[0])):
        first, *others = (lines for _, lines in group)
        runs.append(first._replace(lines=[line for each in (first, *others) for line in each.lines]))
    return runs


def _kin(lines: Provisional) -> tuple[bytes, bytes, int]:
    return lines.log, lines.device, lines.epoch


def _report(manager: Manager, error: Exception | None) -> None:
    with manager.database.write() as session:
        if error is None:
            alerts.close(session, b"", TROUBLE)
        else:
            data = {"error": f"{type(error).__name__}: {error}"[:200]}
            alerts.raise_alert(session, b"", TROUBLE, data=data)
