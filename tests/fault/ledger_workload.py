"""A writer of blocks, for `shim.sweep`: devices of two agencies send batches until all are acknowledged."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "ledger"))

from ledger_world import START, Agency, Device

from securepc.ledger import chain
from securepc.ledger import genesis as geneses
from securepc.ledger.keys import create_keys, open_keys
from securepc.ledger.log import LogReader
from securepc.ledger.state import Refused
from securepc.ledger.store import StoreError, create_store, open_store

ROUNDS = 4
_plan: list[list[bytes]] = []
"""The transactions of each block. Made before the forks, so that every try sends the same bytes."""


def prepare(folder: Path) -> None:
    raise NotImplementedError


_ = (START, Agency, Device, chain, geneses, create_keys, open_keys, LogReader, Refused, StoreError)
_ = (create_store, open_store, Callable)
