"""保管期限 on the console: contract, months, holds, redactions and their register."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response

from securepc.ledger.state import retention
from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.alerts.service import logs_shown
from securepc.manager.console import view
from securepc.manager.core import Manager
from securepc.manager.refusal import N_, Forbidden, NotFound, Refusal
from securepc.manager.retention import gone, service, words
from securepc.manager.search.model import EntryId, Invalid
from securepc.wire.signed import documents

router = APIRouter(prefix="/retention", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
Owner = Annotated[Caller, Depends(require_role("owner"))]
Text = Annotated[str, Form(max_length=500)]


@router.get("")
def overview(request: Request, manager: Here, caller: Anyone) -> Response:
    """The contract, the months and when each of them goes."""
    return _overview(request, manager, caller)


@router.post("/contract")
def contract(
    request: Request, manager: Here, caller: Admin, start: Text = "", end: Text = "", sure: Text = ""
) -> Response:
    """Change the contract; first show what an end would do, and when."""
    try:
        proposed = manager.retention.proposed(caller.log, start.strip(), end.strip())
        before = {month.month: month for month in manager.retention.months(caller.log)}
        after = manager.retention.months(caller.log, proposed)
        sooner = [(month, before[month.month].expires) for month in after if _is_sooner(month, before)]
        if proposed.end and not sure:
            return view.page(
                request,
                "retention/contract.html",
                caller,
                proposed=proposed,
                sooner=sooner,
                years=(retention.YEARS_AFTER_MONTH, retention.YEARS_AFTER_CONTRACT),
            )
        manager.retention.set_contract(caller.log, start.strip(), end.strip(), actor=caller.name)
    except Refusal as refused:
        return _overview(request, manager, caller, refused=refused)
    return view.go(request, "/retention")


@router.post("/clock")
def clock(request: Request, manager: Here, caller: Owner) -> Response:
    """The manager's clock is right."""
    _need_whole(manager, caller)
    try:
        manager.retention.confirm_clock(caller.log, actor=caller.name)
    except Refusal as refused:
        return _overview(request, manager, caller, refused=refused)
    return view.go(request, "/retention")


@router.get("/requests")
def requests(request: Request, manager: Here, caller: Anyone) -> Response:
    """What waits for a decision, the holds in force, the register."""
    return _requests(request, manager, caller)


@router.post("/holds")
def hold(
    request: Request,
    manager: Here,
    caller: Admin,
    device: Text = "",
    first: Text = "",
    last: Text = "",
    ground: Text = "",
) -> Response:
    """Ask for a hold."""
    try:
        read = view.reader_of(request, caller)
        start, stop = read.start_of(_day(first)), read.start_of(_day(last) + timedelta(days=1))
        pc = _device(manager, caller, device) if device else None
        manager.retention.requests.ask_hold(caller.log, pc, start, stop, ground.strip(), actor=caller.name)
    except Refusal as refused:
        return _requests(request, manager, caller, refused=refused)
    return view.go(request, "/retention/requests")


@router.post("/holds/{hold_id}/release")
def release(request: Request, manager: Here, caller: Admin, hold_id: str, ground: Text = "") -> Response:
    """Ask that a hold ends."""
    try:
        if not documents.handle(hold_id):
            raise NotFound(N_("There is no such hold."))
        handle = bytes.fromhex(hold_id)
        manager.retention.requests.ask_release(caller.log, handle, ground.strip(), actor=caller.name)
    except NotFound:
        raise
    except Refusal as refused:
        return _requests(request, manager, caller, refused=refused)
    return view.go(request, "/retention/requests")


@router.get("/redact/{entry}")
def redact_form(request: Request, manager: Here, caller: Admin, entry: str) -> Response:
    """What a redaction does, and the form that asks for it."""
    return _redact(request, manager, caller, _entry(manager, caller, entry))


@router.post("/redact/{entry}")
def redact(request: Request, manager: Here, caller: Admin, entry: str, ground: Text = "") -> Response:
    """Ask for a redaction."""
    name = _entry(manager, caller, entry)
    try:
        manager.retention.requests.ask_redaction(
            caller.log, name.device, name.sequence, ground.strip(), actor=caller.name
        )
    except NotFound:
        raise
    except Refusal as refused:
        return _redact(request, manager, caller, name, refused=refused)
    return view.go(request, "/retention/requests")


@router.post("/requests/{number}/approve")
def approve(request: Request, manager: Here, caller: Admin, number: int) -> Response:
    """Say yes."""
    try:
        manager.retention.requests.approve(caller.log, number, actor=caller.name)
    except Refusal as refused:
        return _requests(request, manager, caller, refused=refused)
    return view.go(request, "/retention/requests")


@router.post("/requests/{number}/refuse")
def refuse(request: Request, manager: Here, caller: Admin, number: int, reason: Text = "") -> Response:
    """Say no."""
    try:
        manager.retention.requests.refuse(caller.log, number, reason.strip(), actor=caller.name)
    except Refusal as refused:
        return _requests(request, manager, caller, refused=refused)
    return view.go(request, "/retention/requests")


def gone_page(request: Request, manager: Manager, caller: Caller, entry: EntryId) -> Response | None:
    """The page of an entry whose content is gone, for `/entries/…`; None where there never was one."""
    found = gone.find(manager, caller.log, entry.device, entry.sequence)
    if found is None:
        return None
    names = manager.devices.names(caller.log)
    return view.page(
        request, "retention/gone.html", caller, status=410, gone=found, entry=str(entry), names=names,
        device=entry.device,
    )  # fmt: skip


def _overview(
    request: Request, manager: Manager, caller: Caller, *, refused: Refusal | None = None
) -> Response:
    with manager.database.read() as session:
        failed = service.refused_acts(session, caller.log)
        whole = b"" in logs_shown(session, caller.log)
    return view.page(
        request,
        "retention/overview.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        contract=manager.retention.standing(caller.log).contract,
        waiting=[act for act in manager.retention.acts.waiting(caller.log) if act["kind"] == "contract"],
        months=list(reversed(manager.retention.months(caller.log))),
        leap=manager.retention.leap(),
        may_confirm=whole and caller.may("owner"),
        failed=failed,
        words=words,
        years=(retention.YEARS_AFTER_MONTH, retention.YEARS_AFTER_CONTRACT),
    )


def _requests(
    request: Request, manager: Manager, caller: Caller, *, refused: Refusal | None = None
) -> Response:
    found = manager.retention.requests
    lines = found.all(caller.log)
    with manager.database.read() as session:
        second = found.approvers(session, caller.log) > 1
    return view.page(
        request,
        "retention/requests.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        waiting=found.all(caller.log, waiting=True),
        lines=[line for line in lines if line.state != "waiting"],
        acts=found.acts(caller.log),
        holds=retention.in_force(manager.retention.standing(caller.log)),
        asked={line.hold: line for line in lines if line.kind == "hold"},
        releasing={line.hold for line in lines if line.kind == "release" and line.state == "waiting"},
        names=manager.devices.names(caller.log),
        devices=[(row.device.hex(), row.name) for row in manager.devices.all(caller.log)],
        second=second,
        words=words,
    )


def _redact(
    request: Request, manager: Manager, caller: Caller, entry: EntryId, *, refused: Refusal | None = None
) -> Response:
    return view.page(
        request,
        "retention/redact.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        entry=str(entry),
        name=manager.devices.names(caller.log).get(entry.device, entry.device.hex()[:8]),
    )


def _is_sooner(month: service.Month, before: dict[str, service.Month]) -> bool:
    return month.state not in ("gone", "expiring") and month.expires < before[month.month].expires


def _entry(manager: Manager, caller: Caller, entry: str) -> EntryId:
    try:
        name = EntryId.parse(entry)
    except Invalid:
        raise NotFound(N_("There is no such entry.")) from None
    if manager.log.device(caller.log, name.device) is None:
        raise NotFound(N_("There is no such entry."))
    return name


def _device(manager: Manager, caller: Caller, device: str) -> bytes:
    row = manager.devices.get(caller.log, bytes.fromhex(device)) if documents.handle(device) else None
    if row is None:
        raise NotFound(N_("There is no such PC."))
    return row.device


def _day(text: str) -> date:
    found = retention.day(text.strip())
    if found is None or not 1970 < found.year < 9999:
        raise Refusal(N_("Enter days as they are in the calendar."))
    return found


def _need_whole(manager: Manager, caller: Caller) -> None:
    with manager.database.read() as session:
        if b"" not in logs_shown(session, caller.log):
            raise Forbidden(N_("Your role does not allow this."))
