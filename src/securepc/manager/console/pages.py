"""Pages of the console that belong to no context: the home page, the language."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response

from securepc.manager.accounts import secret
from securepc.manager.accounts.auth import (
    Caller,
    Here,
    MaybeSignedIn,
    SentCsrf,
    Untrusted,
    current_account,
    own_session,
)
from securepc.manager.accounts.service import Accounts
from securepc.manager.console import home, i18n, view
from securepc.manager.core import manager_of
from securepc.manager.refusal import N_, Refusal

router = APIRouter(include_in_schema=False)

_YEAR = 365 * 24 * 3600


def own_form(request: Request, caller: MaybeSignedIn, sent: SentCsrf) -> None:
    """A form that we made for this browser, signed in or not.

    Raises:
        Untrusted: it came from elsewhere.
    """
    if caller is not None:
        own_session(request, caller, sent)
        return
    form = request.cookies.get(view.FORM_COOKIE, "")
    other_site = request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
    if not form or other_site or not secret.same(sent, secret.csrf(form)):
        raise Untrusted


@router.get("/")
def glance(request: Request, manager: Here, caller: Annotated[Caller, Depends(current_account)]) -> Response:
    """The agency at a glance."""
    return home.page(request, manager, caller)


@router.post("/language", dependencies=[Depends(own_form)])
def language(
    request: Request,
    caller: MaybeSignedIn,
    language: Annotated[str, Form(max_length=8)],
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Choose the language of all pages."""
    if language not in i18n.LANGUAGES:
        raise Refusal(N_("Choose a language."))
    if caller is not None and caller.account is not None:
        Accounts(manager_of(request).database).prefer(caller.account.id, language=language)
    # The sign-in pages switch too, so `safe_next`, which leads away from them, is too strict here.
    here = (
        next if next.startswith("/sign-in") and view.safe_next("/x" + next) != "/" else view.safe_next(next)
    )
    answer = view.go(request, here)
    view.cookie(request, answer, view.LANGUAGE_COOKIE, language, max_age=_YEAR)
    return answer
