"""The agency's PCs: list, one PC, adding one, approving, revoking."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Form, Request, Response

from securepc.manager import clock
from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.console import view, words
from securepc.manager.console.words import Word
from securepc.manager.core import Manager
from securepc.manager.devices.model import Device
from securepc.manager.devices.tokens import MAX_DAYS, MAX_USES
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.wire.enrolment import fingerprint
from securepc.wire.signed import documents

router = APIRouter(prefix="/devices", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
Text = Annotated[str, Form(max_length=500)]


class Reported(NamedTuple):
    """What a PC said of itself in its last heartbeat, as far as it is what it should be."""

    policy: str
    unsent: int | None
    lost: int
    error: str


class Collector(NamedTuple):
    """What a PC says of one of its collectors. `why` is in the viewer's language already."""

    name: str
    state: Word
    why: str


@router.get("")
def devices(request: Request, manager: Here, caller: Anyone) -> Response:
    """All PCs of the agency."""
    rows = manager.devices.all(caller.log)
    silence = manager.config.devices.silence_minutes
    order = {"pending": 0, "enrolling": 1, "enrolled": 2}
    rows.sort(key=lambda row: (order.get(row.state, 3), not words.is_silent(row, silence)))
    return view.page(
        request,
        "devices/devices.html",
        caller,
        devices=[(row, words.of_device(row, silence)) for row in rows],
        gone=("revoked", "refused"),
    )


@router.get("/add")
def add_form(request: Request, caller: Admin) -> Response:
    """The form for a new enrolment token."""
    return view.page(request, "devices/add.html", caller, token="", uses=1)


@router.post("/add")
def add(
    request: Request,
    manager: Here,
    caller: Admin,
    label: Text = "",
    uses: Text = "1",
    days: Text = "7",
    approval: Text = "",
) -> Response:
    """Make an enrolment token, and show it with the command that uses it."""
    try:
        token = manager.devices.new_token(
            caller.log,
            label=label.strip(),
            uses=_number(uses, MAX_USES),
            lifetime=_number(days, MAX_DAYS) * clock.DAY,
            approval=bool(approval),
            actor=caller.name,
        )
    except Refusal as refused:
        return view.page(request, "devices/add.html", caller, status=400, refused=refused, token="", uses=1)
    return view.page(
        request,
        "devices/add.html",
        caller,
        token=token,
        uses=int(uses),
        address=manager.address,
        fingerprint=fingerprint(manager.keys.identity.public).hex(),
        until=clock.now() + int(days) * clock.DAY,
        approval=bool(approval),
    )


@router.get("/{device}")
def device(request: Request, manager: Here, caller: Anyone, device: str) -> Response:
    """One PC: its state, what it records and what not, its place on the ledger."""
    return _device(request, manager, caller, _find(manager, caller, device))


@router.post("/{device}/decide")
def decide(request: Request, manager: Here, caller: Admin, device: str, approve: Text) -> Response:
    """Admit or refuse a PC that waits for approval."""
    row = _find(manager, caller, device)
    manager.enrolments.decide(caller.log, row.device, approve == "yes", actor=caller.name)
    return view.go(request, f"/devices/{device}")


@router.post("/{device}/rename")
def rename(
    request: Request, manager: Here, caller: Admin, device: str, name: Text, user: Text = ""
) -> Response:
    """Change what people call a PC, and who uses it."""
    row = _find(manager, caller, device)
    try:
        manager.devices.rename(caller.log, row.device, name, user, actor=caller.name)
    except ValueError:
        refused = Refusal(N_("Give the PC a name of at most 100 characters."))
        return _device(request, manager, caller, row, refused=refused)
    return view.go(request, f"/devices/{device}")


@router.post("/{device}/revoke")
def revoke(request: Request, manager: Here, caller: Admin, device: str, reason: Text) -> Response:
    """Take nothing more from a PC, for ever."""
    row = _find(manager, caller, device)
    try:
        manager.devices.revoke(caller.log, row.device, reason.strip(), actor=caller.name)
    except ValueError:
        refused = Refusal(N_("Give a reason of at most 200 characters. It is kept on the ledger."))
        return _device(request, manager, caller, row, refused=refused)
    return view.go(request, f"/devices/{device}")


def _device(
    request: Request, manager: Manager, caller: Caller, row: Device, *, refused: Refusal | None = None
) -> Response:
    record = manager.log.device(caller.log, row.device)
    policy = manager.policies.current(caller.log, row.device)
    language = view.language_of(request, caller)
    return view.page(
        request,
        "devices/device.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        device=row,
        state=words.of_device(row, manager.config.devices.silence_minutes),
        record=record,
        collectors=_collectors(row.status, language),
        unsealed=manager.ingest.provisional.count(caller.log, row.device),
        policy=f"{policy.epoch}.{policy.counter}" if policy else "",
        reported=_reported(row.status, language),
        today=view.reader_of(request, caller).moment(clock.now()).date().isoformat(),
        own_log=row.state == "manager",
        sections=_sections(manager, caller, row, language),
    )


def _sections(manager: Manager, caller: Caller, row: Device, language: str) -> list[tuple[str, Any]]:
    """What the contexts have to say of a PC: (template, values)."""
    if row.state == "manager":
        return []
    made = [
        (one.template, one.values(manager, caller, row, language))
        for one in sorted(manager.device_sections, key=lambda one: one.place)
    ]
    return [(template, values) for template, values in made if values is not None]


def _reported(status: dict[str, Any], language: str) -> Reported:
    def part(*names: str) -> Any:
        value: Any = status
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def number(value: Any) -> int | None:
        return value if type(value) is int and 0 <= value < 2**53 else None

    error = part("journal", "trouble") or part("error", language) or ""
    return Reported(
        policy=str(part("policy", "version") or "")[:40],
        unsent=number(part("queue", "unsent")),
        lost=number(part("journal", "lost")) or 0,
        error=error[:500] if isinstance(error, str) else "",
    )


def _collectors(status: dict[str, Any], language: str) -> list[Collector]:
    """What the PC said of its collectors; whatever a PC sends, a page comes of it."""
    found = status.get("collectors")
    if not isinstance(found, dict):
        return []
    collectors = []
    for name, said in list(found.items())[:50]:
        if isinstance(said, dict):
            state = str(said.get("state", ""))[:40]
            word = words.COLLECTOR_STATES.get(state, Word(state, "plain"))
            why = said.get(language) or said.get("ja") or ""
            collectors.append(Collector(words.COLLECTORS.get(name, str(name)[:40]), word, str(why)[:500]))
    return collectors


def _find(manager: Manager, caller: Caller, device: str) -> Device:
    row = manager.devices.get(caller.log, bytes.fromhex(device)) if documents.handle(device) else None
    if row is None:
        raise NotFound(N_("There is no such PC."))
    return row


def _number(text: str, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= most:
        return int(text)
    raise Refusal(N_("Enter a whole number from 1 to %(most)d."), most=most)
