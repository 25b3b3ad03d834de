"""Evidence from the console: of one entry, of what a search found, of all that a PC recorded in a period."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.concurrency import run_in_threadpool

from securepc.manager.accounts.auth import Caller, Here, current_account
from securepc.manager.console import view
from securepc.manager.core import Manager
from securepc.manager.evidence.api import EvidenceRequest, RangeRequest, answer
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.manager.search import searched
from securepc.manager.search.model import EntryId, Invalid
from securepc.wire.signed import documents

router = APIRouter(include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Text = Annotated[str, Form(max_length=500)]


def pack_name(entry: EntryId) -> str:
    """What the pack of one entry is called."""
    return f"evidence-{entry.device.hex()[:8]}-{entry.sequence}.zip"


@router.post("/entries/{entry}/evidence")
def of_entry(manager: Here, caller: Anyone, entry: str) -> Response:
    """A pack with one entry; its PC is asked to seal first where that is needed."""
    try:
        name = EntryId.parse(entry)
    except Invalid:
        raise NotFound(N_("There is no such entry.")) from None
    made = answer(manager, caller, EvidenceRequest(entries=[str(name)]))
    made.headers["Content-Disposition"] = f'attachment; filename="{pack_name(name)}"'
    return made


@router.post("/search/evidence")
async def of_search(request: Request, manager: Here, caller: Anyone) -> Response:
    """A pack with all that a search finds."""
    form = await request.form(max_files=0)
    asked = {name: str(form.get(name, "")) for name in searched.FIELDS}
    return await run_in_threadpool(_of_search, request, manager, caller, asked)


def _of_search(request: Request, manager: Manager, caller: Caller, asked: dict[str, str]) -> Response:
    pcs = [row.device.hex() for row in manager.devices.all(caller.log)]
    wanted = searched.conditions(asked, view.reader_of(request, caller), pcs)
    return answer(manager, caller, EvidenceRequest(query=wanted))


@router.post("/devices/{device}/evidence")
def of_period(
    request: Request, manager: Here, caller: Anyone, device: str, first: Text, last: Text
) -> Response:
    """A pack that claims to hold everything a PC recorded on these days, by its own clock."""
    read = view.reader_of(request, caller)
    if not documents.handle(device) or manager.devices.get(caller.log, bytes.fromhex(device)) is None:
        raise NotFound(N_("There is no such PC."))
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise Refusal(N_("Choose the first and the last day.")) from None
    period = RangeRequest(device, searched.midnight(start, read), searched.midnight(end, read))
    return answer(manager, caller, EvidenceRequest(range=period))
