"""Put the console's frame around the application: static files, headers, error pages."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.staticfiles import StaticFiles

from securepc.manager.accounts.auth import SignInNeeded, signed_in
from securepc.manager.accounts.limits import TooMany
from securepc.manager.console import i18n, view
from securepc.manager.console.headers import Guard
from securepc.manager.core import manager_of
from securepc.manager.database import DatabaseFull
from securepc.manager.errors import ApiError
from securepc.manager.refusal import N_, Refusal

_API = ("/api/", "/agent/", "/logs/", "/healthz", "/metrics")

_TEXTS = {
    400: (N_("This request can't be understood"), N_("Check what you entered and try again.")),
    403: (N_("Not allowed"), N_("Your role does not allow this.")),
    404: (N_("There is no such page"), N_("It may have moved, or belong to another agency.")),
    409: (N_("Not yet"), N_("Try again in a while.")),
    405: (N_("This request can't be understood"), N_("Check what you entered and try again.")),
    413: (N_("Too much at once"), N_("What was sent is longer than is accepted here.")),
    429: (N_("Please wait a moment"), N_("Too many requests.")),
    500: (
        N_("Something went wrong on our side"),
        N_("Nothing that was recorded is lost. If it happens again, tell your administrator this number."),
    ),
    503: (N_("The disk of the manager is full"), N_("Nothing was changed. Make room, then try again.")),
}
_WORDS = {
    400: "malformed",
    404: "not-found",
    405: "method",
    413: "too-large",
    500: "broken",
    503: "disk-full",
}


def install(app: FastAPI) -> None:
    """Call once, before the routers are included."""
    folder = resources.files(__package__).joinpath("static")
    app.mount("/static", StaticFiles(directory=Path(str(folder))), name="static")
    app.add_middleware(Guard, failed=_failed, too_long=lambda request: error(request, 413))
    app.add_exception_handler(SignInNeeded, _sign_in)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, lambda request, _: error(request, 400))
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(DatabaseFull, lambda request, _: error(request, 503))


def error(request: Request, status: int, sentence: str | None = None, incident: str = "") -> Response:
    """A page that says what is wrong; for programs, the same as JSON. `sentence` is already translated."""
    title, text = _TEXTS.get(status) or _TEXTS[400 if status < 500 else 500]
    if request.url.path.startswith(_API):
        both = [i18n.translate(language, text) for language in ("ja", "en")]
        answer = ApiError(status, _WORDS.get(status, "malformed"), *both)
        if incident:
            answer.more["incident"] = incident
        return answer.response()
    # Without a frame where the database may be what is broken, or where nobody waits for it.
    caller = None if status in (413, 500, 503) else signed_in(request, manager_of(request))
    language = view.language_of(request, caller)
    return view.page(
        request,
        "error.html",
        caller,
        status=status,
        title=i18n.translate(language, title),
        text=sentence or i18n.translate(language, text),
        incident=incident,
    )


def _failed(request: Request, incident: str) -> Response:
    return error(request, 500, incident=incident)


def _sign_in(request: Request, _: Exception) -> Response:
    path = view.sign_in_path(request)
    if request.headers.get("HX-Request"):
        return Response(status_code=204, headers={"HX-Redirect": path})
    return RedirectResponse(path, 303)


def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    if request.url.path.startswith(_API):
        ja, en = (view.said(language, refusal) for language in ("ja", "en"))
        wait = refusal.retry_after if isinstance(refusal, TooMany) else None
        return ApiError(refusal.status, "refused", ja, en, retry_after=wait).response()
    caller = signed_in(request, manager_of(request))
    response = error(request, refusal.status, view.said(view.language_of(request, caller), refusal))
    if isinstance(refusal, TooMany):
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def _api_error(request: Request, refusal: Exception) -> Response:
    """An API's refusal, as a page where a page asked."""
    assert isinstance(refusal, ApiError)
    if request.url.path.startswith(_API):
        return refusal.response()
    caller = signed_in(request, manager_of(request))
    sentence = refusal.ja if view.language_of(request, caller) == "ja" else refusal.en
    return error(request, refusal.status, sentence)


def _http(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, StarletteHTTPException)
    if isinstance(problem, HTTPException) and isinstance(problem.detail, dict):
        return JSONResponse(problem.detail, problem.status_code, problem.headers)
    response = error(request, problem.status_code)
    for name, value in (problem.headers or {}).items():
        response.headers[name] = value
    return response
