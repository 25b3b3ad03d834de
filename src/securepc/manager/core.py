"""What the contexts of a running manager share."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable
from pathlib import Path

from fastapi import Request

from securepc.manager import config
from securepc.manager.config import Config
from securepc.manager.database import Database
from securepc.manager.home import Home
from securepc.manager.ingest.opener import Opener

logger = logging.getLogger("securepc.manager")


class Manager:
    """One running manager, at `app.state.manager`. Contexts add their parts in their `wiring.attach`.

    A part that has threads or files registers how it starts and stops with `on_start` and `on_close`;
    parts start in the order they were attached and close in the reverse order.
    """

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.config: Config = config.load(self.home.config)
        self.database = Database(self.home.database)
        self.local_token = "spcl_" + secrets.token_urlsafe(32)
        """The API token of this machine's command line (run/token); good while this process lives."""
        self.opener = Opener()
        self._starters: list[Callable[[], None]] = []
        self._closers: list[Callable[[], None]] = [self.database.close]

    def on_start(self, starter: Callable[[], None]) -> None:
        """Call this once the server starts."""
        self._starters.append(starter)

    def on_close(self, closer: Callable[[], None]) -> None:
        """Call this when the server stops."""
        self._closers.append(closer)

    def start(self) -> None:
        """Start every part."""
        for starter in self._starters:
            starter()

    def close(self) -> None:
        """Stop every part; one that fails does not keep the others from stopping."""
        while self._closers:
            closer = self._closers.pop()
            with contextlib.suppress(Exception):
                try:
                    closer()
                except Exception:
                    logger.exception("a part of the manager did not close")
                    raise


def manager_of(request: Request) -> Manager:
    """The manager that serves a request; `Depends(manager_of)` in a context's `api` and `pages`."""
    manager = request.app.state.manager
    assert isinstance(manager, Manager)
    return manager
