"""Ghost Drives: which PC has one, whether it is open, what it holds; what administrators decide of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response

from securepc.manager import paper
from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.console import view
from securepc.manager.core import Manager
from securepc.manager.ghost import shown
from securepc.manager.ghost.contents import held
from securepc.manager.ghost.service import SHEET_HOURS, Overview
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.wire import codes
from securepc.wire.signed import documents

router = APIRouter(prefix="/ghost", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
Text = Annotated[str, Form(max_length=500)]
_FILES = 500
_GB = 1_000_000_000


@router.get("")
def drives(request: Request, manager: Here, caller: Anyone) -> Response:
    """All PCs, those with a drive first."""
    found = [shown.shown(one) for one in manager.ghosts.all(caller.log)]
    found.sort(key=lambda one: one.drive is None)
    doors = manager.ghosts.releases.doors(caller.log, b"")
    unproven = [one for one in doors.networks.registered if one.fixed and not one.egress]
    return view.page(request, "ghost/drives.html", caller, drives=found, rules=doors.ghost, unproven=unproven)


@router.post("/settings")
def settings(
    request: Request,
    manager: Here,
    caller: Admin,
    gigabytes: Text,
    minutes: Text,
    warn: Text,
    on: Text = "",
    pin: Text = "",
    mobile: Text = "",
) -> Response:
    """Sign other rules for Ghost Drives; what the form does not show stays as it is."""
    wanted = {
        "on": on == "yes",
        "bytes": _number(gigabytes, 0, 8_000) * _GB,
        "minutes": _number(minutes, 1, 720),
        "warn_seconds": _number(warn, 0, 600),
        "pin": pin == "yes",
        "mobile": mobile == "yes",
    }
    manager.policies.edit_door(caller.log, "ghost", lambda ghost: {**ghost, **wanted}, actor=caller.name)
    return view.go(request, "/ghost")


@router.get("/{device}")
def drive(request: Request, manager: Here, caller: Anyone, device: str) -> Response:
    """One PC's drive."""
    return _drive(request, manager, caller, _find(manager, caller, device))


@router.post("/{device}/forbid")
def forbid(request: Request, manager: Here, caller: Admin, device: str, reason: Text) -> Response:
    """Close it, and release nothing any more."""
    found = _find(manager, caller, device)
    try:
        manager.ghosts.forbid(caller.log, found.device.device, reason.strip(), actor=caller.name)
    except Refusal as refused:
        return _drive(request, manager, caller, found, refused=refused)
    return view.go(request, f"/ghost/{device}")


@router.post("/{device}/allow")
def allow(request: Request, manager: Here, caller: Admin, device: str) -> Response:
    """Release shares again."""
    manager.ghosts.allow(caller.log, _find(manager, caller, device).device.device, actor=caller.name)
    return view.go(request, f"/ghost/{device}")


@router.post("/{device}/pin")
def pin(request: Request, manager: Here, caller: Admin, device: str) -> Response:
    """Let the PIN be set anew."""
    manager.ghosts.open_pin(caller.log, _find(manager, caller, device).device.device, actor=caller.name)
    return view.go(request, f"/ghost/{device}")


@router.post("/{device}/rekey")
def rekey(request: Request, manager: Here, caller: Admin, device: str) -> Response:
    """Change the key at the next opening."""
    manager.ghosts.rekey(caller.log, _find(manager, caller, device).device.device, actor=caller.name)
    return view.go(request, f"/ghost/{device}")


@router.post("/{device}/sheet")
def sheet(request: Request, manager: Here, caller: Admin, device: str) -> Response:
    """A page to print, with a code that is shown only now."""
    found = _find(manager, caller, device)
    try:
        code = manager.ghosts.sheet(caller.log, found.device.device, actor=caller.name)
    except Refusal as refused:
        return _drive(request, manager, caller, found, refused=refused)
    made = view.page(
        request,
        "ghost/sheet.html",
        caller,
        found=_find(manager, caller, device),
        code=codes.show(code),
        qr=paper.qr_inline(code),
        hours=SHEET_HOURS,
    )
    made.headers["Cache-Control"] = "no-store"
    return made


@router.get("/{device}/destroy")
def destroy_form(request: Request, manager: Here, caller: Admin, device: str) -> Response:
    """What would be lost, before it is."""
    return _destroy(request, manager, caller, _find(manager, caller, device))


@router.post("/{device}/destroy")
def destroy(
    request: Request, manager: Here, caller: Admin, device: str, reason: Text = "", sure: Text = ""
) -> Response:
    """Destroy the key, for ever."""
    found = _find(manager, caller, device)
    try:
        if sure != "yes":
            raise Refusal(N_("Confirm that what is named here may be lost."))
        manager.ghosts.destroy(caller.log, found.device.device, reason.strip(), actor=caller.name)
    except Refusal as refused:
        return _destroy(request, manager, caller, found, refused=refused)
    return view.go(request, f"/ghost/{device}")


def _drive(
    request: Request, manager: Manager, caller: Caller, found: Overview, *, refused: Refusal | None = None
) -> Response:
    history = manager.ghosts.history(caller.log, found.device.device)
    with manager.database.read() as session:
        contents = held(session, caller.log, found.device.device, _FILES)
    return view.page(
        request,
        "ghost/drive.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        one=shown.shown(found),
        history=shown.lines(history, view.language_of(request, caller)),
        contents=contents,
    )


def _destroy(
    request: Request, manager: Manager, caller: Caller, found: Overview, *, refused: Refusal | None = None
) -> Response:
    with manager.database.read() as session:
        contents = held(session, caller.log, found.device.device, _FILES)
    return view.page(
        request,
        "ghost/destroy.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        one=shown.shown(found),
        contents=contents,
    )


def _number(text: str, least: int, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and least <= int(text) <= most:
        return int(text)
    raise Refusal(N_("Enter a whole number from %(least)d to %(most)d."), least=least, most=most)


def _find(manager: Manager, caller: Caller, device: str) -> Overview:
    found = manager.ghosts.get(caller.log, bytes.fromhex(device)) if documents.handle(device) else None
    if found is None:
        raise NotFound(N_("There is no such PC."))
    return found
