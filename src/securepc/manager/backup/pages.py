"""Backups, for people: when, where, how much, what is wrong, and a button."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from securepc.manager.accounts.auth import Caller, Here, current_account, require_role
from securepc.manager.alerts import service as alerts
from securepc.manager.backup import shown
from securepc.manager.console import view
from securepc.manager.core import Manager
from securepc.manager.refusal import N_, Forbidden, Refusal

router = APIRouter(prefix="/backup", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Admin = Annotated[Caller, Depends(require_role("admin"))]


@router.get("")
def page(request: Request, manager: Here, caller: Anyone) -> Response:
    """The page. Where backups lie and why one failed is for the agency alone that runs the manager."""
    backups, language = manager.backups, view.language_of(request, caller)
    state = backups.state()
    runs_it = _runs_it(manager, caller.log)
    held = backups.held(caller.log)
    good = next((run for run in state.runs if run.kind == "test" and not run.error), None)
    return view.page(
        request,
        "backup/backup.html",
        caller,
        state=state,
        word=shown.word(state),
        remedies=list(shown.remedies(manager, state, language)) if runs_it else [],
        step=shown.step(state.doing),
        waits=state.doing is not None or "backup" in state.asked or "test" in state.asked,
        lines=shown.lines(state, language) if runs_it else [],
        good=good,
        runs_it=runs_it,
        may=runs_it and caller.may("admin") and state.configured and state.sealed,
        lies_at=backups.place if runs_it else "",
        settings=manager.config.backup,
        sheet=manager.keys.recovery.name if manager.keys.recovery else "",
        held=held,
        size=manager.log.size(caller.log),
        pcs=shown.pcs(manager, caller.log, held[0] if held else 0),
    )


@router.post("")
def order(request: Request, manager: Here, caller: Admin) -> Response:
    """Make a backup now, and test it."""
    state = manager.backups.state()
    if not _runs_it(manager, caller.log):
        raise Forbidden(N_("Backups are in the hands of the agency that runs this manager."))
    if not state.configured or not state.sealed:
        raise Refusal(N_("No backup can be made yet. The page says what is missing."))
    if not state.doing and not state.asked:
        manager.backups.order(caller.log, actor=caller.name)
    return view.go(request, "/backup")


def _runs_it(manager: Manager, log: bytes) -> bool:
    with manager.database.read() as session:
        return b"" in alerts.logs_shown(session, log)
