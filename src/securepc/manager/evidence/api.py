"""`POST /api/v1/evidence`: a pack to hand out (docs/formats/evidence.md)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, BinaryIO, cast

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from securepc.manager.accounts.auth import Caller, require_api
from securepc.manager.core import Manager, manager_of
from securepc.manager.errors import ApiError
from securepc.manager.evidence.service import Made
from securepc.manager.search import asked
from securepc.manager.search.api import read_query, record, refusal
from securepc.manager.search.model import Invalid
from securepc.wire.signed.evidence import Range

router = APIRouter(prefix="/api/v1", tags=["evidence"])
Here = Annotated[Manager, Depends(manager_of)]
Asking = Annotated[Caller, Depends(require_api)]
MAX_BODY = 16 * 1024 * 1024
"""Room for the names of 300,000 entries."""
EXPIRED = "SecurePC-Expired"
"""Header: how many entries of a range are only shown to have expired."""
_CHUNK = 256 * 1024
ENTRIES = "SecurePC-Entries"
"""Header: how many entries the pack has."""
LEFT_OUT = "SecurePC-Left-Out"
"""Header: how many unreadable batches a search found, whose entries can't be in the pack."""
NOT_SEALED = "SecurePC-Not-Sealed"
"""Header: how many entries a search found that are not in the pack, since their PCs did not seal them."""


class RangeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """All entries of a device: between two numbers (integers), or in a period by its own clock (ISO 8601
    with offset; the end is exclusive)."""

    device: str
    from_: int | str = msgspec.field(name="from")
    to: int | str


class EvidenceRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Exactly one of: the names of entries; a search as of `GET entries`; a range of a device's entries.
    `stamp` false leaves out the time stamp, which verifiers of before 0.2 do not know."""

    entries: list[str] | None = None
    query: dict[str, Any] | None = None
    range: RangeRequest | None = None
    stamp: bool = True


_SCHEMAS = msgspec.json.schema_components([EvidenceRequest], ref_template="#/components/schemas/{name}")[1]
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    **_SCHEMAS["EvidenceRequest"],
                    "properties": {
                        **_SCHEMAS["EvidenceRequest"]["properties"],
                        "range": {"anyOf": [{"type": "null"}, _SCHEMAS["RangeRequest"]]},
                    },
                }
            }
        },
    },
    "responses": {"200": {"content": {"application/zip": {}}}},
}


@router.post("/evidence", openapi_extra=_BODY, response_class=StreamingResponse)
async def evidence(request: Request, manager: Here, caller: Asking) -> StreamingResponse:
    """A pack that proves entries offline; devices are asked to seal first where that is needed."""
    wanted = _read(await _body(request))
    return await run_in_threadpool(answer, manager, caller, wanted)


def answer(manager: Manager, caller: Caller, wanted: EvidenceRequest) -> StreamingResponse:
    """Make a pack, write down who got it, and send it.

    Raises:
        ApiError: see `refusals`; 400 `query`.
    """
    stream = cast(BinaryIO, tempfile.TemporaryFile(dir=manager.home.manager))  # noqa: SIM115 - sent later
    try:
        made, described = _make(manager, caller, wanted, stream)
        record(manager, caller, "admin.export", {"query": described, "entries": made.entries})
        size = stream.tell()
    except BaseException:
        stream.close()
        raise
    name = datetime.now(UTC).strftime("evidence-%Y%m%dT%H%M%SZ.zip")
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{name}"',
        ENTRIES: str(made.entries),
    }
    if made.left_out:
        headers[LEFT_OUT] = str(made.left_out)
    if made.not_sealed:
        headers[NOT_SEALED] = str(made.not_sealed)
    if made.expired:
        headers[EXPIRED] = str(made.expired)
    return StreamingResponse(_chunks(stream), media_type="application/zip", headers=headers)


def _make(manager: Manager, caller: Caller, wanted: EvidenceRequest, stream: BinaryIO) -> tuple[Made, str]:
    """Write the pack; gives what it has, and what was asked for in one line."""
    service = manager.evidence
    if wanted.entries is not None:
        names = manager.devices.names(caller.log)
        try:
            entries = [asked.entry(name, names) for name in wanted.entries]
        except Invalid as wrong:
            raise refusal(wrong) from None
        made = service.of_entries(caller.log, entries, stream, stamped=wanted.stamp)
        return made, " ".join(wanted.entries[:20])
    if wanted.query is not None:
        query, _ = read_query(manager, caller, wanted.query)
        made = service.of_query(caller.log, query, stream, stamped=wanted.stamp)
        return made, asked.described(query)
    claim = _range(manager, caller, cast(RangeRequest, wanted.range))
    described = f"range device={claim.device.hex()} first={claim.first} last={claim.last}"
    return service.of_range(caller.log, claim, stream, stamped=wanted.stamp), described


def _range(manager: Manager, caller: Caller, wanted: RangeRequest) -> Range:
    named = {"device": wanted.device}
    if isinstance(wanted.from_, int) and isinstance(wanted.to, int):
        query, _ = read_query(manager, caller, named)
        return Range(_only(query.devices), wanted.from_, wanted.to)
    query, _ = read_query(manager, caller, {**named, "from": wanted.from_, "to": wanted.to})
    return manager.evidence.range_of_times(caller.log, _only(query.devices), query.start, query.end)


def _only(devices: tuple[str, ...]) -> bytes:
    if len(devices) != 1:
        raise refusal(Invalid("同じ名前のPCが複数あります", "several devices have this name"))
    return bytes.fromhex(devices[0])


async def _body(request: Request) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY:
            raise ApiError(413, "too-large", "要求が大きすぎます。", "The request is too large.")
        pieces.append(piece)
    return b"".join(pieces)


def _read(body: bytes) -> EvidenceRequest:
    try:
        wanted = msgspec.json.decode(body, type=EvidenceRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(
            400, "malformed", f"要求を読み取れません({error})。", f"The request can't be read ({error})."
        ) from None
    if sum(part is not None for part in (wanted.entries, wanted.query, wanted.range)) != 1:
        raise ApiError(
            400,
            "malformed",
            "entries、query、range のどれか一つを指定してください。",
            "Give exactly one of entries, query and range.",
        )
    return wanted


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        stream.seek(0)
        while chunk := stream.read(_CHUNK):
            yield chunk
