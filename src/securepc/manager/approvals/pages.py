"""Take-outs on the console: requests to decide, what is open, the ledger of take-outs, codes by telephone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Form, Request, Response

from securepc.manager import clock
from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.approvals import account, section, settings, words
from securepc.manager.approvals.model import SeenMedium, ShutterRequest, Takeout
from securepc.manager.approvals.service import Approvals
from securepc.manager.audit import service as audit
from securepc.manager.commands.section import ORDER_STATES
from securepc.manager.console import view
from securepc.manager.console.times import Reader
from securepc.manager.console.words import Word
from securepc.manager.core import Manager
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.wire.signed import documents

router = APIRouter(prefix="/shutter", include_in_schema=False)
router.include_router(settings.router)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
Text = Annotated[str, Form(max_length=500)]
_DAYS = 7


class PcLine(NamedTuple):
    """A PC's shutter as it read it back."""

    device: str
    name: str
    read: section.Read | None


class DecidedLine(NamedTuple):
    """A decided request, and what became of its order."""

    request: ShutterRequest
    state: Word
    order: Word | None
    why: str


@router.get("")
def overview(request: Request, manager: Here, caller: Anyone) -> Response:
    """What waits, what is open, what is not back, and every PC's shutter."""
    return _overview(request, manager, caller)


@router.post("/requests/{number}/approve")
def approve(
    request: Request,
    manager: Here,
    caller: Admin,
    number: int,
    minutes: Text = "",
    access: Text = "read",
    due: Text = "",
) -> Response:
    """Open the shutter for it."""
    try:
        reader = view.reader_of(request, caller)
        back = _end_of_day(due, reader) if due and access == "write" else None
        manager.approvals.approve(
            caller.log, number, _minutes(minutes, manager, caller), access, back, actor=caller.name
        )
    except Refusal as refused:
        return _overview(request, manager, caller, refused=refused)
    return view.go(request, "/shutter")


@router.post("/requests/{number}/refuse")
def refuse(request: Request, manager: Here, caller: Admin, number: int, reason: Text = "") -> Response:
    """Refuse it, with a reason."""
    try:
        manager.approvals.refuse(caller.log, number, reason.strip(), actor=caller.name)
    except Refusal as refused:
        return _overview(request, manager, caller, refused=refused)
    return view.go(request, "/shutter")


@router.get("/ledger")
def ledger(request: Request, manager: Here, caller: Anyone, outside: str = "") -> Response:
    """持出管理台帳."""
    rows = manager.approvals.takeouts(caller.log, outside=bool(outside))
    return view.page(
        request,
        "approvals/ledger.html",
        caller,
        takeouts=rows,
        names=manager.devices.names(caller.log),
        outside=bool(outside),
        now=clock.now(),
        words=words,
    )


@router.get("/ledger.csv")
def ledger_csv(request: Request, manager: Here, caller: Anyone) -> Response:
    """The whole ledger, a line a file, for a spreadsheet. That it was taken is an entry."""
    reader = view.reader_of(request, caller)
    with manager.database.write() as session:
        text, lines = account.as_csv(session, caller.log, manager.devices.names(caller.log), reader)
        audit.record(
            session, caller.log, "admin.export", caller.name, {"query": {"takeouts": True}, "entries": lines}
        )
    name = f"takeouts-{reader.moment(clock.now()).date().isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(text.encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/ledger/{number}")
def takeout(request: Request, manager: Here, caller: Anyone, number: int) -> Response:
    """One take-out with its files."""
    return _takeout(request, manager, caller, number)


@router.post("/ledger/{number}/return")
def give_back(request: Request, manager: Here, caller: Admin, number: int, note: Text = "") -> Response:
    """返却: the medium is back."""
    try:
        manager.approvals.returned(caller.log, number, note.strip(), actor=caller.name)
    except NotFound:
        raise
    except Refusal as refused:
        return _takeout(request, manager, caller, number, refused=refused)
    return view.go(request, f"/shutter/ledger/{number}")


@router.post("/ledger/{number}/close")
def take_back(request: Request, manager: Here, caller: Admin, number: int) -> Response:
    """Close it now."""
    manager.approvals.take_back(caller.log, number, actor=caller.name)
    return view.go(request, f"/shutter/ledger/{number}")


@router.post("/devices/{device}/test")
def test(request: Request, manager: Here, caller: Admin, device: str) -> Response:
    """Let a PC try its shutter."""
    manager.approvals.try_now(caller.log, _device(manager, caller, device), actor=caller.name)
    return view.go(request, f"/devices/{device}")


@router.get("/code")
def code_form(request: Request, manager: Here, caller: Admin) -> Response:
    """The form for a code by telephone."""
    return _code(request, manager, caller)


@router.post("/code")
def code(
    request: Request,
    manager: Here,
    caller: Admin,
    device: Text = "",
    challenge: Text = "",
    medium: Text = "",
    minutes: Text = "",
    access: Text = "read",
    reason: Text = "",
) -> Response:
    """Show the code to read out."""
    try:
        found = manager.approvals.code(
            caller.log,
            _device(manager, caller, device),
            challenge,
            medium,
            _minutes(minutes, manager, caller),
            access,
            reason.strip(),
            actor=caller.name,
        )
    except Refusal as refused:
        return _code(request, manager, caller, refused=refused)
    known = [one for one in manager.approvals.media(caller.log) if one.tag == medium.strip().upper()]
    return _code(request, manager, caller, found=found, known=known)


def _overview(
    request: Request, manager: Manager, caller: Caller, *, refused: Refusal | None = None
) -> Response:
    approvals: Approvals = manager.approvals
    reader = view.reader_of(request, caller)
    language = view.language_of(request, caller)
    rows = [row for row in manager.devices.all(caller.log) if row.state == "enrolled"]
    now = clock.now()
    takeouts = approvals.takeouts(caller.log)
    rules = approvals.rules(caller.log)
    return view.page(
        request,
        "approvals/overview.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        rules=rules,
        waiting=approvals.waiting(caller.log),
        decided=[_decided(manager, row, language) for row in approvals.decided(caller.log)],
        open=[row for row in takeouts if row.closed_at is None],
        overdue=[row for row in takeouts if is_overdue(row, now)],
        pcs=[PcLine(row.device.hex(), row.name, section.read(row.status, language)) for row in rows],
        names=manager.devices.names(caller.log),
        due=(reader.moment(now) + timedelta(days=_DAYS)).date().isoformat(),
        today=reader.moment(now).date().isoformat(),
        words=words,
    )


def _decided(manager: Manager, row: ShutterRequest, language: str) -> DecidedLine:
    order, why = None, row.reason or ""
    if row.grant is not None:
        found = next(
            (one for one in manager.commands.of_device(row.log, row.device) if one.number == row.grant), None
        )
        if found is not None:
            order = ORDER_STATES.get(found.state, Word(found.state, "plain"))
            said = found.result.get(language) or found.result.get("reason") or ""
            why = str(said)[:300]
    return DecidedLine(row, words.REQUESTS.get(row.state, Word(row.state, "plain")), order, why)


def _takeout(
    request: Request, manager: Manager, caller: Caller, number: int, *, refused: Refusal | None = None
) -> Response:
    row, files = manager.approvals.takeout(caller.log, number)
    return view.page(
        request,
        "approvals/takeout.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        takeout=row,
        files=files,
        names=manager.devices.names(caller.log),
        overdue=is_overdue(row, clock.now()),
        words=words,
    )


def _code(
    request: Request,
    manager: Manager,
    caller: Caller,
    *,
    refused: Refusal | None = None,
    found: str = "",
    known: list[SeenMedium] | None = None,
) -> Response:
    rows = [row for row in manager.devices.all(caller.log) if row.state == "enrolled"]
    return view.page(
        request,
        "approvals/code.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        devices=[(row.device.hex(), row.name) for row in rows],
        rules=manager.approvals.rules(caller.log),
        code=found,
        known=known or [],
        words=words,
    )


def is_overdue(row: Takeout, now: int) -> bool:
    """Whether a medium should be back and is not."""
    return row.due_at is not None and row.returned_at is None and row.due_at < now


def _device(manager: Manager, caller: Caller, device: str) -> bytes:
    row = manager.devices.get(caller.log, bytes.fromhex(device)) if documents.handle(device) else None
    if row is None:
        raise NotFound(N_("There is no such PC."))
    return row.device


def _minutes(text: str, manager: Manager, caller: Caller) -> int:
    most = manager.approvals.rules(caller.log).longest
    if text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= most:
        return int(text)
    raise Refusal(N_("Enter a whole number from 1 to %(most)d."), most=most)


def _end_of_day(text: str, reader: Reader) -> int:
    try:
        day = date.fromisoformat(text)
        end = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=reader.zone)
        moment = int(end.timestamp()) * clock.SECOND
    except (ValueError, OverflowError):
        raise Refusal(N_("Give the day by which it is to be back.")) from None
    if not clock.now() <= moment <= clock.now() + 366 * clock.DAY:
        raise Refusal(N_("Give the day by which it is to be back."))
    return moment
