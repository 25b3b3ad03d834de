"""An agency's rows in the database: which tables they stand in, read where it leaves, written where it
arrives.

Numbers that only count rows are given anew; what points at them follows. Secrets are wrapped anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from sqlalchemy import JSON, Boolean, CursorResult, LargeBinary, String, Table, delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from securepc.ledger.keys import KeyStore
from securepc.manager.database import Base

Row = dict[str, Any]

MOVING: tuple[str, ...] = (
    "agencies",
    "enrolment_tokens",
    "devices",
    "accounts",
    "alerts",
    "api_tokens",
    "audit_batches",
    "audit_chains",
    "audit_outbox",
    "commands",
    "device_addresses",
    "device_code_keys",
    "faults",
    "ghost_contents",
    "ghost_drives",
    "ghost_releases",
    "ghost_shares",
    "happenings_told",
    "heartbeat_claims",
    "key_notices",
    "lost_cases",
    "lost_events",
    "lost_places",
    "mac_chains",
    "mail_recipients",
    "network_requests",
    "network_sightings",
    "openings",
    "policies",
    "retention_acts",
    "retention_buried",
    "retention_months",
    "retention_requests",
    "retention_rests",
    "shutter_codes",
    "shutter_media",
    "shutter_requests",
    "software_parts",
    "software_pcs",
    "software_programs",
    "software_removals",
    "software_requests",
    "software_violations",
    "stamps",
    "takeouts",
    "takeout_files",
)
"""In this order: what is pointed at comes first."""

STAYING = {
    "backup_asked": "of this manager's backups",
    "backup_runs": "of this manager's backups",
    "backup_watermarks": "of this manager's backups",
    "cosigned_checkpoints": "asked for again",
    "mail_alerts": "of the whole manager",
    "mail_outbox": "letters that are on their way leave from here",
    "moves": "of this manager",
    "restored_logs": "of this manager's restore",
    "restored_shown": "of this manager's restore",
    "sessions": "people sign in again",
    "sign_in_attempts": "of this manager",
    "sign_in_links": "people sign in again",
    "stamp_attempts": "of this manager's asking",
    "witness_states": "asked for again",
}
"""The others, and why."""

_POINTS = {
    ("devices", "token"): "enrolment_tokens",
    ("mail_recipients", "account_id"): "accounts",
    ("retention_requests", "act"): "retention_acts",
    ("takeout_files", "takeout"): "takeouts",
}
"""Columns that hold the number of another table's row."""

_WRAPPED: dict[tuple[str, str], Callable[[Row], bytes]] = {
    ("audit_chains", "key"): lambda row: bytes(row["device"]),
    ("audit_chains", "mac"): lambda row: bytes(row["device"]),
    ("device_code_keys", "key"): lambda row: b"codes" + row["device"],
    ("ghost_shares", "wrapped"): lambda row: b"ghost/" + row["device"] + row["generation"].to_bytes(8, "big"),
    ("mac_chains", "key"): lambda row: bytes(row["device"]),
    ("retention_rests", "key"): lambda row: b"rest" + row["log"] + row["batch"].to_bytes(8, "big"),
}
"""Columns with wrapped secrets, and what each is bound to, as its context says."""


class WrongRow(ValueError):
    """A row that this version can't take, or another agency's."""


def leaving(session: Session, keys: KeyStore, log: bytes) -> Iterator[tuple[str, Row]]:
    """Every row of an agency: table, and its values by column with secrets in the clear."""
    for name in MOVING:
        table = _table(name)
        order = list(table.primary_key)
        for found in session.execute(select(table).where(_of(table, log)).order_by(*order)).mappings():
            row = dict(found)
            for (owner, column), context in _WRAPPED.items():
                if owner == name and row[column] is not None:
                    row[column] = keys.unwrap(row[column], context(row))
            yield name, row


class Arriving:
    """Takes the rows of an agency inside a `Database.write`; what was here of it is replaced.

    `renamed` has the sign-in names that others had already, with those given instead.
    """

    def __init__(self, session: Session, keys: KeyStore, log: bytes) -> None:
        self._session = session
        self._keys = keys
        self._log = log
        self._numbers: dict[str, dict[int, int]] = {}
        self._devices: set[bytes] = set()
        self._place = 0
        self.renamed: dict[str, str] = {}
        for name in reversed(MOVING):
            table = _table(name)
            session.execute(delete(table).where(_of(table, log)))

    def take(self, rows: Iterable[tuple[str, Row]]) -> None:
        """Write them, in the order in which they were read.

        Raises:
            WrongRow: another agency's, or not of this version.
        """
        for name, row in rows:
            place = MOVING.index(name) if name in MOVING else -1
            if place < self._place:
                raise WrongRow(f"rows of {name} here")
            self._place = place
            table = _table(name)
            _check(table, row)
            self._own(name, row)
            try:
                self._write(table, name, row)
            except IntegrityError as error:
                raise WrongRow(f"{name}: {error.orig}") from None

    def _own(self, name: str, row: Row) -> None:
        if "log" in row and row["log"] != self._log:
            raise WrongRow(f"{name} of another agency")
        if name == "devices":
            self._devices.add(row["device"])
        elif "log" not in row and "device" in row and row["device"] not in self._devices:
            raise WrongRow(f"{name} of another agency's PC")

    def _write(self, table: Table, name: str, row: Row) -> None:
        for (owner, column), context in _WRAPPED.items():
            if owner == name and row[column] is not None:
                row[column] = self._keys.wrap(row[column], context(row))
        for (owner, column), target in _POINTS.items():
            if owner == name and row[column] is not None:
                numbers = self._numbers.get(target, {})
                if row[column] not in numbers:
                    raise WrongRow(f"{name} without its row of {target}")
                row[column] = numbers[row[column]]
        if name == "accounts":
            row["login"] = self._login(row["login"])
        number = row.pop("id") if "id" in row else None
        done = cast("CursorResult[Any]", self._session.execute(insert(table).values(row)))
        if number is not None:
            given = done.inserted_primary_key
            assert given is not None
            self._numbers.setdefault(name, {})[number] = int(given[0])

    def _login(self, wanted: str) -> str:
        """Sign-in names are unique in the whole manager."""
        accounts, login, number = _table("accounts"), wanted, 1
        while self._session.scalar(select(accounts.c.id).where(accounts.c.login == login)) is not None:
            number += 1
            login = f"{wanted[:90]}{number}"
        if login != wanted:
            self.renamed[wanted] = login
        return login


def _table(name: str) -> Table:
    return Base.metadata.tables[name]


def _of(table: Table, log: bytes) -> Any:
    """The condition that a row is this agency's."""
    if "log" in table.c:
        return table.c.log == log
    if "device" in table.c:
        devices = _table("devices")
        return table.c.device.in_(select(devices.c.device).where(devices.c.log == log))
    takeouts = _table("takeouts")
    return table.c.takeout.in_(select(takeouts.c.id).where(takeouts.c.log == log))


def _check(table: Table, row: Row) -> None:
    if not isinstance(row, dict) or row.keys() != set(table.c.keys()):
        raise WrongRow(f"{table.name}: made by another version")
    for column in table.c:
        value = row[column.name]
        if value is None:
            if not column.nullable:
                raise WrongRow(f"{table.name}: no {column.name}")
        elif isinstance(column.type, JSON):
            continue
        elif isinstance(column.type, LargeBinary):
            _expect(table, column.name, type(value) is bytes)
        elif isinstance(column.type, Boolean):
            _expect(table, column.name, type(value) is bool)
        elif isinstance(column.type, String):
            _expect(table, column.name, type(value) is str)
        else:
            _expect(table, column.name, type(value) is int and abs(value) < 2**63)


def _expect(table: Table, column: str, good: bool) -> None:
    if not good:
        raise WrongRow(f"{table.name}: {column} is not what it should be")
