"""What heartbeats say of the open epoch, kept until its batch is judged; and devices that are two, or set
back.

A heartbeat names the last entry and its tag. Whoever cuts the journal's end afterwards, or writes it anew
with the key of the open epoch, cannot make the batch pass through that tag. What happened after the last
heartbeat is nobody's word: docs/security.md says so.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from securepc.manager.alerts import service as alerts
from securepc.manager.database import Database, DatabaseFull
from securepc.manager.ingest.model import Claim

if TYPE_CHECKING:
    from securepc.ledger.log import LogReader
    from securepc.manager.devices.presence import Heartbeat

CLONE = "clone"
_HELD = 10_000
_BOOTS = 20
"""Boots of a device that are remembered: one of them that speaks again is a second PC."""


class Claims:
    """At `manager.ingest.claims`. Thread-safe."""

    def __init__(self, database: Database, reader: LogReader) -> None:
        self._database = database
        self._reader = reader
        self._lock = threading.Lock()
        self._held: dict[tuple[bytes, int], Heartbeat] = {}
        self._boots: defaultdict[bytes, deque[bytes]] = defaultdict(lambda: deque(maxlen=_BOOTS))

    def heard(self, log: bytes, device: bytes, beat: Heartbeat) -> None:
        """Keep what a heartbeat says, durably: the device is told that it was heard only after this. On a
        full disk it is kept in memory until there is room: who is not heard would be taken for gone."""
        record = self._reader.device(log, device)
        # The batch may have overtaken the heartbeat on its way.
        late = record is not None and beat.epoch <= record.epoch
        clone = self._speaks_again(device, beat.boot)
        if late and not clone:
            return
        try:
            with self._database.write() as session:
                if not late:
                    _keep(session, device, beat)
                if clone:
                    alerts.raise_alert(session, log, CLONE, device, {"boot": beat.boot.hex()})
        except DatabaseFull:
            with self._lock:
                if len(self._held) < _HELD:
                    self._held[device, beat.epoch] = beat

    def flush(self) -> None:
        """Write down what found no room."""
        with self._lock:
            held = dict(self._held)
        if not held:
            return
        with self._database.write() as session:
            for (device, _), beat in held.items():
                _keep(session, device, beat)
        with self._lock:
            self._held = {key: beat for key, beat in self._held.items() if held.get(key) is not beat}

    def _speaks_again(self, device: bytes, boot: bytes) -> bool:
        """Whether a boot speaks that another one had followed already."""
        with self._lock:
            boots = self._boots[device]
            again = boot in boots and boots[-1] != boot
            if boot in boots:
                boots.remove(boot)
            boots.append(boot)
            return again


def said(session: Session, device: bytes, first: int, last: int) -> dict[int, tuple[int, bytes]]:
    """What a device said last of the epochs `first` to `last`: (sequence, tag) by epoch."""
    query = select(Claim.epoch, Claim.sequence, Claim.head).where(
        Claim.device == device, Claim.epoch.between(first, last)
    )
    return {row.epoch: (row.sequence, row.head) for row in session.execute(query)}


def forget(session: Session, device: bytes, epoch: int) -> None:
    """What was said of this epoch and those before is of no more use."""
    session.execute(
        delete(Claim).where(Claim.device == device, Claim.epoch <= epoch),
        execution_options={"synchronize_session": False},
    )


def _keep(session: Session, device: bytes, beat: Heartbeat) -> None:
    """The furthest word stands: sending a lower one later does not undo it."""
    row = insert(Claim).values(
        device=device, epoch=beat.epoch, boot=beat.boot, sequence=beat.sequence, head=beat.head, at=beat.at
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=["device", "epoch"],
            set_={"sequence": beat.sequence, "head": beat.head, "at": beat.at, "boot": beat.boot},
            where=Claim.sequence < beat.sequence,
        )
    )
