"""Whether the manager is well."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Alive, and what is wrong where something is."""
    return {"status": "ok"}
