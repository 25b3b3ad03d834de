"""The keys of this manager, for people: in use since when, what protects them, what to do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response

from securepc.manager import clock
from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.console import view
from securepc.manager.console.words import Word
from securepc.manager.keyring import devices, inventory
from securepc.manager.refusal import N_, NotFound

router = APIRouter(prefix="/keys", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
SOURCES = {
    "credential": Word(N_("A systemd credential"), "good"),
    "passphrase": Word(N_("A passphrase"), "good"),
    "file": Word(N_("A file beside the keys"), "warn"),
}
"""What wraps all keys, by the words of `ledger.keys.kek`."""


@router.get("")
def keys(request: Request, manager: Here, caller: Anyone, ordered: int = 0) -> Response:
    """The page."""
    store = manager.keys
    return view.page(
        request,
        "keyring/keys.html",
        caller,
        keys=inventory.lines(manager, caller.log),
        source=SOURCES[store.source],
        sheet=store.recovery.name if store.recovery else "",
        sheet_made=store.recovery_made,
        certificate=manager.certificate,
        pcs=devices.lines(manager, caller.log),
        old=inventory.OLD,
        now=clock.now(),
        ordered=min(max(ordered, 0), 10**6),
    )


@router.post("/devices")
def order(
    request: Request, manager: Here, caller: Admin, device: Annotated[str, Form(max_length=32)] = ""
) -> Response:
    """Order one PC, or all, to change their keys."""
    known = {line.device.hex(): line.device for line in devices.lines(manager, caller.log)}
    if device and device not in known:
        raise NotFound(N_("There is no such PC."))
    wanted = [known[device]] if device else list(known.values())
    count = devices.order(manager, caller.log, wanted, actor=caller.name)
    return view.go(request, f"/keys?ordered={count}#pcs")
