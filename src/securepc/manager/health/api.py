"""Whether the manager is well: `/healthz` for people and load balancers, `/metrics` for Prometheus."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, PlainTextResponse

from securepc import __version__
from securepc.manager.core import Manager, manager_of

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
def healthz(manager: Annotated[Manager, Depends(manager_of)]) -> JSONResponse:
    """200 when all is well; 503 with what is wrong when devices can't be served."""
    problems = manager.health.problems()
    body: dict[str, Any] = {
        "status": "failing" if problems else "ok",
        "problems": problems,
        "version": __version__,
    }
    if away := len(manager.moves.all()):
        body["agencies_away"] = away
    return JSONResponse(body, 503 if "disk-full" in problems else 200)


@router.get("/metrics")
def metrics(manager: Annotated[Manager, Depends(manager_of)]) -> PlainTextResponse:
    """Figures in the text format of Prometheus; none of them tells what a device or person did."""
    lines = [f"securepc_{name} {value:.17g}\n" for name, value in sorted(manager.health.figures().items())]
    return PlainTextResponse("".join(lines), media_type="text/plain; version=0.0.4")
