"""The console's pages about software and the PCs' state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import StreamingResponse

from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.audit import service as audit
from securepc.manager.console import i18n, view
from securepc.manager.core import Manager
from securepc.manager.devices.model import Device
from securepc.manager.refusal import N_, NotFound, Refusal
from securepc.manager.software import judged, lists, overview, ruling
from securepc.manager.software.service import MAX_HOURS
from securepc.wire import support
from securepc.wire.signed import documents
from securepc.wire.signed.canonical import Malformed
from securepc.wire.software import Program

router = APIRouter(prefix="/software", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
Text = Annotated[str, Form(max_length=500)]
Long = Annotated[str, Form(max_length=60_000)]
_SHOWN = 200
_MOST = 3_000


@router.get("")
def pcs(request: Request, manager: Here, caller: Anyone) -> Response:
    """The PCs, the worst first."""
    found = overview.lines(manager, caller.log)
    return view.page(
        request,
        "software/pcs.html",
        caller,
        lines=found,
        words=judged.SUPPORT_STATES,
        bad=sum(any(one.word.tone == "bad" for one in line.problems) for line in found),
        updates=sum(any("security" in one.values for one in line.problems) for line in found),
        snapshot=support.snapshot()["date"],
    )


@router.get("/pcs/{device}")
def pc(request: Request, manager: Here, caller: Anyone, device: str, text: str = "") -> Response:
    """One PC: its state and everything installed."""
    row = _find(manager, caller, device)
    known = manager.software.pcs(caller.log).get(row.device)
    states = known.states if known is not None else {}
    found = manager.software.of_device(caller.log, row.device, text[:200])
    system = judged.system(states, judged.today())
    return view.page(
        request,
        "software/pc.html",
        caller,
        device=row,
        pc=known,
        text=text[:200],
        parts=judged.parts(states, view.language_of(request, caller)),
        accounts=judged.data_of(states, "software.accounts"),
        updates=judged.data_of(states, "software.updates"),
        hardware=_hardware(judged.data_of(states, "software.hardware")),
        os=str(judged.data_of(states, "software.hardware").get("os") or "")[:200],
        system=system,
        words=judged.SUPPORT_STATES,
        programs=[(one, _support(one, system)) for one in found[:_MOST]],
        more=max(0, len(found) - _MOST),
        violations={(one.source, one.name) for one in manager.software.violations(caller.log, row.device)},
    )


@router.post("/pcs/{device}/report")
def report(request: Request, manager: Here, caller: Admin, device: str) -> Response:
    """Have a PC report anew."""
    row = _find(manager, caller, device)
    manager.software.report(caller.log, row.device, actor=caller.name)
    return view.go(request, f"/software/pcs/{device}")


@router.get("/programs")
def programs(request: Request, manager: Here, caller: Anyone, text: str = "") -> Response:
    """The programs over all PCs."""
    found = manager.software.programs(caller.log, text.strip()[:200], _SHOWN + 1)
    return view.page(
        request,
        "software/programs.html",
        caller,
        text=text.strip()[:200],
        programs=found[:_SHOWN],
        more=len(found) > _SHOWN,
    )


@router.get("/program")
def program(request: Request, manager: Here, caller: Anyone, source: str = "", name: str = "") -> Response:
    """One program on every PC that has it."""
    return _program(request, manager, caller, source[:20], name[:200])


@router.post("/program")
def remove(
    request: Request,
    manager: Here,
    caller: Admin,
    source: Text,
    name: Text,
    device: Text,
    hours: Text = "24",
    remove: Text = "",
) -> Response:
    """Order a PC to be rid of a program."""
    try:
        row = _find(manager, caller, device)
        manager.software.order(
            caller.log,
            row.device,
            source,
            name,
            hours=_hours(hours),
            remove=remove == "on",
            actor=caller.name,
        )
    except Refusal as refused:
        return _program(request, manager, caller, source[:20], name[:200], refused)
    return view.go(request, "/software/removals")


@router.get("/support")
def supported(request: Request, manager: Here, caller: Anyone) -> Response:
    """Versions and until when they are supported, those first that are not."""
    enrolled = [row.device for row in manager.devices.all(caller.log) if row.state == "enrolled"]
    return view.page(
        request,
        "software/support.html",
        caller,
        found=manager.software.support(caller.log, enrolled),
        words=judged.SUPPORT_STATES,
        names=manager.devices.names(caller.log),
        snapshot=support.snapshot(),
    )


@router.get("/updates")
def updates(request: Request, manager: Here, caller: Anyone) -> Response:
    """What each PC could install now."""
    pcs = manager.software.pcs(caller.log)
    rows = []
    for row in manager.devices.all(caller.log):
        if row.state == "enrolled" and row.device in pcs:
            told = pcs[row.device].states.get("software.updates") or {}
            data = judged.data_of(pcs[row.device].states, "software.updates")
            word = judged.STATES["software.updates"].get(str(data.get("state")))
            if word is not None:
                rows.append((row, word, data, _updates(data), _reasons(data), told))
    rows.sort(key=lambda one: -judged.number(one[2], "security"))
    return view.page(request, "software/updates.html", caller, rows=rows, number=judged.number, words=_REBOOT)


@router.get("/removals")
def removals(request: Request, manager: Here, caller: Anyone) -> Response:
    """What is not allowed, what is asked for, what was ordered to be removed, and how far that is."""
    return view.page(
        request,
        "software/removals.html",
        caller,
        violations=manager.software.violations(caller.log),
        removals=manager.software.removals(caller.log),
        requests=manager.software.requests(caller.log),
        names=manager.devices.names(caller.log),
        states=ruling.REMOVAL_STATES,
        actions=ruling.ACTIONS,
        decisions=ruling.DECISIONS,
    )


@router.post("/requests/{number}")
def decide(request: Request, manager: Here, caller: Admin, number: int, allow: Text) -> Response:
    """Allow or refuse what somebody asked for."""
    manager.software.decide(caller.log, number, allow == "yes", actor=caller.name)
    return view.go(request, "/software/removals")


@router.get("/rules")
def rules(request: Request, manager: Here, caller: Anyone) -> Response:
    """What may be installed."""
    return _rules(request, manager, caller)


@router.post("/rules")
def change(
    request: Request,
    manager: Here,
    caller: Admin,
    deny: Long = "",
    allow: Long = "",
    hours: Text = "24",
    baseline: Text = "",
    approve: Text = "",
    remove: Text = "",
    on: Text = "",
) -> Response:
    """Sign other rules about software."""
    try:
        wanted: dict[str, Any] = {
            "on": on == "on",
            "approve": approve == "on",
            "baseline": baseline == "on",
            "remove": remove == "on",
            "hours": max(1, _hours(hours)),
            "deny": ruling.parse(deny),
            "allow": ruling.parse(allow),
        }
        manager.software.change_rules(caller.log, wanted, actor=caller.name)
    except Malformed:
        return _rules(request, manager, caller, Refusal(N_("The lists are too long.")), deny, allow)
    except Refusal as refused:
        return _rules(request, manager, caller, refused, deny, allow)
    return view.go(request, "/software/rules")


@router.get("/assets.csv")
def assets(request: Request, manager: Here, caller: Anyone) -> Response:
    """The asset register."""
    read, language = view.reader_of(request, caller), view.language_of(request, caller)
    words = [word.text for known in judged.STATES.values() for word in known.values()]
    spoken = {text: i18n.translate(language, text) for text in words}
    return _csv(manager, caller, "assets", lists.assets(manager, caller.log, read, language, spoken))


@router.get("/programs.csv")
def all_programs(request: Request, manager: Here, caller: Anyone) -> Response:
    """Every program of every PC."""
    read, language = view.reader_of(request, caller), view.language_of(request, caller)
    return _csv(manager, caller, "programs", lists.programs(manager, caller.log, read, language))


def _csv(manager: Manager, caller: Caller, name: str, lines: Iterable[str]) -> Response:
    with manager.database.write() as session:
        data = {"query": {"list": f"software {name}"}}
        audit.record(session, caller.log, "admin.export", caller.name, data)
    headers = {"Content-Disposition": f'attachment; filename="securepc-{name}.csv"'}
    return StreamingResponse(iter(lines), media_type="text/csv; charset=utf-8", headers=headers)


def _program(
    request: Request,
    manager: Manager,
    caller: Caller,
    source: str,
    name: str,
    refused: Refusal | None = None,
) -> Response:
    rows = manager.software.on_pcs(caller.log, source, name)
    if not rows:
        raise NotFound(N_("No PC has this program."))
    pcs, day = manager.software.pcs(caller.log), judged.today()
    found = []
    for row in rows:
        states = pcs[row.device].states if row.device in pcs else {}
        found.append((row, _support(row, judged.system(states, day))))
    orders = [
        (row, state)
        for row, state in manager.software.removals(caller.log)
        if row.source == source and row.name == name
    ]
    return view.page(
        request,
        "software/program.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        source=source,
        name=name,
        rows=found,
        publisher=rows[0].publisher,
        orders=orders,
        ordered={row.device for row, state in orders if state not in ("gone", "failed", "expired")},
        states=ruling.REMOVAL_STATES,
        words=judged.SUPPORT_STATES,
        names=manager.devices.names(caller.log),
    )


def _rules(
    request: Request,
    manager: Manager,
    caller: Caller,
    refused: Refusal | None = None,
    deny: str | None = None,
    allow: str | None = None,
) -> Response:
    rules = manager.software.rules(caller.log)
    return view.page(
        request,
        "software/rules.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        rules=rules,
        deny=ruling.text_of(rules.deny) if deny is None else deny,
        allow=ruling.text_of(rules.allow) if allow is None else allow,
    )


def _support(row: Any, system: support.Support) -> support.Support | None:
    one = Program(row.source, row.name, row.arch, row.version, row.publisher, row.title)
    return support.of_program(one, system, judged.today())


def _updates(data: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """What a PC said is pending: name, from, to, for security; as far as it is what it should be."""
    listed = data.get("updates")
    return [
        (one[0][:200], one[1][:120], one[2][:120], one[3] == 1)
        for one in (listed[:200] if isinstance(listed, list) else ())
        if isinstance(one, list) and len(one) == 4 and all(isinstance(part, str) for part in one[:3])
    ]


_REBOOT = {
    "required": N_("The system asks for it: %(what)s"),
    "kernel": N_("A newer kernel is installed: %(what)s"),
    "libraries": N_("Programs still use replaced libraries: %(what)s"),
}


def _reasons(data: dict[str, Any]) -> list[tuple[str, str]]:
    listed = data.get("reboot")
    return [
        (one[0], one[1][:300])
        for one in (listed[:10] if isinstance(listed, list) else ())
        if isinstance(one, list) and len(one) == 2 and one[0] in _REBOOT and isinstance(one[1], str)
    ]


_FACTS = {
    "maker": N_("Maker"),
    "model": N_("Model"),
    "serial": N_("Serial number"),
    "processor": N_("Processor"),
    "firmware": N_("Firmware"),
    "kernel": N_("Kernel"),
    "tpm": N_("TPM"),
    "secure_boot": N_("Secure boot"),
}


def _hardware(data: dict[str, Any]) -> list[tuple[str, str]]:
    machine = data.get("hardware")
    values = machine if isinstance(machine, dict) else {}
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    found = [(title, texts[name][:200]) for name, title in _FACTS.items() if name in texts]
    memory = values.get("memory")
    if type(memory) is int and 0 < memory < 2**50:
        found.append((N_("Memory"), f"{memory / 2**30:.1f} GiB"))
    disks = values.get("disks")
    for disk in disks[:10] if isinstance(disks, list) else ():
        if isinstance(disk, dict):
            size = disk.get("size")
            parts = [str(disk.get(part, ""))[:100] for part in ("name", "model", "serial")]
            parts.append(f"{size / 1e9:.0f} GB" if type(size) is int else "")
            found.append((N_("Disk"), " ".join(part for part in parts if part)))
    return found


def _find(manager: Manager, caller: Caller, device: str) -> Device:
    row = manager.devices.get(caller.log, bytes.fromhex(device)) if documents.handle(device) else None
    if row is None:
        raise NotFound(N_("There is no such PC."))
    return row


def _hours(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= MAX_HOURS:
        return int(text)
    raise Refusal(N_("Enter a whole number from 0 to %(most)d."), most=MAX_HOURS)
