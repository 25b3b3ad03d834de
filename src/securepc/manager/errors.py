"""Refusals of the HTTP APIs: a word for programs, a sentence in Japanese and English for people."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse


class ApiError(Exception):
    """Answered as `{"error":{"code","ja","en", …}}` with `status`."""

    def __init__(
        self, status: int, code: str, ja: str, en: str, *, retry_after: int | None = None, **more: Any
    ) -> None:
        super().__init__(en)
        self.status = status
        self.code = code
        self.ja = ja
        self.en = en
        self.more = more
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}

    def response(self) -> JSONResponse:
        """The answer."""
        body = {"error": {"code": self.code, "ja": self.ja, "en": self.en, **self.more}}
        return JSONResponse(body, self.status, self.headers)


def install(app: FastAPI) -> None:
    """Answer every `ApiError` raised by an endpoint or a dependency."""

    async def answer(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ApiError)
        return error.response()

    app.add_exception_handler(ApiError, answer)
