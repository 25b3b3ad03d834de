"""Linux: clocks, identity, collectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from securepc.agent.platform.linux.identity import clock, machine

if TYPE_CHECKING:
    from securepc.agent.collect import Collector, Context

__all__ = ["clock", "collectors", "machine"]


def collectors(context: Context) -> list[Collector]:
    """Every collector for Linux, not yet started."""
    return []
