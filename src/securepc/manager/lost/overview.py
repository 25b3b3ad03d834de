"""All lost PCs of an agency, and the rules for PCs that are away."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Form, Request, Response

from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.console import view
from securepc.manager.console.words import Word
from securepc.manager.core import Manager
from securepc.manager.devices.model import Device
from securepc.manager.lost import section
from securepc.manager.lost.model import LostCase
from securepc.manager.refusal import N_, Refusal
from securepc.wire import policy
from securepc.wire.doors import Lost
from securepc.wire.signed.canonical import Malformed

router = APIRouter(prefix="/lost", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
Number = Annotated[str, Form(max_length=10)]


class Line(NamedTuple):
    """A PC that is lost or locked."""

    device: Device
    phase: Word
    seen: str
    case: LostCase | None


@router.get("")
def overview(request: Request, manager: Here, caller: Anyone) -> Response:
    """All of them."""
    return _page(request, manager, caller)


@router.post("/settings")
def settings(
    request: Request, manager: Here, caller: Admin, hours: Number = "", minutes: Number = ""
) -> Response:
    """Sign other rules for PCs that are away."""
    try:
        wanted = {"lock_hours": _number(hours, 0, 8_760), "locate_minutes": _number(minutes, 1, 1_440)}
    except Refusal as refused:
        return _page(request, manager, caller, refused=refused)
    manager.policies.edit_door(caller.log, "lost", lambda lost: {**lost, **wanted}, actor=caller.name)
    return view.go(request, "/lost")


def _page(request: Request, manager: Manager, caller: Caller, *, refused: Refusal | None = None) -> Response:
    language = view.language_of(request, caller)
    lines = []
    for row in manager.devices.all(caller.log):
        found = manager.lost.standing(caller.log, row.device)
        if found.phase != "free":
            seen = section.sentence(found, language)
            lines.append(Line(row, section.PHASES[found.phase], seen, found.case))
    return view.page(
        request,
        "lost/overview.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        lines=lines,
        rules=_rules(manager, caller.log),
    )


def _rules(manager: Manager, log: bytes) -> Lost:
    try:
        return policy.read_rules(manager.policies.rules(log)).doors.lost
    except Malformed:  # signed by a newer version than this
        return Lost()


def _number(text: str, least: int, most: int) -> int:
    if text.isascii() and text.isdigit() and least <= int(text) <= most:
        return int(text)
    raise Refusal(N_("Enter a whole number from %(least)d to %(most)d."), least=least, most=most)
