"""Make a page: a template, the viewer's language and zone, and the frame around it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from sqlalchemy import func, select

from securepc import __version__
from securepc.manager.accounts import secret
from securepc.manager.accounts.auth import Caller
from securepc.manager.alerts import service as alerts
from securepc.manager.alerts.model import Alert
from securepc.manager.console import i18n
from securepc.manager.console.times import DEFAULT_ZONE, Reader
from securepc.manager.core import manager_of
from securepc.manager.devices.model import Agency
from securepc.manager.refusal import N_, Refusal
from securepc.wire import kinds

_UNSEEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
"""What reorders or hides text: 請求書\\u202efdp.exe must not be read as 請求書exe.pdf. Shown as \\u{202e}."""
LANGUAGE_COOKIE = "securepc_language"
FORM_COOKIE = "securepc_form"
ROLE_NAMES = {"owner": N_("Owner"), "admin": N_("Administrator"), "auditor": N_("Auditor (read only)")}


class Frame(NamedTuple):
    """What stands around every page of a signed-in person."""

    agency: str
    alerts: int


@cache
def environment() -> Environment:
    """The templates. Everything is escaped, and a name that is missing is an error."""
    made = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],  # `_` calls the `gettext` that `page` brings
    )
    made.globals.update(static=static, query=query, version=__version__, languages=i18n.LANGUAGES)
    return made


@cache
def static(name: str) -> str:
    """The address of a static file; it changes with the file, so that browsers may keep it for ever."""
    data = resources.files(__package__).joinpath("static", *name.split("/")).read_bytes()
    return f"/static/{name}?{hashlib.sha256(data).hexdigest()[:12]}"


def query(path: str, **values: Any) -> str:
    """A path with a query; what is empty is left out."""
    given = {name: value for name, value in values.items() if value not in (None, "", [])}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def language_of(request: Request, caller: Caller | None) -> str:
    """The language that the account or this browser chose; else the one the browser asks for, or Japanese."""
    if caller is not None and caller.account is not None and caller.account.language in i18n.LANGUAGES:
        return caller.account.language
    cookie = request.cookies.get(LANGUAGE_COOKIE, "")
    return cookie if cookie in i18n.LANGUAGES else i18n.choose(request.headers.get("Accept-Language", ""))


def reader_of(request: Request, caller: Caller | None) -> Reader:
    """How this viewer reads times and numbers."""
    zone = caller.account.zone if caller and caller.account else DEFAULT_ZONE
    return Reader(language_of(request, caller), zone)


def page(
    request: Request, template: str, caller: Caller | None = None, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Render a template for a viewer.

    In it are `_`, `ngettext`, `read` (a `times.Reader`), `caller`, `csrf`, `frame` (None before sign-in),
    `kind_title`, `field_title`, `family_title`, `refused` (None, or a `Refusal` to show above the form).
    """
    read = reader_of(request, caller)
    catalogue = i18n.catalogue(read.language)
    kept = request.cookies.get(FORM_COOKIE, "")
    form = "" if caller else kept or secret.new()
    context: dict[str, Any] = {
        "request": request,
        "caller": caller,
        "csrf": caller.csrf if caller else secret.csrf(form),
        "frame": _frame(request, caller) if caller else None,
        "language": read.language,
        "read": read,
        "refused": None,
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "gettext": _speak(catalogue.ugettext),
        "ngettext": _speak(catalogue.ungettext),
        "said": lambda refusal: said(read.language, refusal),
        "role_name": lambda role: catalogue.ugettext(ROLE_NAMES.get(role) or role),
        "kind_title": lambda name: kinds.title(name, read.language),
        "field_title": lambda name: kinds.field_title(name, read.language),
        "family_title": lambda name: kinds.family_title(name, read.language),
        **values,
    }
    html = environment().get_template(template).render(context)
    html = _UNSEEN.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", html)
    response = HTMLResponse(
        html, status, {"Content-Language": read.language, "Vary": "Cookie, Accept-Language"}
    )
    if form and form != kept:
        cookie(request, response, FORM_COOKIE, form, max_age=None)
    return response


def _speak(translate: Callable[..., str]) -> Callable[..., Markup]:
    """gettext for templates: the sentence is escaped, since a device may have sent it, and so are the
    values that fill its places, unless they are markup of ours (`read.stamp`)."""

    def speak(*message: Any, **values: Any) -> Markup:
        text = escape(translate(*message))
        return text % values if values else text

    return speak


def said(language: str, refusal: Refusal) -> str:
    """A refusal's sentence in a language."""
    return i18n.translate(language, refusal.message, refusal.values)


def cookie(request: Request, response: Response, name: str, value: str, *, max_age: int | None) -> None:
    """Set a cookie as strictly as the connection allows."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )


def go(request: Request, path: str) -> Response:
    """Send the browser to another page of ours after a form."""
    if request.headers.get("HX-Request"):
        return Response(status_code=204, headers={"HX-Redirect": path})
    return RedirectResponse(path, 303)


def safe_next(path: str | None) -> str:
    """Where to go after signing in: a path of ours, never another site."""
    if not path or not path.startswith("/") or path.startswith(("//", "/\\", "/sign-")) or len(path) > 2000:
        return "/"
    return path if path.isprintable() and "\\" not in path else "/"


def sign_in_path(request: Request) -> str:
    """The sign-in form, which comes back to the page that was asked for."""
    if request.method != "GET" or request.url.path == "/":
        return "/sign-in"
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/sign-in?next={quote(here, safe='')}"


def _frame(request: Request, caller: Caller) -> Frame:
    with manager_of(request).database.read() as session:
        name = session.scalar(select(Agency.name).where(Agency.log == caller.log))
        opened = session.scalar(
            select(func.count())
            .select_from(Alert)
            .where(
                Alert.log.in_(alerts.logs_shown(session, caller.log)),
                Alert.closed_at.is_(None),
                Alert.level == "alert",
            )
        )
    return Frame(name or "", opened or 0)
