"""The product's own folders: what is written there is not an operation of anybody, and recording it
would make more of it to record."""

from __future__ import annotations

import os
from pathlib import Path

_BESIDE = ("manager", "ledger", "search", "trust", "witness", "simulated")
"""What else lives beside the agent's folder (docs/architecture.md, folders at run time)."""


def own_folders(home: Path) -> tuple[bytes, ...]:
    """The agent's folder and, where one machine runs more of us, those beside it; symbolic links resolved."""
    own = Path(home).resolve()
    return (os.fsencode(own), *(os.fsencode(own.parent / name) for name in _BESIDE))
