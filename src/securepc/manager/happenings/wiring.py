"""Adds the follower that tells contexts what happened on PCs."""

from __future__ import annotations

from securepc.manager.core import Manager
from securepc.manager.happenings.service import Happenings


def attach(manager: Manager) -> None:
    """`manager.happenings`; contexts attached later call `manager.happenings.on(…)`."""
    manager.happenings = Happenings(manager.database)
    manager.opener.subscribe(manager.happenings)
    manager.opener.on_late(manager.happenings.late)
