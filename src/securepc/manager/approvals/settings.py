"""The switches of the shutter, and the media that may be asked for."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.concurrency import run_in_threadpool

from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.approvals import words
from securepc.manager.console import view
from securepc.manager.core import Manager
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.wire.signed.canonical import Malformed

router = APIRouter(prefix="/settings", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
Text = Annotated[str, Form(max_length=500)]
CLASSES = {
    "usb": words.KINDS["usb"],
    "sd": words.KINDS["sd"],
    "phones": words.KINDS["phone"],
    "optical": words.KINDS["optical"],
    "bluetooth": words.KINDS["bluetooth"],
}


@router.get("")
def shown(request: Request, manager: Here, caller: Anyone) -> Response:
    """The switches as they are signed."""
    return _page(request, manager, caller)


@router.post("")
async def change(request: Request, manager: Here, caller: Admin) -> Response:
    """Sign other switches."""
    form = await request.form(max_files=0)
    wanted: dict[str, Any] = {name: form.get(name) == "on" for name in ("on", *CLASSES)}
    try:
        for name, least, most in (("longest", 1, 10_080), ("test_days", 0, 365)):
            wanted[name] = _number(str(form.get(name, "")), least, most)
        await run_in_threadpool(_change, manager, caller, wanted)
    except Refusal as refused:
        return await run_in_threadpool(_page, request, manager, caller, refused)
    return view.go(request, "/shutter/settings")


@router.post("/media")
def register(
    request: Request,
    manager: Here,
    caller: Admin,
    name: Text = "",
    vendor: Text = "",
    product: Text = "",
    serial: Text = "",
) -> Response:
    """Register a medium: from then on only registered ones may be asked for."""
    fields = {"name": name.strip(), "vendor": vendor.strip().lower(), "product": product.strip()}
    fields["serial"] = serial.strip()
    try:
        if not fields["serial"] and not (fields["vendor"] and fields["product"]):
            raise Refusal(N_("Give the serial number, or vendor and product."))
        media = _media(manager, caller)
        media.append({"id": secrets.token_hex(8), **fields})
        _change(manager, caller, {"media": media})
    except Refusal as refused:
        return _page(request, manager, caller, refused)
    return view.go(request, "/shutter/settings")


@router.post("/media/{medium}/remove")
def remove(request: Request, manager: Here, caller: Admin, medium: str) -> Response:
    """Register it no longer."""
    media = _media(manager, caller)
    left = [one for one in media if one.get("id") != medium]
    if len(left) == len(media):
        raise NotFound(N_("There is no such medium."))
    _change(manager, caller, {"media": left})
    return view.go(request, "/shutter/settings")


def _page(request: Request, manager: Manager, caller: Caller, refused: Refusal | None = None) -> Response:
    rules = manager.approvals.rules(caller.log)
    listed = {(one.vendor, one.product, one.serial) for one in rules.media}
    seen = manager.approvals.media(caller.log, 50)
    return view.page(
        request,
        "approvals/settings.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        rules=rules,
        classes=[(name, label, getattr(rules, name)) for name, label in CLASSES.items()],
        seen=[one for one in seen if (one.vendor, one.product, one.serial) not in listed],
        names=manager.devices.names(caller.log),
        words=words,
    )


def _media(manager: Manager, caller: Caller) -> list[dict[str, Any]]:
    found = _shutter(manager.policies.rules(caller.log)).get("media", [])
    return [dict(one) for one in found]


def _shutter(rules: dict[str, Any]) -> dict[str, Any]:
    return dict(rules.get("doors", {}).get("shutter", {}))


def _change(manager: Manager, caller: Caller, wanted: dict[str, Any]) -> None:
    try:
        manager.policies.edit_door(
            caller.log, "shutter", lambda shutter: {**shutter, **wanted}, actor=caller.name
        )
    except Malformed:
        raise Refusal(N_("These settings can't be signed: something is too long or too much.")) from None


def _number(text: str, least: int, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and least <= int(text) <= most:
        return int(text)
    raise Refusal(N_("Enter a whole number from %(least)d to %(most)d."), least=least, most=most)
