"""What an administrator should look at, and what was refused."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import select

from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.alerts import service, texts
from securepc.manager.alerts.model import Alert
from securepc.manager.audit import service as audit
from securepc.manager.backup import shown
from securepc.manager.console import i18n, view
from securepc.manager.health.disk import is_encrypted
from securepc.manager.refusal import N_, Forbidden, NotFound

router = APIRouter(prefix="/alerts", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]
_CLOSED = 50
_PROBLEMS = {
    "disk-full": N_("The disk is full"),
    "older-state": N_("An older state was started: nothing is taken"),
    "restored": N_("Restored: waiting for PCs and witnesses"),
    "backup-late": N_("No backup for too long"),
}
"""Those of `health.problems` that have words; the others are for a technician."""


@router.get("")
def alerts(request: Request, manager: Here, caller: Anyone) -> Response:
    """What is open, and the last that were closed."""
    with manager.database.read() as session:
        opened = service.open_alerts(session, caller.log)
        closed = list(
            session.scalars(
                select(Alert)
                .where(Alert.log.in_(service.logs_shown(session, caller.log)), Alert.closed_at.is_not(None))
                .order_by(Alert.closed_at.desc())
                .limit(_CLOSED)
            )
        )
    language, found = view.language_of(request, caller), manager.health.problems()
    return view.page(
        request,
        "alerts/alerts.html",
        caller,
        alerts=[row for row in opened if row.level == "alert"],
        notices=[row for row in opened if row.level != "alert"],
        closed=closed,
        names=manager.devices.names(caller.log),
        sentence=lambda row: texts.sentence(row.code, row.data)[0 if language == "ja" else 1],
        problems=[i18n.translate(language, _PROBLEMS[one]) if one in _PROBLEMS else one for one in found],
        encrypted=is_encrypted(manager.home.root),
        backup=shown.word(manager.backups.state()),
        stamping=manager.stamps.is_configured,
        stamp=next(iter(manager.stamps.newest(caller.log)), None),
        stamp_attempt=manager.stamps.attempt(caller.log),
    )


@router.post("/{alert}/close")
def close(request: Request, manager: Here, caller: Admin, alert: int) -> Response:
    """Somebody has seen to it. It opens again when it happens again."""
    with manager.database.write() as session:
        row = session.get(Alert, alert)
        if row is None or row.log not in service.logs_shown(session, caller.log):
            raise NotFound(N_("There is no such alert."))
        if row.log == b"" and not caller.may("owner"):
            raise Forbidden(N_("Your role does not allow this."))
        if row.closed_at is None:
            service.close(session, row.log, row.code, row.device, by=caller.name)
            data = {"name": f"alert {row.code}", "previous": "open", "state": "closed"}
            audit.record(session, caller.log, "admin.setting", caller.name, data)
    return view.go(request, "/alerts")
