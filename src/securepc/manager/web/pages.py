"""The web filter: what is blocked, what is excepted, which servers mail may use, and what each PC does
now."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.commands.section import DOOR_STATES
from securepc.manager.console import view
from securepc.manager.console.words import Word
from securepc.manager.core import Manager
from securepc.manager.devices.model import Device
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.manager.web.service import KINDS, Kind
from securepc.wire.web import lists
from securepc.wire.web.lists import Site
from securepc.wire.web.rules import BadRule, Filter, parse

router = APIRouter(prefix="/web", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
Text = Annotated[str, Form(max_length=500)]

LISTS = {
    "block": N_("Also blocked"),
    "allow": N_("Exceptions"),
    "mail_servers": N_("Mail servers"),
}


class Category(NamedTuple):
    """A category of the shipped list: its word, title, whether it is blocked, its sites that were asked
    for."""

    word: str
    title: str
    on: bool
    size: int
    sites: list[SiteLine]


class SiteLine(NamedTuple):
    """A site: its title, its rules as text, what to know, and whether an exception opens some of it."""

    title: str
    rules: list[str]
    note: str
    excepted: list[str]


class Verdict(NamedTuple):
    """What the filter says of a host: blocked by what, or let through."""

    host: str
    blocked: bool
    why: str


class PcLine(NamedTuple):
    """What a PC said of its filter last. `why` in the viewer's language."""

    device: Device
    state: Word
    why: str
    at: int | None
    browsers: list[tuple[str, bool]]


@router.get("")
def shown(
    request: Request, manager: Here, caller: Anyone, q: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """The page."""
    return _page(request, manager, caller, q=q.strip())


@router.post("/switches")
async def switches(request: Request, manager: Here, caller: Admin) -> Response:
    """Turn the filter, its mail part and its categories on or off."""
    form = await request.form(max_files=0)
    categories = [str(one) for one in form.getlist("category")]
    on, mail = form.get("on") == "on", form.get("mail") == "on"

    def act() -> Response:
        try:
            manager.web.switch(caller.log, on=on, mail=mail, categories=categories, actor=caller.name)
        except Refusal as refused:
            return _page(request, manager, caller, refused=refused)
        return view.go(request, "/web")

    return await run_in_threadpool(act)


@router.post("/{kind}/add")
def add(request: Request, manager: Here, caller: Admin, kind: str, rule: Text) -> Response:
    """Add a host, an exception or a mail server."""
    language = view.language_of(request, caller)
    try:
        manager.web.add(caller.log, _kind(kind), rule, actor=caller.name, language=language)
    except NotFound:
        raise
    except Refusal as refused:
        return _page(request, manager, caller, refused=refused)
    return view.go(request, "/web")


@router.post("/{kind}/remove")
def remove(request: Request, manager: Here, caller: Admin, kind: str, rule: Text) -> Response:
    """Take one off its list."""
    try:
        manager.web.remove(caller.log, _kind(kind), rule, actor=caller.name)
    except NotFound:
        raise
    except Refusal as refused:
        return _page(request, manager, caller, refused=refused)
    return view.go(request, "/web")


def _kind(text: str) -> Kind:
    for kind in KINDS:
        if kind == text:
            return kind
    raise NotFound(N_("There is no such list."))


def _page(
    request: Request, manager: Manager, caller: Caller, *, q: str = "", refused: Refusal | None = None
) -> Response:
    language = view.language_of(request, caller)
    rules = manager.web.rules(caller.log)
    made = manager.web.filter(caller.log)
    found = lists.sites()
    return view.page(
        request,
        "web/web.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        q=q,
        rules=rules,
        own=[(kind, LISTS[kind], getattr(rules, kind)) for kind in KINDS],
        categories=[
            Category(
                word,
                titles[language == "en"],
                word in rules.categories,
                sum(site.category == word for site in found.sites),
                [
                    _line(site, made, language)
                    for site in found.sites
                    if site.category == word and _matches(site, q)
                ],
            )
            for word, titles in found.categories.items()
        ],
        total=len(made.blocks),
        open_hosts=made.open_hosts(),
        verdict=_verdict(q, made, language),
        as_of=found.as_of.isoformat(),
        licence=found.licence,
        pcs=[_pc(one, language) for one in manager.devices.all(caller.log) if one.state == "enrolled"],
    )


def _matches(site: Site, q: str) -> bool:
    text = " ".join((site.ja, site.en, *map(str, site.rules))).lower()
    return q.lower() in text or any(site_rule.covers(rule) for site_rule in site.rules for rule in _read(q))


def _read(q: str) -> list[Any]:
    try:
        return [parse(q)]
    except BadRule:
        return []


def _line(site: Site, made: Filter, language: str) -> SiteLine:
    excepted = [str(allowed) for allowed in made.allow if any(_meet(allowed, rule) for rule in site.rules)]
    title, note = (site.en, site.note_en) if language == "en" else (site.ja, site.note_ja)
    return SiteLine(title, [str(rule) for rule in site.rules], note, excepted)


def _meet(one: Any, other: Any) -> bool:
    return bool(one.covers(other) or other.covers(one))


def _verdict(q: str, made: Filter, language: str) -> Verdict | None:
    """What becomes of a host that was asked for, by its name."""
    for rule in _read(q):
        block = made.name(rule.host)
        if block is None:
            return Verdict(rule.host, False, "")
        sites = [one for one in lists.sites().sites if one.id == block.site]
        title = (sites[0].en if language == "en" else sites[0].ja) if sites else str(block.rule)
        return Verdict(rule.host, True, title)
    return None


def _pc(device: Device, language: str) -> PcLine:
    """Whatever a PC sends, a line comes of it."""
    doors = device.status.get("doors")
    said = doors.get("web") if isinstance(doors, dict) else None
    if not isinstance(said, dict):
        return PcLine(device, Word(N_("Not reported yet"), "plain"), "", None, [])
    state = str(said.get("state", ""))[:40]
    why = said.get(language) or said.get("ja") or ""
    at = said.get("at")
    data = said.get("data")
    browsers = data.get("browsers") if isinstance(data, dict) else None
    return PcLine(
        device,
        DOOR_STATES.get(state, Word(state, "plain")),
        str(why)[:500],
        at if type(at) is int and 0 < at < 2**53 else None,
        [(str(name)[:40], ok is True) for name, ok in list(browsers.items())[:10]]
        if isinstance(browsers, dict)
        else [],
    )
