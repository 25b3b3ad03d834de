"""`/agent/v1`: what devices call (docs/architecture.md, "The agent's HTTP API")."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from securepc.manager.core import Manager, manager_of
from securepc.manager.devices.enrolment import Asked
from securepc.manager.ingest import messages, renewal, upload
from securepc.manager.ingest import request as requests
from securepc.manager.ingest.request import LARGE, SMALL, Sender
from securepc.manager.ingest.route import AgentRoute, need_room
from securepc.wire.signed.canonical import MAX_INTEGER
from securepc.wire.signed.documents import b64encode

router = APIRouter(prefix="/agent/v1", route_class=AgentRoute, include_in_schema=False)

Here = Annotated[Manager, Depends(manager_of)]
T = TypeVar("T")


async def receive(
    manager: Manager, request: Request, limit: int, *, writes: bool = False
) -> tuple[Sender, bytes]:
    """The sender of a request and its body; the header is judged before the body is read. For the endpoints
    of the agent's API in every context.

    Raises:
        ApiError: the request is not a device's own.
    """
    claim = requests.claim_of(request)
    request.state.claimed = claim.device
    requests.precheck(manager, claim)
    if writes:
        need_room(manager)
    body = await manager.ingest.bodies.read(request, limit)
    sender = await asyncio.to_thread(requests.authenticate, manager, claim, request, body)
    request.state.sender = sender
    return sender, body


@router.post("/enrol")
async def enrol(request: Request, manager: Here) -> Response:
    """A PC asks to become a device."""
    need_room(manager)
    body = await manager.ingest.bodies.read(request, SMALL)

    request.state.claimed, asked = await asyncio.to_thread(_read_enrolment, body)
    row, ordered = await asyncio.to_thread(manager.enrolments.ask, asked)
    if ordered is not None:
        # Many PCs may enrol at once: they wait for their block without holding a thread each.
        await asyncio.gather(asyncio.wrap_future(ordered), return_exceptions=True)
        await asyncio.to_thread(manager.enrolments.finish, row, ordered)
    if row.state == "pending":
        return JSONResponse({"status": "pending"}, 202)
    assert row.frame is not None
    policy = await asyncio.to_thread(manager.policies.current, row.log, row.device)
    answer = {
        "identity": b64encode(manager.keys.identity.public),
        "frame": b64encode(row.frame),
        "policy": b64encode(policy.frame) if policy else None,
        "keys": await asyncio.to_thread(_notices, manager, row.log, 0),
    }
    return JSONResponse(answer, 201)


def _read_enrolment(body: bytes) -> tuple[bytes, Asked]:
    asked = messages.read(body, messages.Enrolment)
    device = messages.handle(asked.device)
    info = {name: getattr(asked.info, name) for name in ("hostname", "os", "version", "user")}
    return device, Asked(
        messages.base64_of(asked.secret, 24),
        device,
        messages.base64_of(asked.key, 32),
        messages.base64_of(asked.proof, 64),
        messages.base64_of(asked.agreement, 32),
        info,
    )


@router.get("/keys")
async def keys(
    manager: Here, log: str, after: Annotated[int, Query(ge=0, le=MAX_INTEGER)] = 0
) -> dict[str, Any]:
    """An agency's key notices above a number. Unsigned: who asks may not know the keys yet."""
    return {"frames": await asyncio.to_thread(_notices, manager, messages.handle(log), after)}


def _notices(manager: Manager, log: bytes, after: int) -> list[str]:
    return [b64encode(frame) for frame in manager.keyring.notices(log, after)]


@router.post("/rotate")
async def rotate(request: Request, manager: Here) -> dict[str, Any]:
    """A device has a new key. Needs no session: the leaf that it brings is signed by the old key."""
    need_room(manager)
    body = await manager.ingest.bodies.read(request, SMALL)
    device = await asyncio.to_thread(lambda: renewal.renew(manager, messages.read(body, messages.Renewal)))
    request.state.claimed = device
    return {"device": device.hex()}


@router.post("/session")
async def session(request: Request, manager: Here) -> dict[str, Any]:
    """A nonce, and the manager's clock."""
    body = await manager.ingest.bodies.read(request, SMALL)

    def work() -> bytes:
        device = messages.handle(messages.read(body, messages.SessionRequest).device)
        request.state.claimed = device
        return manager.ingest.session(device)

    return {"frame": b64encode(await asyncio.to_thread(work))}


@router.post("/provisional", status_code=204)
async def provisional(request: Request, manager: Here) -> Response:
    """Lines that are not sealed yet."""
    sender, body = await receive(manager, request, LARGE, writes=True)
    await asyncio.to_thread(
        lambda: manager.ingest.announce(sender, messages.read(body, messages.ProvisionalLines))
    )
    return Response(status_code=204)


@router.post("/batches")
async def batches(
    request: Request,
    manager: Here,
    size: Annotated[int, Query(ge=0, le=MAX_INTEGER)] = 0,
    tree: Annotated[str, Query(pattern=r"^([0-9a-f]{16})?$")] = "",
) -> Response:
    """Sealed batches: when this answers, they are on the ledger."""
    sender, body = await receive(manager, request, LARGE, writes=True)
    return Response(await upload.take(manager, sender, body, size, tree), media_type="application/json")


@router.post("/heartbeat")
async def heartbeat(request: Request, manager: Here) -> dict[str, Any]:
    """A sign of life, countersigned."""
    sender, body = await receive(manager, request, SMALL)
    frame = await asyncio.to_thread(
        lambda: manager.ingest.heartbeat(sender, messages.read(body, messages.HeartbeatMessage))
    )
    return {"frame": b64encode(frame)}


@router.get("/wait")
async def wait(
    request: Request,
    manager: Here,
    counter: Annotated[int, Query(ge=0, le=MAX_INTEGER)] = 0,
    epoch: Annotated[int, Query(ge=0, le=MAX_INTEGER)] = 0,
    taken: Annotated[int, Query(ge=0, le=MAX_INTEGER)] = 0,
    keys: Annotated[int, Query(ge=0, le=MAX_INTEGER)] = 0,
) -> dict[str, Any]:
    """A newer policy, key notices, orders or an order to seal, at once or when there is one."""
    sender, _ = await receive(manager, request, SMALL)
    manager.presence.seen(sender.device)
    return await manager.ingest.wait(sender, (epoch, counter), taken, keys)
