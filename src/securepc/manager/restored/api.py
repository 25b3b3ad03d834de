"""`/agent/v1/checkpoint`: a PC shows the highest checkpoint that it has."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from securepc.ledger.note import NoteError
from securepc.manager.core import Manager, manager_of
from securepc.manager.ingest.api import receive
from securepc.manager.ingest.refusals import refuse
from securepc.manager.ingest.route import AgentRoute
from securepc.manager.restored.shown import MAX_NOTE

router = APIRouter(prefix="/agent/v1", route_class=AgentRoute, include_in_schema=False)


@router.post("/checkpoint", status_code=204)
async def checkpoint(request: Request, manager: Annotated[Manager, Depends(manager_of)]) -> Response:
    """The note as it was signed; an empty body where the PC has none."""
    sender, body = await receive(manager, request, MAX_NOTE, writes=True)
    try:
        await asyncio.to_thread(manager.restored.show, sender.log, sender.device, body)
    except NoteError as error:
        raise refuse("malformed", detail=str(error)) from None
    return Response(status_code=204)
