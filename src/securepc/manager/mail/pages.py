"""Mail: whether it works, who gets it, what was sent; each person sets where their own goes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from sqlalchemy import select

from securepc.manager import clock
from securepc.manager.accounts.auth import Caller, Here, current_account
from securepc.manager.audit import service as audit
from securepc.manager.console import view
from securepc.manager.core import Manager
from securepc.manager.mail.model import Recipient
from securepc.manager.mail.service import ADDRESS
from securepc.manager.refusal import N_, Refusal

router = APIRouter(prefix="/mail", include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Text = Annotated[str, Form(max_length=500)]
STATES = {
    "waiting": (N_("Waiting"), "warn"),
    "handed": (N_("Being sent"), "blue"),
    "sent": (N_("Sent"), "good"),
    "failed": (N_("Given up"), "bad"),
}


@router.get("")
def mail(request: Request, manager: Here, caller: Anyone, done: str = "") -> Response:
    """The page."""
    return _page(request, manager, caller, done=done)


@router.post("/me")
def mine(request: Request, manager: Here, caller: Anyone, address: Text = "") -> Response:
    """Where one's own mail goes; empty: nowhere."""
    assert caller.account
    address = address.strip()
    if address and (not ADDRESS.fullmatch(address) or ".." in address):
        refused = Refusal(N_("Enter an e-mail address such as hanako@example.com."))
        return _page(request, manager, caller, refused=refused)
    with manager.database.write() as session:
        row = session.scalar(select(Recipient).where(Recipient.account_id == caller.account.id))
        before = row.address if row else ""
        if address == before:
            return view.go(request, "/mail")
        if not address and row is not None:
            session.delete(row)
        elif row is None:
            session.add(
                Recipient(account_id=caller.account.id, log=caller.log, address=address, since=clock.now())
            )
        else:
            row.address, row.since = address, clock.now()
        data = {"name": f"mail to {caller.account.login}", "previous": before, "state": address}
        audit.record(session, caller.log, "admin.setting", caller.name, data)
    return view.go(request, "/mail?done=saved")


@router.post("/test")
def test(request: Request, manager: Here, caller: Anyone) -> Response:
    """Send a test mail to oneself."""
    assert caller.account
    try:
        if not manager.mail.is_configured:
            raise Refusal(N_("No mail server is set up yet."))
        with manager.database.write() as session:
            if not manager.mail.test(session, caller.account):
                raise Refusal(N_("Enter your e-mail address first."))
            data = {"name": "test mail", "previous": "", "state": "sent"}
            audit.record(session, caller.log, "admin.setting", caller.name, data)
    except Refusal as refused:
        return _page(request, manager, caller, refused=refused)
    return view.go(request, "/mail?done=test")


def _page(
    request: Request, manager: Manager, caller: Caller, *, refused: Refusal | None = None, done: str = ""
) -> Response:
    people = manager.mail.recipients(caller.log)
    own = next((row.address for account, row in people if account.id == getattr(caller.account, "id", 0)), "")
    return view.page(
        request,
        "mail/mail.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        done=done,
        server=manager.mail.server,
        trouble=manager.mail.trouble(caller.log),
        people=people,
        own=own,
        letters=manager.mail.latest(caller.log),
        states=STATES,
        names=manager.devices.names(caller.log),
    )
