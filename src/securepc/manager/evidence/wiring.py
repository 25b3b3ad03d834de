"""Adds evidence to a manager."""

from __future__ import annotations

from securepc.manager.core import Manager
from securepc.manager.evidence.service import EvidenceService


def attach(manager: Manager) -> None:
    """`manager.evidence`."""
    manager.evidence = EvidenceService(manager)
