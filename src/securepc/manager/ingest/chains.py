"""Where the MAC chains of devices stand (docs/formats/journal.md), while their batches are judged.

A chain goes on by headers alone: the key of an epoch follows from the one before, and the seal before it
stands in the header before. So batches can be judged ahead, side by side and in any process; where the
chains stand is written down with the verdicts, in the order of the log.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.orm import Session

from securepc.manager.ingest import claims
from securepc.manager.ingest.model import MacChain
from securepc.wire import chain
from securepc.wire.signed import batch as headers
from securepc.wire.signed.batch import BatchHeader

if TYPE_CHECKING:
    from securepc.manager.core import Manager


class Stand(NamedTuple):
    """Where a device's chain stands: its last epoch, that epoch's key and the seal its header claims."""

    epoch: int
    key: bytes
    seal: bytes


class Link(NamedTuple):
    """What judging one batch takes; see `judging.Work`."""

    chain: tuple[bytes, bytes] | None = None
    again: bool = False


class Chains:
    """The chains of the devices whose batches are under way. Used on the opener's thread."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._running: dict[bytes, dict[bytes, chain.Verifier]] = {}

    def go_on(self, session: Session, header: BatchHeader) -> Link:
        """The next batch of a device."""
        running = self._running.setdefault(header.log, {})
        found = running.get(header.device) or self._load(session, header.device)
        if found is None:
            return Link()
        running[header.device] = found
        if header.epoch <= found.epoch:
            return Link(again=True)
        while found.epoch + 1 < header.epoch:  # only where this database is older than the ledger
            found.take(found.epoch + 1, self._claimed(header.log, header.device, found.epoch + 1))
        return Link(found.take(header.epoch, header.seal))

    def stands(self, log: bytes, devices: Collection[bytes]) -> dict[bytes, Stand]:
        """Where those of these devices stand now."""
        running = self._running.get(log, {})
        found = {device: running[device] for device in devices if device in running}
        return {device: Stand(each.epoch, each.key, each.seal) for device, each in found.items()}

    def keep(self, session: Session, stands: dict[bytes, Stand]) -> None:
        """Write down where chains stand. The keys before are gone with this."""
        for device, stand in stands.items():
            row = session.get(MacChain, device)
            if row is not None and row.epoch < stand.epoch:
                row.epoch, row.seal = stand.epoch, stand.seal
                row.key = self._manager.keys.wrap(stand.key, device)
            claims.forget(session, device, stand.epoch)

    def start_again(self, log: bytes) -> None:
        """Begin where the database stands: nothing of this log is under way any more."""
        self._running.pop(log, None)

    def _load(self, session: Session, device: bytes) -> chain.Verifier | None:
        row = session.get(MacChain, device)
        if row is None:
            return None
        key = self._manager.keys.unwrap(row.key, device)
        return chain.Verifier(key, row.epoch, row.seal)

    def _claimed(self, log: bytes, device: bytes, epoch: int) -> bytes:
        index = self._manager.log.batch(log, device, epoch)
        return bytes(32) if index is None else headers.of_leaf(self._manager.log.leaf(log, index)).seal
