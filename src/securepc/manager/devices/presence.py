"""Signs of life of devices: kept in memory, written down in groups, missed when they stop."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from sqlalchemy import Table, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.config import Devices
from securepc.manager.database import Database
from securepc.manager.devices.model import Device, DeviceAddress
from securepc.manager.devices.registry import Registry

OFFSET_IS_WRONG = "clock"
SILENT = "silent"
_ADDRESSES = 50


class Heartbeat(NamedTuple):
    """What a device says of itself. `offset`: microseconds its clock is ahead of ours; `up`: its boot-time
    clock when it came, at `at` by ours."""

    boot: bytes
    epoch: int
    sequence: int
    head: bytes
    offset: int
    up: int
    at: int
    status: dict[str, Any]


class Presence:
    """Collects signs of life; `flush` and `look` are called by the ticker. Thread-safe.

    A crash loses the last two seconds of them, which the next heartbeat makes good.
    """

    def __init__(self, database: Database, registry: Registry, settings: Devices) -> None:
        self._database = database
        self._registry = registry
        self._settings = settings
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._seen: dict[bytes, int] = {}
        self._beats: dict[bytes, Heartbeat] = {}
        self._addresses: dict[tuple[bytes, str], int] = {}
        self._started = clock.now()

    def came_from(self, device: bytes, address: str) -> None:
        """A request that is the device's own came from this address."""
        with self._lock:
            self._addresses[device, address[:45]] = clock.now()

    def addresses(self, device: bytes, limit: int = 20) -> list[DeviceAddress]:
        """Where its requests came from, the latest first."""
        self.flush()
        with self._database.read() as session:
            query = select(DeviceAddress).where(DeviceAddress.device == device)
            return list(session.scalars(query.order_by(DeviceAddress.last_at.desc()).limit(limit)))

    def seen(self, device: bytes) -> None:
        """The device sent a request that is its own."""
        with self._lock:
            self._seen[device] = clock.now()

    def beat(self, device: bytes, heartbeat: Heartbeat) -> None:
        """The device sent a heartbeat."""
        with self._lock:
            self._seen[device] = clock.now()
            self._beats[device] = heartbeat

    def last(self, device: bytes) -> Heartbeat | None:
        """The device's last heartbeat, if any ever came."""
        with self._lock:
            beat = self._beats.get(device)
        if beat is not None:
            return beat
        with self._database.read() as session:
            row = session.get(Device, device)
        if row is None or row.boot is None or row.up is None or row.beat_at is None:
            return None
        offset = row.clock_offset or 0
        return Heartbeat(
            row.boot,
            row.epoch or 0,
            row.sequence or 0,
            row.head or b"",
            offset,
            row.up,
            row.beat_at,
            row.status,
        )

    def flush(self) -> None:
        """Write down what came since the last time; when this returns, another's writing is done, too."""
        with self._flushing:
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            seen, self._seen = self._seen, {}
            beats, self._beats = self._beats, {}
            addresses, self._addresses = self._addresses, {}
        if not seen and not addresses:
            return
        try:
            with self._database.write() as session:
                self._write(session, seen, beats)
                _write_addresses(session, addresses)
        except Exception:
            with self._lock:  # newer ones are kept
                self._seen = {**seen, **self._seen}
                self._beats = {**beats, **self._beats}
                self._addresses = {**addresses, **self._addresses}
            raise

    def _write(self, session: Session, seen: dict[bytes, int], beats: dict[bytes, Heartbeat]) -> None:
        if not seen:
            return
        connection = session.connection()
        connection.execute(_SEEN, [{"_device": device, "_at": at} for device, at in seen.items()])
        if beats:
            rows = [
                {"_device": device} | {f"_{column}": getattr(beat, name) for column, name in _SAID.items()}
                for device, beat in beats.items()
            ]
            connection.execute(_BEAT, rows)
        # Most PCs have none: they are asked for together.
        is_open = alerts.open_of_devices(session, (OFFSET_IS_WRONG, SILENT))
        for device, beat in beats.items():
            known = self._registry.find(device)
            if known is None:
                continue
            if abs(beat.offset) > self._settings.clock_minutes * clock.MINUTE:
                data = {"name": known.name, "seconds": beat.offset // clock.SECOND}
                alerts.raise_alert(session, known.log, OFFSET_IS_WRONG, device, data)
            elif (OFFSET_IS_WRONG, device) in is_open:
                alerts.close(session, known.log, OFFSET_IS_WRONG, device)
        for device in seen:
            known = self._registry.find(device) if (SILENT, device) in is_open else None
            if known is not None:
                alerts.close(session, known.log, SILENT, device)

    def look(self) -> None:
        """Raise an alert for every device that has been silent for too long.

        Nothing is said of the time in which the manager itself was not running.
        """
        now = clock.now()
        limit = self._settings.silence_minutes * clock.MINUTE
        if now - self._started < limit:
            return
        with self._database.write() as session:
            query = select(Device).where(Device.state == "enrolled", Device.seen_at < now - limit)
            for row in session.scalars(query):
                assert row.seen_at is not None
                data = {"name": row.name, "since": row.seen_at}
                if not alerts.is_open(session, row.log, SILENT, row.device):
                    alerts.raise_alert(session, row.log, SILENT, row.device, data)


_SAID = {
    "boot": "boot",
    "epoch": "epoch",
    "sequence": "sequence",
    "head": "head",
    "up": "up",
    "beat_at": "at",
    "clock_offset": "offset",
    "status": "status",
}
"""What is written down of a heartbeat: column, and what it is called there."""
_DEVICES: Table = Device.__table__  # type: ignore[assignment]
_OF_DEVICE = update(_DEVICES).where(_DEVICES.c.device == bindparam("_device"))
_SEEN = _OF_DEVICE.values(seen_at=bindparam("_at"))
_BEAT = _OF_DEVICE.values({column: bindparam(f"_{column}") for column in _SAID})
_ADDRESS = insert(DeviceAddress.__table__)  # type: ignore[arg-type]
_CAME = _ADDRESS.on_conflict_do_update(
    index_elements=["device", "address"], set_={"last_at": _ADDRESS.excluded.last_at}
)


def _write_addresses(session: Session, addresses: dict[tuple[bytes, str], int]) -> None:
    """The last fifty of each device stay."""
    if not addresses:
        return
    rows = [
        {"device": device, "address": address, "first_at": at, "last_at": at}
        for (device, address), at in addresses.items()
    ]
    session.connection().execute(_CAME, rows)
    many = (
        select(DeviceAddress.device)
        .where(DeviceAddress.device.in_({device for device, _ in addresses}))
        .group_by(DeviceAddress.device)
        .having(func.count() > _ADDRESSES)
    )
    for device in list(session.scalars(many)):
        kept = (
            select(DeviceAddress.address)
            .where(DeviceAddress.device == device)
            .order_by(DeviceAddress.last_at.desc())
            .limit(_ADDRESSES)
        )
        old = (DeviceAddress.device == device, DeviceAddress.address.not_in(kept))
        session.execute(delete(DeviceAddress).where(*old))
