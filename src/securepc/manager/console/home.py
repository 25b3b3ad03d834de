"""The home page: the agency at a glance."""

from __future__ import annotations

from datetime import timedelta

from fastapi import Request, Response
from sqlalchemy import func, select

from securepc.manager import clock
from securepc.manager.accounts.auth import Caller
from securepc.manager.console import todo, view, words
from securepc.manager.console.times import Reader
from securepc.manager.core import Manager
from securepc.manager.ingest.model import Fault
from securepc.manager.search import shown
from securepc.manager.search.model import Hit, Query
from securepc.manager.search.query import Damaged

HOURS = 24
_LATEST = 7


def page(request: Request, manager: Manager, caller: Caller) -> Response:
    """How the PCs are, what was recorded, what needs doing."""
    read = view.reader_of(request, caller)
    silence = manager.config.devices.silence_minutes
    devices = manager.devices.all(caller.log)
    enrolled = [row for row in devices if row.state == "enrolled"]
    silent = sum(words.is_silent(row, silence) for row in enrolled)
    names = shown.names_of(manager, caller.log, read.language)
    with manager.database.read() as session:
        faults = session.scalar(select(func.count()).select_from(Fault).where(Fault.log == caller.log)) or 0
    hours, latest = _recorded(manager, caller.log, read, [row.device.hex() for row in enrolled])
    # The newest last contact says most where there are many.
    listed = sorted(devices, key=lambda row: (row.state != "pending", -(row.seen_at or 0)))
    return view.page(
        request,
        "home/home.html",
        caller,
        now=clock.now(),
        todo=todo.of_today(manager, caller.log, devices, read),
        devices=[(row, words.of_device(row, silence)) for row in listed if row.state != "revoked"],
        enrolled=len(enrolled),
        in_contact=len(enrolled) - silent,
        silent=silent,
        hours=hours,
        recorded=sum(count for _, count in hours),
        day_ago=(read.moment(clock.now()) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M"),
        unsealed=manager.ingest.provisional.count(caller.log),
        faults=faults,
        height=manager.log.height(),
        size=manager.log.size(caller.log),
        lines=[shown.line(hit, names, read.language) for hit in latest],
    )


def _recorded(
    manager: Manager, log: bytes, read: Reader, pcs: list[str]
) -> tuple[list[tuple[str, int]], list[Hit]]:
    """Entries of each of the last hours, with the hour's name, and the newest of the PCs' entries."""
    this_hour = read.moment(clock.now()).replace(minute=0, second=0, microsecond=0)
    starts = [this_hour - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    first = int(starts[0].timestamp()) * clock.SECOND
    counts, latest = [0] * HOURS, list[Hit]()
    try:
        counts = manager.search.histogram(log, first, clock.HOUR, HOURS)
        query = Query(devices=tuple(pcs), limit=_LATEST)
        latest = list(manager.search.search(log, query)) if pcs else []
    except Damaged:
        pass  # being built again: the search page says so
    return [(start.strftime("%H:00"), count) for start, count in zip(starts, counts, strict=True)], latest
