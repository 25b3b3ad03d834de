"""Wiring only: the contexts, and how their parts become one application.

A context is a folder. Of these modules it has those it needs:

- `model`    its tables, on `database.Base`; their migrations in `migrations/`
- `service`  what it does
- `wiring`   `attach(manager)`: adds its parts to the manager, subscribes its followers
- `api`      `router`: its HTTP API
- `pages`    `router`: its pages of the console
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from securepc import __version__
from securepc.manager import console, errors
from securepc.manager.core import Manager

CONTEXTS = (
    "keyring",  # first: what others sign or send must be by the keys that are in use then
    "restored",
    "alerts",
    "moves",
    "devices",
    "policy",
    "ingest",
    "happenings",
    "mail",
    "commands",
    "networks",
    "web",
    "approvals",
    "backup",
    "ghost",
    "audit",
    "logs",
    "health",
    "accounts",
    "witnesses",
    "stamps",
    "software",
    "search",
    "retention",
    "evidence",
    "lost",
    "console",
)
"""In this order their parts are attached and started."""


def assemble(home: Path) -> Manager:
    """A manager with all its parts, not started yet, over a home that `manager init` made.

    Raises:
        ConfigError, KekError, StoreError: see `Manager`.
    """
    manager = Manager(home)
    try:
        for wiring in _modules("wiring"):
            wiring.attach(manager)
    except BaseException:
        manager.close()
        raise
    return manager


def create_app(home: Path) -> FastAPI:
    """The application; raises as `assemble` does."""
    manager = assemble(home)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        manager.start()
        try:
            yield
        finally:
            manager.close()

    app = FastAPI(
        title="Secure PC",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.manager = manager
    errors.install(app)
    console.install(app)
    for module in (*_modules("api"), *_modules("pages")):
        app.include_router(module.router)
    return app


def load_tables() -> None:
    """Make every context's tables known to `database.Base`, where no manager is assembled."""
    _modules("model")


def _modules(name: str) -> list[Any]:
    """The modules of this name of those contexts that have one."""
    names = [f"{__package__}.{context}" for context in CONTEXTS]
    return [
        importlib.import_module(f"{context}.{name}")
        for context in names
        if find_spec(context) and find_spec(f"{context}.{name}")
    ]
