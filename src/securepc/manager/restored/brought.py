"""Keys that PCs bring again, where the ledger outlived the manager's disk.

Validators have every batch that anybody has a receipt for; no successor is needed. What is lost with the
disk are the keys of batches since the backup. Their PCs still have them, as no watermark covered those
batches: each is told to go on from the first of them, as after a gap. It sends the same bytes again with
their keys, and the ledger answers with the places that they have.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from securepc.ledger.state import Refused
from securepc.ledger.state.refused import Expected
from securepc.wire.signed import batch as headers

if TYPE_CHECKING:
    from securepc.manager.core import Manager

ASKED = 2
"""How often a PC is told to go back to a batch. Then it is believed not to have it any more."""


class Brought:
    """What is still to be brought for one log. Thread-safe."""

    def __init__(self, manager: Manager, log: bytes, start: int) -> None:
        """`start`: the first leaf that the backup did not have."""
        self._manager = manager
        self._log = log
        self._position = start
        self._lock = threading.Lock()
        self._wanted: dict[bytes, dict[int, Expected]] = {}
        self._asked: Counter[tuple[bytes, int]] = Counter()
        self._heard: set[bytes] = set()

    def look(self) -> None:
        """Read what came onto the ledger, and forget PCs that are not enrolled any more."""
        manager, log = self._manager, self._log
        enrolled = {one.device for one in manager.devices.all(log) if one.state == "enrolled"}
        size, kept = manager.log.size(log), manager.retention.kept(log)
        found: dict[bytes, dict[int, Expected]] = {}
        for stored in manager.log.leaves(log, self._position, size):
            if not stored.leaf.startswith(b"securepc/batch/") or not kept.is_whole(stored):
                continue
            header = headers.of_leaf(stored.leaf)
            if header.device in enrolled and not self._has_key(headers.message_hash(stored.leaf)):
                expected = Expected(header.epoch, header.first, header.previous)
                found.setdefault(header.device, {})[header.epoch] = expected
        with self._lock:
            self._position = max(size, self._position)
            for device, epochs in found.items():
                self._wanted.setdefault(device, {}).update(epochs)
            for device in self._wanted.keys() - enrolled:
                del self._wanted[device]

    def missing(self) -> set[bytes]:
        """The PCs that have not brought everything."""
        with self._lock:
            return set(self._wanted)

    def heard(self) -> set[bytes]:
        """The PCs that were asked, or have brought something."""
        with self._lock:
            return set(self._heard)

    def require(self, device: bytes, first: int) -> None:
        """Send a PC back that comes with a later batch than the first one that is wanted of it.

        Raises:
            Refused: "gap", with what it is to send.
        """
        with self._lock:
            while wanted := self._wanted.get(device):
                self._heard.add(device)
                epoch = min(wanted)
                if first <= epoch:
                    return
                if self._asked[device, epoch] < ASKED:
                    self._asked[device, epoch] += 1
                    detail = f"the key of epoch {epoch} was lost with a disk"
                    raise Refused("gap", detail, expected=wanted[epoch])
                self._settle(device, [epoch])

    def take(self, device: bytes, epochs: Iterable[int]) -> None:
        """A PC brought these."""
        with self._lock:
            self._settle(device, epochs)

    def _settle(self, device: bytes, epochs: Iterable[int]) -> None:
        wanted = self._wanted.get(device, {})
        for epoch in epochs:
            wanted.pop(epoch, None)
        if not wanted:
            self._wanted.pop(device, None)

    def _has_key(self, name: bytes) -> bool:
        try:
            self._manager.keys.batch_key(self._log, name)
        except KeyError:
            return False
        except ValueError:
            return True  # it came, and does not open: another copy would not either
        return True
