"""What PCs tell of their shutters becomes requests, take-outs and media. A PC's word is hostile: bounded, and
believed only about itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.approvals.model import IssuedCode, SeenMedium, ShutterRequest, Takeout, TakeoutFile
from securepc.manager.devices.model import Device
from securepc.manager.happenings.service import Happening
from securepc.wire import media
from securepc.wire.orders import Medium

ASKED, OPEN_MEDIUM, TEST_FAILED = "shutter-request", "shutter-open", "shutter-test"
KINDS = ("usb", "sd", "phone", "optical")
MOST_FILES = 5_000
"""Files that are listed of one take-out; the others are on the ledger and counted."""
MOST_WAITING = 50
MOST_MEDIA = 2_000
RETURN_WITHIN = 7 * clock.DAY
"""By when a medium is to be back where the approval does not say."""
_CODE_GOOD = 2 * clock.DAY


def requested(session: Session, happening: Happening) -> None:
    """`shutter.request`: to be decided."""
    data = happening.event.data
    minutes, access = data.get("minutes"), data.get("access")
    kind = _kind(data)
    waiting = select(func.count()).where(
        ShutterRequest.device == happening.device, ShutterRequest.state == "waiting"
    )
    if not kind or access not in ("read", "write") or type(minutes) is not int or not 0 < minutes <= 10_080:
        return
    if (session.scalar(waiting) or 0) >= MOST_WAITING:
        return
    session.add(
        ShutterRequest(
            log=happening.log,
            device=happening.device,
            entry=happening.id,
            name=_text(data, "request", 40),
            asked_at=happening.block_time,
            boot=_boot(happening.event.boot),
            requester=_text(data, "requester", 100),
            purpose=_text(data, "purpose", 500),
            kind=kind,
            medium=_text(data, "name"),
            vendor=_text(data, "vendor"),
            product=_text(data, "product"),
            serial=_text(data, "serial"),
            minutes=minutes,
            access=access,
            state="waiting",
        )
    )
    told = {"name": _name(session, happening.device), "requester": _text(data, "requester", 100)}
    alerts.raise_alert(session, happening.log, ASKED, happening.device, told)


def denied(session: Session, happening: Happening) -> None:
    """`media.denied`: a medium that can be registered; an alert where it was not closed."""
    data = happening.event.data
    kind = _kind(data)
    if happening.event.result != "blocked":
        told = {"name": _name(session, happening.device), "medium": _text(data, "name")}
        alerts.raise_alert(session, happening.log, OPEN_MEDIUM, happening.device, told)
    if not kind:
        return
    medium = Medium(kind, _text(data, "vendor"), _text(data, "product"), _text(data, "serial"))
    tag = media.tag(medium)
    row = session.scalar(
        select(SeenMedium).where(
            SeenMedium.log == happening.log,
            SeenMedium.tag == tag,
            SeenMedium.kind == kind,
            SeenMedium.vendor == medium.vendor,
            SeenMedium.product == medium.product,
            SeenMedium.serial == medium.serial,
        )
    )
    if row is None:
        _make_room(session, happening.log)
        row = SeenMedium(log=happening.log, tag=tag, name="", device=b"", seen_at=0, **medium._asdict())
        session.add(row)
    row.name, row.device, row.seen_at = _text(data, "name"), happening.device, happening.block_time


def opened(session: Session, happening: Happening) -> None:
    """`shutter.open`: a line of the ledger of take-outs, where the PC saw it open."""
    data = happening.event.data
    number = _text(data, "grant", 40)
    if happening.event.result != "ok" or not number or _takeout(session, happening) is not None:
        return
    request = session.scalar(
        select(ShutterRequest).where(
            ShutterRequest.device == happening.device,
            ShutterRequest.grant == (int(number) if number.isascii() and number.isdigit() else -1),
        )
    )
    access = "write" if data.get("write") == "yes" else "read"
    until = data.get("until")
    due = request.due_at if request else None
    if access == "write" and due is None:
        due = happening.block_time + RETURN_WITHIN
    medium = Medium(
        _kind(data) or "usb", _text(data, "vendor"), _text(data, "product"), _text(data, "serial")
    )
    session.add(
        Takeout(
            log=happening.log,
            device=happening.device,
            number=number,
            requester=_text(data, "requester", 100),
            approver=_approver(session, happening, data, medium, access),
            purpose=_text(data, "purpose", 500),
            access=access,
            kind=medium.kind,
            medium=_text(data, "medium"),
            vendor=medium.vendor,
            product=medium.product,
            serial=medium.serial,
            opened_at=happening.block_time,
            until=until if type(until) is int and 0 < until < 2**53 else None,
            reads=0,
            writes=0,
            deletes=0,
            size=0,
            due_at=due if access == "write" else None,
            entry=happening.id,
        )
    )


def touched(session: Session, happening: Happening) -> None:
    """`media.read`, `.write`, `.delete`, `.rename`: a file of a take-out."""
    row = _takeout(session, happening)
    if row is None:
        return
    data = happening.event.data
    act = happening.event.kind.partition(".")[2]
    size = data.get("size")
    size = size if type(size) is int and 0 <= size < 2**53 else None
    row.reads += act == "read"
    row.writes += act == "write"
    row.deletes += act == "delete"
    row.size += (size or 0) if act == "write" else 0
    if row.reads + row.writes + row.deletes > MOST_FILES:
        return
    session.add(
        TakeoutFile(
            takeout=row.id,
            act=act,
            path=_text(data, "from" if act == "rename" else "path", 4_096),
            to=_text(data, "to", 4_096),
            size=size,
            sha256=_text(data, "sha256", 64),
            at=happening.event.at,
            user=happening.event.user[:100],
            entry=happening.id,
        )
    )


def closed(session: Session, happening: Happening) -> None:
    """`shutter.close`: with what the PC read back."""
    row = _takeout(session, happening)
    if row is None:
        return
    row.closed_at = happening.block_time
    row.closed_why = _text(happening.event.data, "reason", 40)
    row.closed_seen = happening.event.result == "ok"
    if not row.closed_seen:
        told = {"name": _name(session, happening.device), "medium": row.medium}
        alerts.raise_alert(session, happening.log, OPEN_MEDIUM, happening.device, told)


def tested(session: Session, happening: Happening) -> None:
    """`shutter.test`: an alert where something could be reached."""
    if happening.event.result == "ok":
        alerts.close(session, happening.log, TEST_FAILED, happening.device)
        return
    told = {
        "name": _name(session, happening.device),
        "medium": _text(happening.event.data, "medium"),
    }
    alerts.raise_alert(session, happening.log, TEST_FAILED, happening.device, told)


def _takeout(session: Session, happening: Happening) -> Takeout | None:
    number = _text(happening.event.data, "grant", 40)
    query = select(Takeout).where(Takeout.device == happening.device, Takeout.number == number)
    return session.scalar(query) if number else None


def _approver(
    session: Session, happening: Happening, data: dict[str, Any], medium: Medium, access: str
) -> str:
    """For a code that was read out: who issued the last one that fits."""
    if not _text(data, "grant", 40).startswith("code-"):
        return _text(data, "approver", 100)
    found = session.scalar(
        select(IssuedCode)
        .where(
            IssuedCode.device == happening.device,
            IssuedCode.tag == media.tag(medium),
            IssuedCode.access == access,
            IssuedCode.issued_at > happening.block_time - _CODE_GOOD,
        )
        .order_by(IssuedCode.issued_at.desc())
        .limit(1)
    )
    return found.issued_by if found else ""


def _make_room(session: Session, log: bytes) -> None:
    """Whoever plugs in thousands of made-up sticks pushes out only the oldest."""
    oldest = (
        select(SeenMedium.id)
        .where(SeenMedium.log == log)
        .order_by(SeenMedium.seen_at.desc())
        .offset(MOST_MEDIA - 1)
    )
    session.execute(delete(SeenMedium).where(SeenMedium.id.in_(list(session.scalars(oldest)))))


def _name(session: Session, device: bytes) -> str:
    row = session.get(Device, device)
    return row.name if row else ""


def _kind(data: dict[str, Any]) -> str:
    kind = _text(data, "class").partition(" ")[0]
    return kind if kind in KINDS else ""


def _text(data: dict[str, Any], name: str, limit: int = 200) -> str:
    value = data.get(name)
    return value[:limit] if isinstance(value, str) else ""


def _boot(text: str) -> bytes:
    try:
        boot = bytes.fromhex(text)
    except ValueError:
        return bytes(16)
    return boot if len(boot) == 16 else bytes(16)
