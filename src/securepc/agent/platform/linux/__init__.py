"""Linux: clocks, identity, collectors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from securepc.agent.platform.linux.identity import clock, machine

if TYPE_CHECKING:
    from securepc.agent.collect import Collector, Context

__all__ = ["clock", "collectors", "machine"]


def collectors(context: Context) -> list[Collector]:
    """Every collector for Linux, not yet started."""
    from securepc.agent.collect.files import FilesCollector
    from securepc.agent.collect.sifting import sifted
    from securepc.agent.platform.linux.people import homes, name_of
    from securepc.agent.platform.linux.tree import TreeWatcher

    files = FilesCollector(context, [TreeWatcher], homes, name_of(os.getuid()))
    return sifted(context, [files], homes)
