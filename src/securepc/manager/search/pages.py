"""Searching the logs, and one entry with its surroundings and its proof."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from securepc.manager import clock
from securepc.manager.accounts.auth import Caller, Here, current_account
from securepc.manager.audit import service as audit
from securepc.manager.console import view, words
from securepc.manager.console.times import Reader
from securepc.manager.core import Manager, manager_of
from securepc.manager.evidence.pages import pack_name
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.manager.retention.pages import gone_page
from securepc.manager.search import asked, life, proven, searched, shown, texts
from securepc.manager.search.model import EntryId, Hit, Invalid, Query
from securepc.manager.search.query import Damaged
from securepc.wire import kinds

router = APIRouter(include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
PAGE = 100
AROUND = 8
"""Entries shown before and after one."""


class Mending(Refusal):
    """A search file was damaged and is being rebuilt."""

    status = 503

    def __init__(self) -> None:
        super().__init__(N_("The search files are being built again from the ledger. Try again in a while."))


@router.get("/search")
def search(request: Request, manager: Here, caller: Anyone) -> Response:
    """The form, and what matches, newest first: a page at a time, without an end."""
    read = view.reader_of(request, caller)
    form = {name: request.query_params.get(name, "").strip()[:500] for name in searched.FIELDS}
    before = request.query_params.get("before", "")
    names = shown.names_of(manager, caller.log, read.language)
    try:
        query = _query(manager, caller, form, before, read)
        if not before:
            told = query._replace(limit=None, devices=() if searched.only_pcs(form) else query.devices)
            _record(manager, caller, "admin.search", {"query": asked.described(told)})
        hits = list(itertools.islice(manager.search.search(caller.log, query), PAGE + 1))
    except Invalid as wrong:
        refused = Refusal(wrong.ja if read.language == "ja" else wrong.en)
        return _search_page(request, caller, form, names, status=400, refused=refused)
    except Damaged:
        raise Mending from None
    more = str(hits[PAGE - 1].cursor) if len(hits) > PAGE else ""
    lines = [shown.line(hit, names, read.language) for hit in hits[:PAGE]]
    # A page that continues another goes on under its last day.
    last_day = read.day(query.before.happened) if query.before is not None else ""
    results: dict[str, Any] = {"lines": lines, "more": more, "last_day": last_day}
    if before and request.headers.get("HX-Request"):
        return view.page(request, "search/lines.html", caller, form=form, **results)
    return _search_page(request, caller, form, names, **results)


@router.get("/entries/{entry}")
def entry(request: Request, manager: Here, caller: Anyone, entry: str) -> Response:
    """One entry: what it says, what came before and after, and how it is proven."""
    read = view.reader_of(request, caller)
    try:
        name = EntryId.parse(entry)
        first = max(1, name.sequence - AROUND)
        around = manager.search.between(caller.log, name.device, first, name.sequence + AROUND)
    except Invalid:
        raise NotFound(N_("There is no such entry.")) from None
    except Damaged:
        raise Mending from None
    hit = next((other for other in around if other.sequence == name.sequence and other.is_entry), None)
    if hit is None:
        if (page := gone_page(request, manager, caller, name)) is not None:
            return page
        raise NotFound(N_("There is no such entry."))
    if request.query_params.get("seen") is None:
        _record(manager, caller, "admin.view", {"entry": str(name)})
    names = shown.names_of(manager, caller.log, read.language)
    data = shown.data_of(hit)
    return view.page(
        request,
        "search/entry.html",
        caller,
        hit=hit,
        line=shown.line(hit, names, read.language),
        fields=shown.fields(data, read, read.language) if data is not None else [],
        result=words.of_result(hit.result),
        raw=hit.entry.decode("utf-8", "backslashreplace"),
        around=_around(around, hit, names, read.language),
        proof=proven.of_hit(manager, caller.log, hit),
        pack_name=pack_name(name),
        file=life.anchor(hit),
        fault_text=words.of_fault,
    )


@router.get("/files")
def file(request: Request, manager: Here, caller: Anyone, device: str, name: str, at: str) -> Response:
    """What became of a file: the names it had, all that happened to it, where copies of it may have gone."""
    read = view.reader_of(request, caller)
    names = shown.names_of(manager, caller.log, read.language)
    try:
        asked_for = asked.read({"device": device, "text": name, "to": at}, manager.devices.names(caller.log))
        if not asked_for.devices or not asked_for.text or asked_for.end is None:
            raise NotFound(N_("There is no such file."))
        _record(manager, caller, "admin.search", {"query": f"file={name} {asked.described(asked_for)}"})
        found = life.trace(
            partial(manager.search.search, caller.log), asked_for.devices[0], name, asked_for.end
        )
    except Invalid as wrong:
        raise Refusal(wrong.ja if read.language == "ja" else wrong.en) from None
    except Damaged:
        raise Mending from None
    return view.page(
        request,
        "search/life.html",
        caller,
        path=name,
        device=asked_for.devices[0],
        device_name=names.get(asked_for.devices[0], asked_for.devices[0][:8]),
        names=found.names,
        exact=texts.exact,
        whole=found.whole,
        lines=[shown.line(step.hit, names, read.language) for step in found.steps],
        leavings=[shown.line(hit, names, read.language) for hit in found.leavings],
    )


def _search_page(
    request: Request,
    caller: Caller,
    form: dict[str, str],
    names: dict[str, str],
    *,
    status: int = 200,
    refused: Refusal | None = None,
    **results: Any,
) -> Response:
    read = view.reader_of(request, caller)
    today = read.moment(clock.now()).date()
    spans = (
        (N_("Today"), today, None),
        (N_("Yesterday"), today - timedelta(days=1), today),
        (N_("Last 7 days"), today - timedelta(days=6), None),
        (N_("Last 30 days"), today - timedelta(days=29), None),
    )
    return view.page(
        request,
        "search/search.html",
        caller,
        status=status,
        refused=refused,
        devices=sorted(names.items(), key=lambda pair: pair[1]),
        everything=searched.EVERYTHING,
        expired=_expired(caller, request),
        families=_families(),
        spans=[(name, _local(start), _local(end)) for name, start, end in spans],
        form=form,
        **{"lines": [], "more": "", "last_day": "", **results},
    )


def _query(manager: Manager, caller: Caller, form: dict[str, str], before: str, read: Reader) -> Query:
    pcs = [row.device.hex() for row in manager.devices.all(caller.log)]
    values = searched.conditions(form, read, pcs)
    return asked.read({**values, "before": before, "limit": PAGE + 1}, manager.devices.names(caller.log))


def _expired(caller: Caller, request: Request) -> tuple[str, str] | None:
    """The first and the last month whose records are past their retention, and so can't be found."""
    months = [month.month for month in manager_of(request).retention.standing(caller.log).expired]
    return (months[0], months[-1]) if months else None


def _local(day: date | None) -> str:
    return "" if day is None else f"{day.isoformat()}T00:00"


def _families() -> list[tuple[str, list[str]]]:
    """Families with the kinds that this version records."""
    found: dict[str, list[str]] = {}
    for kind in kinds.KINDS.values():
        if kind.since != "reserved":
            found.setdefault(kind.family, []).append(kind.name)
    return [(family, found[family]) for family in kinds.FAMILIES if family in found]


def _around(hits: list[Hit], hit: Hit, names: dict[str, str], language: str) -> list[tuple[shown.Line, bool]]:
    """The entries around one, newest first; a double of the entry itself is left out."""
    others = [other for other in hits if other.sequence != hit.sequence]
    ordered = sorted([*others, hit], key=lambda each: each.sequence, reverse=True)
    return [(shown.line(each, names, language), each is hit) for each in ordered]


def _record(manager: Manager, caller: Caller, kind: str, data: dict[str, Any]) -> None:
    with manager.database.write() as session:
        audit.record(session, caller.log, kind, caller.name, data)
