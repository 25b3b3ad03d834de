"""Adds what devices call, and the opener, to a manager."""

from __future__ import annotations

from securepc.manager.core import Manager
from securepc.manager.ingest.opener import Opener
from securepc.manager.ingest.service import Ingest
from securepc.manager.ingest.upload import Uploads


def attach(manager: Manager) -> None:
    """`manager.ingest`, `manager.opener`, `manager.uploads`."""
    manager.ingest = Ingest(manager)
    manager.on_close(manager.ingest.close)
    manager.opener = Opener(manager)
    manager.on_block(manager.opener.on_block)
    manager.on_start(manager.opener.start)
    manager.on_close(manager.opener.close)
    manager.uploads = Uploads(manager)
    manager.on_close(manager.uploads.close)
    manager.ticker.every(1, manager.ingest.diagnostics.flush, at_end=True)
    manager.ticker.every(2, manager.ingest.claims.flush, at_end=True)
