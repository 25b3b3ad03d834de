"""Which devices are enrolled, in memory: asked at every request."""

from __future__ import annotations

import threading
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from securepc.manager.database import Database
from securepc.manager.devices.model import Agency, Device
from securepc.manager.moves.model import Move


class Known(NamedTuple):
    """A device as its requests are judged. `state` as in `model.Device`."""

    log: bytes
    device: bytes
    key: bytes
    state: str
    name: str


class Registry:
    """A cache of devices and agencies; whoever changes a row calls `forget`. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known: dict[bytes, Known] = {}
        self._generation = 0

    def find(self, device: bytes) -> Known | None:
        """The device, None where it never asked to be enrolled."""
        found = self._known.get(device)
        if found is not None:
            return found
        generation = self._generation
        with self._database.read() as session:
            row = session.get(Device, device)
        if row is None:
            return None
        found = Known(row.log, row.device, row.key, row.state, row.name)
        with self._lock:
            # What was read before somebody's `forget` may be old already.
            if generation == self._generation:
                self._known[device] = found
        return found

    def cached(self, device: bytes) -> Known | None:
        """The device where it is in memory already; costs nothing."""
        return self._known.get(device)

    def forget(self, device: bytes) -> None:
        """Read this device anew the next time."""
        with self._lock:
            self._generation += 1
            self._known.pop(device, None)

    def agencies(self, *, also_away: bool = False) -> list[bytes]:
        """The handles of all agencies' logs; `also_away`: of those too that stand still here, as they
        move."""
        query = select(Agency.log).order_by(Agency.created_at)
        if not also_away:
            query = query.where(Agency.log.not_in(select(Move.log)))
        with self._database.read() as session:
            return list(session.scalars(query))


def of_agency(session: Session, log: bytes, device: bytes) -> Device | None:
    """A device of this agency; another agency's does not exist."""
    row = session.get(Device, device)
    return row if row is not None and row.log == log else None
