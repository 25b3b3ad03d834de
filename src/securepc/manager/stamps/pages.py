"""The part of the ledger's page that is about time stamps: files to take along, and a button."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Request, Response

from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.console import view
from securepc.manager.console.words import Word
from securepc.manager.core import Manager
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.manager.stamps.client import NoStamp
from securepc.manager.stamps.model import Stamp
from securepc.wire.stamps import RESPONSE_TYPE

router = APIRouter(prefix="/ledger", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
_SHOWN = 10
_TROUBLES = {
    "unreachable": Word(N_("Does not answer"), "warn"),
    "refused": Word(N_("Refuses"), "warn"),
    "wrong": Word(N_("Its answer is no good time stamp"), "bad"),
}


class Stamping(NamedTuple):
    """How it stands with time stamps. `detail` is in the authority's or the system's own words; `files`:
    there are certificates for auditors; `may`: the caller may ask for a stamp."""

    url: str
    stamps: list[Stamp]
    state: Word
    detail: str
    files: bool
    may: bool


def stamping(manager: Manager, caller: Caller) -> Stamping:
    """What the ledger's page shows."""
    attempt = manager.stamps.attempt(caller.log)
    state, detail = Word(N_("Not asked yet"), "plain"), ""
    if attempt is not None:
        state, detail = Word(N_("Has stamped"), "good"), ""
        if attempt.trouble:
            state, detail = _TROUBLES[attempt.trouble], attempt.detail
    return Stamping(
        manager.stamps.url,
        manager.stamps.newest(caller.log, _SHOWN),
        state,
        detail,
        _certificates(manager) is not None,
        caller.may("admin"),
    )


@router.post("/stamps")
def ask(request: Request, manager: Here, caller: Admin) -> Response:
    """Have the newest checkpoint stamped now."""
    if not manager.stamps.is_configured:
        raise Refusal(N_("No time stamping authority is set up."))
    try:
        manager.stamps.stamp(caller.log, caller.name)
    except NoStamp:
        return view.go(request, "/ledger?stamped=no#stamps")
    return view.go(request, "/ledger?stamped=yes#stamps")


@router.get("/stamps/{size}.tsr")
def response(size: int, manager: Here, caller: Anyone) -> Response:
    """The authority's answer, as every program for RFC 3161 reads it."""
    return _download(_stamp(manager, caller, size).response, f"{size}.tsr", RESPONSE_TYPE)


@router.get("/stamps/{size}.txt")
def text(size: int, manager: Here, caller: Anyone) -> Response:
    """What was stamped."""
    return _download(_stamp(manager, caller, size).text, f"{size}.txt", "text/plain; charset=utf-8")


@router.get("/trust/tsa.pem")
def certificates(manager: Here, caller: Anyone) -> Response:
    """The certificates that lead to time stamping authorities."""
    pem = _certificates(manager)
    if pem is None:
        raise NotFound(N_("No certificates of time stamping authorities are kept here."))
    return _download(pem, "tsa.pem", "application/x-pem-file")


def _certificates(manager: Manager) -> bytes | None:
    try:
        return (manager.home.trust / "tsa.pem").read_bytes()
    except FileNotFoundError:
        return None


def _stamp(manager: Manager, caller: Caller, size: int) -> Stamp:
    row = manager.stamps.one(caller.log, size) if 0 <= size < 2**63 else None
    if row is None:
        raise NotFound(N_("There is no such time stamp."))
    return row


def _download(data: bytes, name: str, kind: str) -> Response:
    return Response(data, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
