"""`/api/v1/entries`: search the logs, look at one entry (docs/architecture.md)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from securepc.manager.accounts.auth import Caller, require_api
from securepc.manager.audit import service as audit
from securepc.manager.core import Manager, manager_of
from securepc.manager.errors import ApiError
from securepc.manager.evidence import refusals
from securepc.manager.retention import gone
from securepc.manager.search import asked
from securepc.manager.search.model import Hit, Invalid, Query
from securepc.manager.search.query import Damaged
from securepc.wire.shapes import prepared
from securepc.wire.signed.documents import b64encode

router = APIRouter(prefix="/api/v1", tags=["entries"])
Here = Annotated[Manager, Depends(manager_of)]
Asking = Annotated[Caller, Depends(require_api)]
NDJSON = "application/x-ndjson"
_PIECE = 200
"""Lines that are sent at a time."""
_encoder = msgspec.json.Encoder()
_PARAMETERS = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "schema": {"type": "integer" if name == "limit" else "string"},
        "description": text,
    }
    for name, text in {
        "from": "First moment by the PC's clock: ISO 8601 with offset, or microseconds since 1970 UTC.",
        "to": "Moment before which the search ends; as `from`.",
        "device": "Handle or name; may be repeated.",
        "user": "The user's name on the PC.",
        "kind": "A kind (`file.create`) or a family (`file.*`); may be repeated.",
        "text": "Words that are all found anywhere in an entry's values, whatever their case and width; "
        '`"so"` exactly so, numbers however they are hyphenated. Records of searches are found only where '
        "`kind` names them.",
        "result": "`ok`, `blocked` or `failed`.",
        "limit": "At most so many; everything without it.",
        "before": "Where the page before ended: `<at>.<entry>.<leaf>` of its last line.",
    }.items()
]


@prepared
class Line(msgspec.Struct, omit_defaults=True):
    """A line of the answer. Times are microseconds since 1970 UTC; `text` is the entry's exact text, and
    where that is not UTF-8 `raw` is its bytes in base64. `leaf` is null while provisional."""

    entry: str
    device: str
    device_name: str
    at: int
    received_at: int
    user: str
    kind: str
    result: str
    policy: str
    sealed: bool
    leaf: int | None
    data: msgspec.Raw
    text: str
    raw: str | None = None


def line_of(hit: Hit, names: Mapping[bytes, str]) -> Line:
    """A hit as it is sent."""
    try:
        text, raw = hit.entry.decode("utf-8"), None
    except UnicodeDecodeError:
        text, raw = hit.entry.decode("utf-8", "replace"), b64encode(hit.entry)
    return Line(
        entry=hit.id,
        device=hit.device,
        device_name=names.get(bytes.fromhex(hit.device), ""),
        at=hit.happened,
        received_at=hit.received,
        user=hit.user,
        kind=hit.kind,
        result=hit.result,
        policy=hit.policy,
        sealed=hit.sealed,
        leaf=hit.leaf,
        data=msgspec.Raw(hit.data.encode("utf-8")),
        text=text,
        raw=raw,
    )


@router.get("/entries", openapi_extra={"parameters": _PARAMETERS}, response_class=StreamingResponse)
def entries(request: Request, manager: Here, caller: Asking) -> StreamingResponse:
    """Search: a line of JSON an entry, newest first by the PCs' clocks, without an upper limit."""
    parameters = {name: request.query_params.getlist(name) for name in request.query_params}
    query, names = read_query(manager, caller, parameters)
    record(manager, caller, "admin.search", {"query": asked.described(query)})
    return StreamingResponse(
        _started(_lines(manager.search.search(caller.log, query), names)), media_type=NDJSON
    )


@router.get("/entries/{entry}")
def entry(entry: str, manager: Here, caller: Asking) -> Response:
    """One entry, with where it is in its device's history and in the log."""
    names = manager.devices.names(caller.log)
    try:
        name = asked.entry(entry, names)
        hit = manager.search.entry(caller.log, name)
    except Invalid as wrong:
        raise refusal(wrong) from None
    except Damaged:
        raise _mending() from None
    if hit is None and (found := gone.find(manager, caller.log, name.device, name.sequence)) is not None:
        raise refusals.expired(str(name)) if found.month else refusals.redacted(str(name))
    if hit is None:
        raise ApiError(404, "no-such-entry", "その記録はありません。", "There is no such entry.")
    record(manager, caller, "admin.view", {"entry": str(name)})
    more = {"sequence": hit.sequence, "epoch": hit.epoch, "boot": hit.boot, "up": hit.up}
    line = line_of(hit, names)
    return Response(_encoder.encode({**msgspec.structs.asdict(line), **more}), media_type="application/json")


def read_query(manager: Manager, caller: Caller, values: Mapping[str, Any]) -> tuple[Query, dict[bytes, str]]:
    """A search as a caller asks for it, and the names of the agency's devices.

    Raises:
        ApiError: 400 `query`.
    """
    names = manager.devices.names(caller.log)
    try:
        return asked.read(values, names), names
    except Invalid as wrong:
        raise refusal(wrong) from None


def record(manager: Manager, caller: Caller, kind: str, data: dict[str, Any]) -> None:
    """Write down, before it is answered, what somebody asks to see."""
    with manager.database.write() as session:
        audit.record(session, caller.log, kind, caller.name, data)


def refusal(wrong: Invalid) -> ApiError:
    """A question that can't be answered."""
    return ApiError(400, "query", f"{wrong.ja}。", f"{wrong.en[:1].upper()}{wrong.en[1:]}.")


def _lines(hits: Iterator[Hit], names: Mapping[bytes, str]) -> Iterator[bytes]:
    while piece := [line_of(hit, names) for hit in itertools.islice(hits, _PIECE)]:
        yield _encoder.encode_lines(piece)


def _started(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same, with the first piece looked for now: what is wrong with a search is said by its status.

    Raises:
        ApiError: 400 `query`, 503 `index`.
    """
    try:
        first = next(pieces, b"")
    except Invalid as wrong:
        raise refusal(wrong) from None
    except Damaged:
        raise _mending() from None
    return _continued(first, pieces)


def _continued(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    try:
        yield from pieces
    except Damaged:
        wrong = _mending()
        yield _encoder.encode({"error": {"code": wrong.code, "ja": wrong.ja, "en": wrong.en}}) + b"\n"


def _mending() -> ApiError:
    return ApiError(
        503,
        "index",
        "検索用のファイルが壊れていたため、台帳から作り直しています。しばらくしてから、もう一度検索してください。",
        "A search file was damaged; it is being built again from the ledger. Search again in a while.",
        retry_after=30,
    )
