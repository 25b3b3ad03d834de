"""Tells contexts of the entries they asked for, once each, in the SQL transaction that remembers how far."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from securepc.manager.alerts.service import raise_alert
from securepc.manager.database import Database
from securepc.manager.happenings.model import Told
from securepc.manager.happenings.picking import Picked, families, pick
from securepc.manager.ingest.opened import Opened
from securepc.manager.ingest.tasks import Making
from securepc.wire.event import Event, from_entry

logger = logging.getLogger(__name__)


class Happening(NamedTuple):
    """An entry on the ledger. `id` is how the console and evidence name it; `block_time` microseconds since
    1970 UTC. What stands in `event` is a device's word: hostile input like any other."""

    log: bytes
    device: bytes
    id: str
    block_time: int
    event: Event


Listener = Callable[[Session, Happening], None]


class Happenings:
    """At `manager.happenings`; an `ingest.opened.Follower`."""

    name = "happenings"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: dict[str, list[Listener]] = {}
        self._families: tuple[bytes, ...] = ()

    def on(self, kinds: Sequence[str], listener: Listener) -> None:
        """Call `listener` with every entry of these kinds, in the order of each log. It is called inside a
        `database.write()` and does nothing but write there: it may be called again where that fails. What it
        cannot make sense of it leaves; if it raises, that entry is skipped for it with an alert."""
        for kind in kinds:
            self._listeners.setdefault(kind, []).append(listener)
        self._families = families(self._listeners)

    def position(self, log: bytes) -> int:
        """The first leaf index of this log that it has not seen."""
        with self._database.read() as session:
            row = session.get(Told, log)
            return row.position if row else 0

    def follow(self, log: bytes, opened: Sequence[Opened], position: int) -> None:
        """Tell of these batches and remember `position`."""
        self._tell_of(
            log, [one for batch in opened for one in pick(batch, self._listeners, self._families)], position
        )

    def making(self, log: bytes) -> Making:
        """An `ingest.opened.Bulk`: other processes pick what was asked for."""
        settings = msgspec.msgpack.encode(list(self._listeners))
        return Making(self.name, "securepc.manager.happenings.picking:Picker", settings)

    def take(self, log: bytes, opened: Sequence[Opened], made: bytes, position: int) -> None:
        """Tell of what was picked of these batches and remember `position`."""
        self._tell_of(log, msgspec.msgpack.decode(made, type=list[Picked]), position)

    def drop(self, made: bytes) -> None:
        """Nothing is left behind."""

    def _tell_of(self, log: bytes, picked: Sequence[Picked], position: int) -> None:
        with self._database.write() as session:
            row = session.get(Told, log)
            if row is None:
                session.add(Told(log=log, position=position))
                seen = 0
            else:
                seen = row.position
                row.position = max(position, seen)
            for one in picked:
                if one.index >= seen:
                    self._tell(session, log, one)

    def late(self, session: Session, log: bytes, opened: Sequence[Opened]) -> None:
        """Tell of batches that opened late; an `ingest.opened.LateListener`."""
        row = session.get(Told, log)
        seen = row.position if row else 0
        for batch in opened:
            for one in pick(batch, self._listeners, self._families):
                if one.index < seen:  # the others come yet
                    self._tell(session, log, one)

    def _tell(self, session: Session, log: bytes, picked: Picked) -> None:
        event = from_entry(picked.entry)
        if event is None:
            return
        name = f"{picked.device.hex()}.{picked.sequence}"
        happening = Happening(log, picked.device, name, picked.block_time, event)
        for listener in self._listeners[happening.event.kind]:
            try:
                with session.begin_nested():
                    listener(session, happening)
            except OperationalError:
                raise  # the database, not the entry: all of it again later
            except Exception as error:
                logger.exception("%s was not understood", happening.id)
                data = {"name": happening.event.kind, "error": f"{type(error).__name__}: {error}"[:300]}
                raise_alert(session, happening.log, "happening", happening.device, data)
