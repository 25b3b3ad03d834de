"""Adds moves of agencies to a manager."""

from __future__ import annotations

from securepc.manager.core import Manager
from securepc.manager.moves.service import Moves


def attach(manager: Manager) -> None:
    """`manager.moves`."""
    manager.moves = Moves(manager)
