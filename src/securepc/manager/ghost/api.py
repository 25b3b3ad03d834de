"""`/agent/v1/ghost`: what PCs ask for their Ghost Drives (docs/formats/ghost.md)."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from securepc.manager.core import Manager, manager_of
from securepc.manager.ingest import messages
from securepc.manager.ingest.api import receive
from securepc.manager.ingest.request import LARGE, SMALL
from securepc.manager.ingest.route import AgentRoute
from securepc.wire.ghost import ShareRequest
from securepc.wire.signed.documents import b64encode

router = APIRouter(prefix="/agent/v1/ghost", route_class=AgentRoute, include_in_schema=False)

Here = Annotated[Manager, Depends(manager_of)]


@router.post("/share")
async def share(request: Request, manager: Here) -> dict[str, Any]:
    """The manager's share, where it may be had at this moment."""
    sender, body = await receive(manager, request, SMALL)
    address = request.client.host if request.client else ""

    def work() -> bytes:
        asked = messages.read(body, ShareRequest)
        return manager.ghosts.releases.answer(sender, asked, body, address)

    return {"frame": b64encode(await asyncio.to_thread(work))}


@router.post("/contents", status_code=204)
async def contents(request: Request, manager: Here) -> Response:
    """A part of the list of what a drive holds."""
    sender, body = await receive(manager, request, LARGE, writes=True)
    await asyncio.to_thread(manager.ghosts.contents.take, sender, body)
    return Response(status_code=204)
