"""Adds the web filter to a manager."""

from __future__ import annotations

from securepc.manager.core import Manager
from securepc.manager.web.service import WebRules


def attach(manager: Manager) -> None:
    """`manager.web`."""
    manager.web = WebRules(manager)
