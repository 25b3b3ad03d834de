"""A PC that is lost: report it, see what was read back, release it, write it up."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response

from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.commands.section import ORDER_STATES
from securepc.manager.console import view
from securepc.manager.console.words import Word
from securepc.manager.core import Manager
from securepc.manager.devices.model import Device
from securepc.manager.lost import dossier, overview, paper, section, wording
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.wire.signed import documents

router = APIRouter(include_in_schema=False)
router.include_router(overview.router)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
Text = Annotated[str, Form(max_length=500)]
_EVENTS = 100
_NAMED = 100
"""Files that the confirmation names."""


@router.get("/lost/{device}")
def shown(request: Request, manager: Here, caller: Anyone, device: str) -> Response:
    """How a PC stands; the form that reports it lost, or the one that releases it."""
    return _page(request, manager, caller, _find(manager, caller, device))


@router.post("/lost/{device}/report")
def report(
    request: Request,
    manager: Here,
    caller: Admin,
    device: str,
    reason: Text = "",
    ghost: Text = "forbid",
    location: Text = "",
    sure: Text = "",
) -> Response:
    """The one button."""
    row = _find(manager, caller, device)
    try:
        if ghost == "destroy" and not sure:
            raise Refusal(N_("Confirm that the key of the Ghost Drive may be destroyed for ever."))
        manager.lost.report(
            caller.log, row.device, reason, ghost=ghost, location=bool(location), actor=caller.name
        )
    except Refusal as refused:
        return _page(request, manager, caller, row, refused=refused)
    return view.go(request, f"/lost/{device}")


@router.post("/lost/{device}/release")
def release(request: Request, manager: Here, caller: Admin, device: str, reason: Text = "") -> Response:
    """Order the PC to be released."""
    row = _find(manager, caller, device)
    try:
        manager.lost.release(caller.log, row.device, reason, actor=caller.name)
    except Refusal as refused:
        return _page(request, manager, caller, row, refused=refused)
    return view.go(request, f"/lost/{device}")


@router.post("/lost/{device}/locate")
def locate(request: Request, manager: Here, caller: Admin, device: str) -> Response:
    """Ask for the place now."""
    row = _find(manager, caller, device)
    try:
        manager.lost.locate(caller.log, row.device, actor=caller.name)
    except Refusal as refused:
        return _page(request, manager, caller, row, refused=refused)
    return view.go(request, f"/lost/{device}")


@router.post("/lost/{device}/code")
def code(
    request: Request,
    manager: Here,
    caller: Admin,
    device: str,
    challenge: Annotated[str, Form(max_length=100)] = "",
    reason: Text = "",
) -> Response:
    """The release code for the number that the PC shows; it is shown once."""
    row = _find(manager, caller, device)
    try:
        made = manager.lost.code(caller.log, row.device, challenge, reason, actor=caller.name)
    except Refusal as refused:
        return _page(request, manager, caller, row, refused=refused)
    return _page(request, manager, caller, row, code=made)


@router.get("/lost/{device}/dossier")
def page(request: Request, manager: Here, caller: Anyone, device: str) -> Response:
    """The loss dossier as a page that prints well."""
    row = _find(manager, caller, device)
    read = view.reader_of(request, caller)
    made = dossier.write(manager, caller.log, row, read.language, actor=caller.name)
    return view.page(
        request,
        "lost/dossier.html",
        caller,
        device=row,
        made=made,
        parts=wording.parts(made, read),
    )


@router.get("/lost/{device}/dossier.pdf")
def on_paper(request: Request, manager: Here, caller: Anyone, device: str) -> Response:
    """The same as a PDF."""
    row = _find(manager, caller, device)
    read = view.reader_of(request, caller)
    made = dossier.write(manager, caller.log, row, read.language, actor=caller.name)
    at = read.moment(made.made_at).strftime("%Y-%m-%d %H:%M:%S ") + read.offset()
    title = view.said(read.language, Refusal(wording.TITLE))
    data = paper.pdf(
        f"{title}: {row.name}",
        f"{made.agency} – {at} – {made.made_by}",
        f"Secure PC – {row.device.hex()} – {at}",
        read.language,
        wording.parts(made, read),
    )
    name = f"dossier-{row.device.hex()[:8]}.pdf"
    return Response(
        data,
        media_type="application/pdf",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _page(
    request: Request,
    manager: Manager,
    caller: Caller,
    row: Device,
    *,
    refused: Refusal | None = None,
    code: str = "",
) -> Response:
    language = view.language_of(request, caller)
    found = manager.lost.standing(caller.log, row.device)
    return view.page(
        request,
        "lost/lost.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        device=row,
        standing=found,
        phase=section.PHASES[found.phase],
        seen=section.sentence(found, language),
        order=_state(found.order),
        unlock=_state(found.release),
        ghost=_state(found.ghost),
        code=code,
        held=dossier.held(manager, caller.log, row.device, _NAMED),
        sightings=manager.lost.places(caller.log, row.device, 50),
        position=wording.position,
        events=manager.lost.events(caller.log, row.device, limit=_EVENTS),
        told=lambda event: (
            event.data.get(language) or event.data.get("observed") or event.data.get("reason", "")
        ),
        addresses=manager.presence.addresses(row.device, 10),
    )


def _state(order: Any) -> Word | None:
    return ORDER_STATES.get(order.state, Word(order.state, "plain")) if order else None


def _find(manager: Manager, caller: Caller, device: str) -> Device:
    row = manager.devices.get(caller.log, bytes.fromhex(device)) if documents.handle(device) else None
    if row is None or row.state == "manager":
        raise NotFound(N_("There is no such PC."))
    return row
