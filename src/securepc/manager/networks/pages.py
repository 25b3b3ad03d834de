"""Networks: which are registered, which are asked for, where PCs are and were."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.concurrency import run_in_threadpool

from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.audit import service as audit
from securepc.manager.console import view
from securepc.manager.core import Manager
from securepc.manager.networks import forms, words
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.wire.signed import documents

router = APIRouter(prefix="/networks", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
Text = Annotated[str, Form(max_length=500)]
SWITCHES = {
    "on": N_("Watch which networks the PCs are on"),
    "warn": N_("Warn the user on an unregistered network"),
    "locate": N_("Record the place with it"),
    "cut_off": N_("Cut off: on an unregistered network only the manager can be reached"),
}


@router.get("")
def networks(request: Request, manager: Here, caller: Anyone) -> Response:
    """The page."""
    return _page(request, manager, caller)


@router.post("/switches")
async def switches(request: Request, manager: Here, caller: Admin) -> Response:
    """Turn the guard's parts on and off."""
    form = await request.form(max_files=0)
    wanted = {name: form.get(name) == "on" for name in SWITCHES}
    await run_in_threadpool(manager.networks.switch, caller.log, wanted, actor=caller.name)
    return view.go(request, "/networks")


@router.post("/register")
async def register(request: Request, manager: Here, caller: Admin) -> Response:
    """Register a network."""
    form = {
        name: value for name, value in (await request.form(max_files=0)).items() if isinstance(value, str)
    }

    def act() -> Response:
        try:
            manager.networks.register(caller.log, forms.read(form), actor=caller.name)
        except Refusal as refused:
            return _page(request, manager, caller, refused=refused)
        return view.go(request, "/networks")

    return await run_in_threadpool(act)


@router.post("/{network}/unregister")
def unregister(request: Request, manager: Here, caller: Admin, network: str) -> Response:
    """Take a registration back."""
    manager.networks.unregister(caller.log, network, actor=caller.name)
    return view.go(request, "/networks")


@router.post("/requests/{number}/approve")
async def approve(request: Request, manager: Here, caller: Admin, number: int) -> Response:
    """Register what was asked for; the form says how narrowly."""
    form = {
        name: value for name, value in (await request.form(max_files=0)).items() if isinstance(value, str)
    }

    def act() -> Response:
        row = manager.networks.request(caller.log, number)
        seen = words.seen(row.data)
        kind = row.data.get("attached")
        fields = {
            "kind": kind if isinstance(kind, str) else "",
            "name": form.get("name", ""),
            "ssid": seen.ssid,
            "security": seen.security if seen.security in words.ENCRYPTION and seen.strong else "wpa2",
            "fixed": form.get("fixed", ""),
            "gateways": seen.gateway_mac if form.get("router") else "",
            "bssids": seen.bssid if form.get("point") else "",
            "subnets": seen.subnet if form.get("range") else "",
            "device": row.device.hex() if form.get("only") else "",
        }
        try:
            network = forms.read(fields, f"r{row.id}")
            manager.networks.approve(caller.log, number, network, actor=caller.name)
        except NotFound:
            raise
        except Refusal as refused:
            return _page(request, manager, caller, refused=refused)
        return view.go(request, "/networks")

    return await run_in_threadpool(act)


@router.post("/requests/{number}/refuse")
def refuse(request: Request, manager: Here, caller: Admin, number: int, reason: Text = "") -> Response:
    """Say no, with a reason."""
    try:
        manager.networks.refuse(caller.log, number, reason.strip(), actor=caller.name)
    except NotFound:
        raise
    except Refusal as refused:
        return _page(request, manager, caller, refused=refused)
    return view.go(request, "/networks")


@router.post("/locate/{device}")
def locate(request: Request, manager: Here, caller: Admin, device: str) -> Response:
    """Ask a PC where it is."""
    row = manager.devices.get(caller.log, bytes.fromhex(device)) if documents.handle(device) else None
    if row is None or row.state != "enrolled":
        raise NotFound(N_("There is no such PC."))
    with manager.database.write() as session:
        manager.commands.issue(session, caller.log, row.device, "locate", actor=caller.name)
        data = {"device": row.device.hex(), "action": "locate"}
        audit.record(session, caller.log, "admin.device", caller.name, data)
    return view.go(request, f"/devices/{device}")


def _page(request: Request, manager: Manager, caller: Caller, *, refused: Refusal | None = None) -> Response:
    language = view.language_of(request, caller)
    rules = manager.networks.rules(caller.log)
    return view.page(
        request,
        "networks/networks.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        rules=rules,
        switches=[(name, label, getattr(rules, name)) for name, label in SWITCHES.items()],
        waiting=[(row, words.seen(row.data)) for row in manager.networks.requests(caller.log, waiting=True)],
        decided=[
            (row, words.seen(row.data))
            for row in manager.networks.requests(caller.log, waiting=False, limit=20)
        ],
        here=manager.networks.now(caller.log),
        history=[
            (row, words.seen(row.data), words.spot(row.data, language))
            for row in manager.networks.history(caller.log)
        ],
        names=manager.devices.names(caller.log),
        pc_names={device.hex(): name for device, name in manager.devices.names(caller.log).items()},
        kinds=words.KINDS,
        encryption=words.ENCRYPTION,
        titles={one.id: one.name or one.ssid or one.id for one in rules.registered},
        mail=manager.mail.is_configured,
    )
