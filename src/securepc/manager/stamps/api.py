"""`/api/v1/stamps`: have the log's newest checkpoint stamped, see which stamps there are."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from securepc.manager.accounts.auth import Caller, Here, require_api, require_api_role
from securepc.manager.errors import ApiError
from securepc.manager.stamps.client import NoStamp
from securepc.manager.stamps.model import Stamp
from securepc.wire.signed.documents import b64encode

router = APIRouter(prefix="/api/v1", tags=["ledger"])
MOST = 400


class StampView(BaseModel):
    """A time stamp: the log's first `size` leaves were there before `time` (microseconds since 1970 UTC).

    `checkpoint` is the text that was stamped, `response` the RFC 3161 answer in base64 (DER); `expires` is
    when the authority's certificate ends.
    """

    size: int
    time: int
    authority: str
    expires: int
    checkpoint: str
    response: str


@router.get("/stamps")
def stamps(manager: Here, caller: Annotated[Caller, Depends(require_api)]) -> list[StampView]:
    """The newest stamps of the agency's log, newest first."""
    return [_view(row) for row in manager.stamps.newest(caller.log, MOST)]


@router.post("/stamps")
def stamp(manager: Here, caller: Annotated[Caller, Depends(require_api_role("admin"))]) -> StampView:
    """Ask the authority now."""
    if not manager.stamps.is_configured:
        raise ApiError(
            409,
            "no-authority",
            "時刻認証局が設定されていません。config.toml の [stamps] で指定してください。",
            "No time stamping authority is set up; name one in [stamps] of config.toml.",
        )
    try:
        return _view(manager.stamps.stamp(caller.log, caller.name))
    except NoStamp as none:
        raise ApiError(
            502,
            f"stamp-{none.trouble}",
            f"タイムスタンプを取得できませんでした({none.detail})。",
            f"No time stamp came ({none.detail}).",
        ) from None


def _view(row: Stamp) -> StampView:
    return StampView(
        size=row.size,
        time=row.time,
        authority=row.authority,
        expires=row.expires,
        checkpoint=row.text.decode("utf-8"),
        response=b64encode(row.response),
    )
