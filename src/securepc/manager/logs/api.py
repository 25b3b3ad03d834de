"""`/logs/<agency>/…`: C2SP tlog-tiles v0.1.0, headers only; `/api/v1/ledger`. Checkpoints are public.

Working hours can be read from tiles, so they need a token unless the settings make them public.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from securepc.ledger.store.tiles import WIDTH
from securepc.manager.accounts.auth import Caller, require_api
from securepc.manager.accounts.tokens import Tokens
from securepc.manager.core import Manager, manager_of
from securepc.manager.errors import ApiError
from securepc.manager.logs.service import summary

tiles = APIRouter(prefix="/logs", include_in_schema=False)
ledger = APIRouter(prefix="/api/v1", tags=["ledger"])
Here = Annotated[Manager, Depends(manager_of)]

_LOG = re.compile(r"[0-9a-f]{32}")
_TILE = re.compile(
    r"(?P<level>entries|0|[1-9]|[1-5][0-9]|6[0-3])/(?P<n>(?:x[0-9]{3}/){0,5}[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?"
)


@tiles.get("/{agency}/checkpoint")
def checkpoint(agency: str, manager: Here) -> Response:
    """The latest checkpoint of an agency's log; where outsiders must cosign, the latest that they did."""
    log = _log(agency)
    try:
        note = manager.witnesses.cosigned(log) or manager.log.checkpoint(log)
    except KeyError:
        raise _missing() from None
    return Response(note, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-cache"})


@tiles.get("/{agency}/tile/{path:path}")
def tile(agency: str, path: str, request: Request, manager: Here) -> Response:
    """A tile of hashes, or a bundle of leaves."""
    log = _log(agency)
    if not manager.config.ledger.tiles_public:
        _need_token(manager, request, log)
    match = _TILE.fullmatch(path)
    if match is None:
        raise _missing()
    n = int(match["n"].replace("x", "").replace("/", ""))
    width = int(match["width"] or WIDTH)
    if _path(n) != match["n"]:
        raise _missing()
    try:
        if match["level"] == "entries":
            data = manager.log.entries_tile(log, n, width)
        else:
            data = manager.log.tile(log, int(match["level"]), n, width)
    except (KeyError, OverflowError):
        raise _missing() from None
    visibility = "public" if manager.config.ledger.tiles_public else "private"
    headers = {"Cache-Control": f"{visibility}, max-age=31536000, immutable"}
    return Response(data, media_type="application/octet-stream", headers=headers)


class LedgerView(BaseModel):
    """An agency's log as of the last block; times in microseconds since 1970 UTC, hashes in hex.

    Leaves below `judged` were opened, those below `verdicts` are covered by verdicts on the ledger;
    `faults` counts the batches that do not open, or not as they should.
    """

    chain: str
    height: int
    block_time: int
    log: str
    size: int
    root: str
    key: str
    checkpoint: str
    judged: int
    verdicts: int
    faults: int


@ledger.get("/ledger")
def show_ledger(manager: Here, caller: Annotated[Caller, Depends(require_api)]) -> LedgerView:
    """The agency's log and the chain it is on."""
    found = summary(manager, caller.log)._asdict()
    hexed = {"chain": found["chain"].hex(), "root": found["root"].hex()}
    return LedgerView(log=caller.log.hex(), **{**found, **hexed})


def _need_token(manager: Manager, request: Request, log: bytes) -> None:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    caller = Tokens(manager.database).find(text) if scheme.lower() == "bearer" and text else None
    if caller is None or caller.log != log:
        error = ApiError(
            401,
            "token",
            "タイルの閲覧には監査人のトークンが必要です。",
            "Tiles need an auditor's token.",
        )
        error.headers["WWW-Authenticate"] = "Bearer"
        raise error


def _path(n: int) -> str:
    """The one spelling of a tile's number: groups of three digits, all but the last with an x."""
    groups = [f"{n % 1000:03d}"]
    while n := n // 1000:
        groups.append(f"x{n % 1000:03d}")
    return "/".join(reversed(groups))


def _log(agency: str) -> bytes:
    if not _LOG.fullmatch(agency):
        raise _missing()
    return bytes.fromhex(agency)


def _missing() -> ApiError:
    return ApiError(404, "missing", "ありません。", "There is no such thing.")


router = APIRouter()
router.include_router(tiles)
router.include_router(ledger)
