"""Who is asking: dependencies for the console's pages and the API.

    @router.get("/devices")
    def devices(caller: Annotated[Caller, Depends(current_account)]): …          a page, any role
    @router.post("/devices/tokens")
    def add(caller: Annotated[Caller, Depends(require_role("admin"))]): …        a page, admins and owners
    @router.get("/api/v1/entries")
    def entries(caller: Annotated[Caller, Depends(require_api)]): …              the API, any role
    @router.post("/api/v1/devices/tokens")
    def add(caller: Annotated[Caller, Depends(require_api_role("admin"))]): …

`caller.log` is the agency: a caller sees nothing of any other. A session's unsafe methods must carry its
CSRF token, as the form field `_csrf` or the header `X-CSRF-Token`; bearer tokens need none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

from fastapi import Depends, Request
from sqlalchemy import select

from securepc.manager import clock
from securepc.manager.accounts import secret, sessions
from securepc.manager.accounts.model import Account, Role, covers
from securepc.manager.accounts.tokens import Tokens
from securepc.manager.core import Manager, manager_of
from securepc.manager.devices.model import Agency
from securepc.manager.errors import ApiError
from securepc.manager.refusal import N_, Forbidden

COOKIE = "securepc_session"
AGENCY_HEADER = "SecurePC-Agency"
BACKGROUND_HEADER = "SecurePC-Background"
"""Sent by pages that refresh themselves. It is not use: an open tab would never be signed out."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class Caller(NamedTuple):
    """Who asks. `name` is for the audit; `account` and `session` are of people, None for programs."""

    log: bytes
    name: str
    role: str
    account: Account | None = None
    session: bytes | None = None
    csrf: str = ""

    def may(self, role: Role) -> bool:
        """Whether the caller may do what needs this role."""
        return covers(self.role, role)


class SignInNeeded(Exception):
    """Nobody is signed in: pages answer with the sign-in form."""


class Untrusted(Forbidden):
    """A form that this session did not make."""

    def __init__(self) -> None:
        super().__init__(N_("This form has expired. Go back, reload the page and try again."))


async def sent_csrf(request: Request) -> str:
    """The CSRF token that came with an unsafe request."""
    if request.method in _SAFE:
        return ""
    header = request.headers.get("X-CSRF-Token")
    if header is None and request.headers.get("Content-Type", "").split(";")[0].strip().lower() in _FORMS:
        field = (await request.form(max_files=0)).get("_csrf")
        header = field if isinstance(field, str) else None
    return header or ""


SentCsrf = Annotated[str, Depends(sent_csrf)]
Here = Annotated[Manager, Depends(manager_of)]


def signed_in(request: Request, manager: Here) -> Caller | None:
    """The person whose browser asks, or None; for pages that both may see. Does not check CSRF."""
    cookie = request.cookies.get(COOKIE)
    if not cookie or len(cookie) > secret.MAX_TEXT:
        return None
    now = clock.now()
    with manager.database.read() as session:
        found = sessions.find(session, cookie, now)
    if found is None:
        return None
    account, row = found
    if sessions.worn(row, now) and BACKGROUND_HEADER not in request.headers:
        with manager.database.write() as session:
            sessions.touch(session, row.hash, now)
    return Caller(account.log, account.login, account.role, account, row.hash, secret.csrf(cookie))


MaybeSignedIn = Annotated[Caller | None, Depends(signed_in)]


def current_account(request: Request, manager: Here, caller: MaybeSignedIn, sent: SentCsrf) -> Caller:
    """The signed-in person, whatever the role.

    Raises:
        SignInNeeded: nobody is.
        Untrusted: an unsafe method without the session's CSRF token, or sent by another site.
        Forbidden: the agency has moved to another manager.
    """
    caller = own_session(request, caller, sent)
    gone = manager.moves.of(caller.log)
    if gone is not None:
        raise Forbidden(N_("This agency has left for %(address)s. Sign in there."), address=gone.address)
    return caller


def own_session(request: Request, caller: Caller | None, sent: str) -> Caller:
    """The signed-in person, wherever their agency is.

    Raises:
        SignInNeeded, Untrusted: as `current_account`.
    """
    if caller is None:
        raise SignInNeeded
    if not _own(request, caller, sent):
        raise Untrusted
    return caller


def require_role(role: Role) -> Callable[..., Caller]:
    """A dependency: the signed-in person, who must have at least this role.

    Raises:
        Forbidden: they have less.
    """

    def dependency(caller: Annotated[Caller, Depends(current_account)]) -> Caller:
        if not caller.may(role):
            raise Forbidden(N_("Your role does not allow this."))
        return caller

    return dependency


def require_api(request: Request, manager: Here, caller: MaybeSignedIn, sent: SentCsrf) -> Caller:
    """A program with a bearer token, or a signed-in person; any role.

    Raises:
        ApiError: 401 `sign-in`, 403 `csrf`, 409 `moved`; for the local token 400 `agency`.
    """
    header = request.headers.get("Authorization")
    if header is not None:
        bearer = _bearer(request, manager, header)
        if bearer is None:
            raise _not_known()
        _at_home(manager, bearer)
        return bearer
    if caller is None:
        raise _not_known()
    if not _own(request, caller, sent):
        raise ApiError(
            403,
            "csrf",
            "この要求には CSRF トークンが必要です。",
            "This request needs the session's CSRF token.",
        )
    _at_home(manager, caller)
    return caller


def require_api_role(role: Role) -> Callable[..., Caller]:
    """A dependency: as `require_api`, with at least this role; 403 `role` otherwise."""

    def dependency(caller: Annotated[Caller, Depends(require_api)]) -> Caller:
        if not caller.may(role):
            raise ApiError(403, "role", "この操作を行う権限がありません。", "This role does not allow that.")
        return caller

    return dependency


def _own(request: Request, caller: Caller, sent: str) -> bool:
    if request.method in _SAFE:
        return True
    other_site = request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
    return not other_site and secret.same(sent, caller.csrf)


def _bearer(request: Request, manager: Manager, header: str) -> Caller | None:
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "bearer" or len(text) > secret.MAX_TEXT:
        return None
    if secret.same(text, manager.local_token):
        return Caller(_agency_of_local(request, manager), "cli", "owner")
    token = Tokens(manager.database).find(text)
    return Caller(token.log, f"token:{token.name}", token.role) if token else None


def _agency_of_local(request: Request, manager: Manager) -> bytes:
    """The command line of this machine serves all agencies: it names one where there are several."""
    named = request.headers.get(AGENCY_HEADER, "").lower()
    with manager.database.read() as session:
        logs = list(session.scalars(select(Agency.log).order_by(Agency.created_at)))
    if not named and len(logs) == 1:
        return logs[0]
    for log in logs:
        if log.hex() == named:
            return log
    raise ApiError(
        400,
        "agency",
        f"代理店を {AGENCY_HEADER} ヘッダーで指定してください。",
        f"Name the agency in the header {AGENCY_HEADER}.",
        agencies=[log.hex() for log in logs],
    )


def _at_home(manager: Manager, caller: Caller) -> None:
    gone = manager.moves.of(caller.log)
    if gone is not None:
        raise ApiError(
            409,
            "moved",
            f"この代理店は {gone.address} へ移りました。",
            f"This agency has left for {gone.address}.",
            address=gone.address,
        )


def _not_known() -> ApiError:
    return ApiError(401, "sign-in", "サインインまたはトークンが必要です。", "Sign in, or send a token.")
