"""`/api/v1/devices`: an agency's PCs, and tokens to enrol more."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from securepc.manager import clock
from securepc.manager.accounts.auth import Caller, require_api, require_api_role
from securepc.manager.core import Manager, manager_of
from securepc.manager.devices import tokens
from securepc.manager.devices.model import Device
from securepc.manager.errors import ApiError
from securepc.wire.signed import documents

router = APIRouter(prefix="/api/v1", tags=["devices"])
Here = Annotated[Manager, Depends(manager_of)]
Anyone = Annotated[Caller, Depends(require_api)]
Admin = Annotated[Caller, Depends(require_api_role("admin"))]


class DeviceView(BaseModel):
    """A device. Times are microseconds since 1970 UTC; `batches` and `entries` are those on the ledger."""

    device: str
    name: str
    user: str
    state: str
    info: dict[str, Any]
    enrolled_at: int | None
    seen_at: int | None
    clock_offset: int | None
    status: dict[str, Any]
    batches: int
    entries: int
    forked: bool


class TokenRequest(BaseModel):
    """`days` until it expires; with `approval` an administrator must agree to each PC."""

    model_config = ConfigDict(extra="forbid")
    label: str = Field("", max_length=100)
    uses: int = Field(1, ge=1, le=tokens.MAX_USES)
    days: int = Field(7, ge=1, le=tokens.MAX_DAYS)
    approval: bool = False


class TokenView(BaseModel):
    """The token's text: shown this once."""

    token: str


class Change(BaseModel):
    """Names for people to read."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100)
    user: str = Field("", max_length=100)


class Revocation(BaseModel):
    """Why a device is revoked; the reason goes on the ledger, so it names nobody."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(min_length=1, max_length=200)


class Decision(BaseModel):
    """Whether a device that asked may enrol."""

    model_config = ConfigDict(extra="forbid")
    approve: bool


@router.get("/devices")
def devices(manager: Here, caller: Anyone) -> list[DeviceView]:
    """All devices of the agency, by name."""
    return [_view(manager, row) for row in manager.devices.all(caller.log)]


@router.post("/devices/tokens", status_code=201)
def new_token(body: TokenRequest, manager: Here, caller: Admin) -> TokenView:
    """A new enrolment token."""
    text = manager.devices.new_token(
        caller.log,
        label=body.label,
        uses=body.uses,
        lifetime=body.days * clock.DAY,
        approval=body.approval,
        actor=caller.name,
    )
    return TokenView(token=text)


@router.get("/devices/{device}")
def device(device: str, manager: Here, caller: Anyone) -> DeviceView:
    """One device."""
    return _view(manager, _find(manager, caller, device))


@router.patch("/devices/{device}")
def rename(device: str, body: Change, manager: Here, caller: Admin) -> DeviceView:
    """Rename a device, or say whose it is."""
    row = _find(manager, caller, device)
    if not body.name.strip():
        raise ApiError(422, "name", "PCの名前を入力してください。", "Give the device a name.")
    manager.devices.rename(caller.log, row.device, body.name, body.user, actor=caller.name)
    return _view(manager, _find(manager, caller, device))


@router.post("/devices/{device}/revoke")
def revoke(device: str, body: Revocation, manager: Here, caller: Admin) -> DeviceView:
    """Take nothing more from a device."""
    row = _find(manager, caller, device)
    if not manager.devices.revoke(caller.log, row.device, body.reason, actor=caller.name):
        raise ApiError(
            409,
            "state",
            "登録済みのPCではないため、失効できません。",
            "Only an enrolled device can be revoked.",
        )
    return _view(manager, _find(manager, caller, device))


@router.post("/devices/{device}/decision")
def decide(device: str, body: Decision, manager: Here, caller: Admin) -> DeviceView:
    """Admit or refuse a device that waits for approval."""
    row = _find(manager, caller, device)
    if not manager.enrolments.decide(caller.log, row.device, body.approve, actor=caller.name):
        raise ApiError(
            409, "state", "承認待ちのPCではありません。", "This device is not waiting for approval."
        )
    return _view(manager, _find(manager, caller, device))


def _find(manager: Manager, caller: Caller, device: str) -> Device:
    row = manager.devices.get(caller.log, bytes.fromhex(device)) if documents.handle(device) else None
    if row is None:
        raise ApiError(404, "device", "そのPCはありません。", "There is no such device.")
    return row


def _view(manager: Manager, row: Device) -> DeviceView:
    record = manager.log.device(row.log, row.device)
    return DeviceView(
        device=row.device.hex(),
        name=row.name,
        user=row.user,
        state=row.state,
        info=row.info,
        enrolled_at=row.enrolled_at,
        seen_at=row.seen_at,
        clock_offset=row.clock_offset,
        status=row.status,
        batches=record.epoch if record else 0,
        entries=record.sequence if record else 0,
        forked=bool(record and record.forked is not None),
    )
