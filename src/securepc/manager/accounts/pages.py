"""Signing in and out; the people of an agency and their tokens; one's own account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypedDict
from zoneinfo import available_timezones

from fastapi import APIRouter, Depends, Form, Request, Response

from securepc.manager import clock
from securepc.manager.accounts import browser, sessions
from securepc.manager.accounts.auth import (
    COOKIE,
    Caller,
    Here,
    MaybeSignedIn,
    current_account,
    require_role,
)
from securepc.manager.accounts.limits import TooMany
from securepc.manager.accounts.model import ROLES, Account
from securepc.manager.accounts.service import Accounts
from securepc.manager.accounts.sessions import Entered
from securepc.manager.accounts.sign_in import LinkUsed, SignIn
from securepc.manager.accounts.tokens import Tokens
from securepc.manager.console import view
from securepc.manager.console.pages import own_form
from securepc.manager.console.times import ZONES
from securepc.manager.core import Manager
from securepc.manager.refusal import N_, NotFound, Refusal

router = APIRouter(include_in_schema=False)

Anyone = Annotated[Caller, Depends(current_account)]
Owner = Annotated[Caller, Depends(require_role("owner"))]
Text = Annotated[str, Form(max_length=1000)]


# -- in and out


@router.get("/sign-in")
def sign_in_form(request: Request, caller: MaybeSignedIn, next: str = "/") -> Response:
    """The form; who is signed in already is sent on."""
    if caller is not None:
        return view.go(request, view.safe_next(next))
    return view.page(request, "accounts/sign_in.html", next=view.safe_next(next), login="")


@router.post("/sign-in", dependencies=[Depends(own_form)])
def sign_in(request: Request, manager: Here, login: Text, password: Text, next: Text = "/") -> Response:
    """Sign in by password."""
    try:
        entered = SignIn(manager.database).by_password(login, password, **_whence(request))
    except Refusal as refused:
        answer = view.page(
            request,
            "accounts/sign_in.html",
            status=refused.status,
            refused=refused,
            next=view.safe_next(next),
            login=login[:200],
        )
        if isinstance(refused, TooMany):
            answer.headers["Retry-After"] = str(refused.retry_after)
        return answer
    return _enter(request, entered, view.safe_next(next))


@router.get("/sign-in/link/{link}")
def link_form(request: Request, manager: Here, link: str) -> Response:
    """What the link will do. Only the form's button uses it up: programs that preview links press none."""
    return view.page(request, "accounts/link.html", waiting=SignIn(manager.database).waiting(link))


@router.post("/sign-in/link/{link}", dependencies=[Depends(own_form)])
def use_link(request: Request, manager: Here, link: str, password: Text = "", again: Text = "") -> Response:
    """Sign in by a one-time link, setting a password where it asks for one."""
    ways_in = SignIn(manager.database)
    waiting = ways_in.waiting(link)
    try:
        if waiting.sets_password and password != again:
            raise Refusal(N_("The two passwords are not the same."))
        entered = ways_in.by_link(link, password or None, **_whence(request))
    except LinkUsed:
        raise
    except Refusal as refused:
        return view.page(
            request, "accounts/link.html", status=refused.status, refused=refused, waiting=waiting
        )
    return _enter(request, entered, "/")


@router.post("/sign-out")
def sign_out(request: Request, manager: Here, caller: Anyone) -> Response:
    """Sign this browser out."""
    assert caller.account and caller.session
    Accounts(manager.database).sign_out(caller.session, caller.account)
    return _left(request)


@router.post("/sign-out-everywhere")
def sign_out_everywhere(request: Request, manager: Here, caller: Anyone) -> Response:
    """Sign all of one's browsers out."""
    assert caller.account
    Accounts(manager.database).sign_out_everywhere(caller.account)
    return _left(request)


# -- one's own account


@router.get("/me")
def me(request: Request, manager: Here, caller: Anyone, done: str = "") -> Response:
    """One's own account."""
    return _me(request, manager, caller, done=done)


@router.post("/me")
def change_me(request: Request, manager: Here, caller: Anyone, zone: Text) -> Response:
    """Change one's time zone."""
    assert caller.account
    try:
        Accounts(manager.database).prefer(caller.account.id, zone=zone)
    except Refusal as refused:
        return _me(request, manager, caller, refused=refused)
    return view.go(request, "/me?done=zone")


@router.post("/me/password")
def change_password(
    request: Request, manager: Here, caller: Anyone, old: Text, new: Text, again: Text
) -> Response:
    """Change one's password."""
    assert caller.account and caller.session
    try:
        if new != again:
            raise Refusal(N_("The two passwords are not the same."))
        SignIn(manager.database).change_password(
            caller.account.id, old, new, keep=caller.session, address=_whence(request)["address"]
        )
    except Refusal as refused:
        return _me(request, manager, caller, refused=refused)
    return view.go(request, "/me?done=password")


# -- the people of the agency


@router.get("/accounts")
def accounts(request: Request, manager: Here, caller: Anyone) -> Response:
    """Everybody who may sign in, and every token."""
    return _accounts(request, manager, caller)


@router.post("/accounts")
def add(request: Request, manager: Here, caller: Owner, login: Text, person: Text, role: Text) -> Response:
    """Add a person, and show their first sign-in link."""
    try:
        account = Accounts(manager.database).create(caller.log, login, person, role, actor=caller.name)
        link = SignIn(manager.database).link(caller.log, account.id, actor=caller.name)
    except Refusal as refused:
        return _accounts(request, manager, caller, refused=refused)
    return _accounts(request, manager, caller, new_link=_address(request, link.path), whose=account)


@router.post("/accounts/{account}/link")
def new_link(request: Request, manager: Here, caller: Owner, account: int) -> Response:
    """A new sign-in link, which also sets a new password."""
    whose = Accounts(manager.database).get(caller.log, account)
    link = SignIn(manager.database).link(caller.log, account, actor=caller.name, reset=True)
    return _accounts(request, manager, caller, new_link=_address(request, link.path), whose=whose)


@router.post("/accounts/{account}/role")
def change_role(request: Request, manager: Here, caller: Owner, account: int, role: Text) -> Response:
    """Give a person another role."""
    return _done(
        request,
        manager,
        caller,
        lambda people: people.change_role(caller.log, account, role, actor=caller.name),
    )


@router.post("/accounts/{account}/disable")
def disable(request: Request, manager: Here, caller: Owner, account: int) -> Response:
    """Let a person in no more."""
    return _done(
        request, manager, caller, lambda people: people.disable(caller.log, account, actor=caller.name)
    )


@router.post("/accounts/{account}/enable")
def enable(request: Request, manager: Here, caller: Owner, account: int) -> Response:
    """Let a person in again."""
    return _done(
        request, manager, caller, lambda people: people.enable(caller.log, account, actor=caller.name)
    )


@router.post("/accounts/tokens")
def make_token(
    request: Request, manager: Here, caller: Owner, name: Text, role: Text, days: Text = ""
) -> Response:
    """Make an API token, and show it this once."""
    try:
        if days and not (days.isascii() and days.isdigit() and len(days) < 6):
            raise Refusal(N_("Choose a number of days."))
        token = Tokens(manager.database).make(
            caller.log,
            name,
            role,
            days=int(days) if days else None,
            actor=caller.name,
            actor_role=caller.role,
        )
    except Refusal as refused:
        return _accounts(request, manager, caller, refused=refused)
    return _accounts(request, manager, caller, new_token=token)


@router.post("/accounts/tokens/{token}/revoke")
def revoke_token(request: Request, manager: Here, caller: Owner, token: int) -> Response:
    """End an API token."""
    Tokens(manager.database).revoke(caller.log, token, actor=caller.name)
    return view.go(request, "/accounts")


# -- steps


class _Whence(TypedDict):
    address: str
    browser: str


def _whence(request: Request) -> _Whence:
    address = request.client.host if request.client else ""
    return {"address": address, "browser": request.headers.get("User-Agent", "")[:200]}


def _enter(request: Request, entered: Entered, path: str) -> Response:
    answer = view.go(request, path)
    view.cookie(request, answer, COOKIE, entered.secret, max_age=sessions.LONGEST // clock.SECOND)
    return answer


def _left(request: Request) -> Response:
    answer = view.go(request, "/sign-in")
    answer.delete_cookie(COOKIE, path="/")
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


def _address(request: Request, path: str) -> str:
    """A link's whole address, as the console is reached now."""
    return f"{request.url.scheme}://{request.url.netloc}{path}"


def _me(
    request: Request, manager: Manager, caller: Caller, *, refused: Refusal | None = None, done: str = ""
) -> Response:
    assert caller.account
    return view.page(
        request,
        "accounts/me.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        done=done,
        browser=browser.name,
        sessions=Accounts(manager.database).sessions(caller.account.id),
        zones=sorted({*ZONES, caller.account.zone}, key=lambda zone: (zone not in ZONES, zone)),
        all_zones=sorted(available_timezones()),
    )


def _accounts(
    request: Request,
    manager: Manager,
    caller: Caller,
    *,
    refused: Refusal | None = None,
    new_link: str = "",
    whose: Account | None = None,
    new_token: str = "",
) -> Response:
    return view.page(
        request,
        "accounts/accounts.html",
        caller,
        status=refused.status if refused else 200,
        refused=refused,
        new_link=new_link,
        whose=whose,
        new_token=new_token,
        accounts=Accounts(manager.database).all(caller.log),
        tokens=Tokens(manager.database).all(caller.log),
        roles=ROLES[::-1],
        now=clock.now(),
    )


def _done(request: Request, manager: Manager, caller: Caller, act: Callable[[Accounts], None]) -> Response:
    try:
        act(Accounts(manager.database))
    except NotFound:
        raise
    except Refusal as refused:
        return _accounts(request, manager, caller, refused=refused)
    return view.go(request, "/accounts")
