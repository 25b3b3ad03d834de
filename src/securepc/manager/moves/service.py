"""Which agencies stand still here, because they have left or are still on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from securepc.ledger.state import MoveRecord
from securepc.manager.moves.model import Move

if TYPE_CHECKING:
    from securepc.manager.core import Manager

LEAVING, GONE, ARRIVING = "leaving", "gone", "arriving"


class Moves:
    """At `manager.moves`. What it knows changes only while the manager does not run."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._settle()
        with manager.database.read() as session:
            self._rows = {row.log: row for row in session.scalars(select(Move))}

    def away(self, log: bytes) -> bool:
        """Whether this agency stands still here."""
        return log in self._rows

    def of(self, log: bytes) -> Move | None:
        """Where it goes, or that it is arriving; None for an agency that is at home here."""
        return self._rows.get(log)

    def all(self) -> list[Move]:
        """Every agency that stands still."""
        return list(self._rows.values())

    def notice(self, log: bytes) -> Move | None:
        """The move that PCs are to follow: the other manager has said that it has the agency."""
        row = self._rows.get(log)
        return row if row is not None and row.state == GONE else None

    def _settle(self) -> None:
        """What an import left that was killed after its block: the agency is at home."""
        with self._manager.database.read() as session:
            rows = list(session.scalars(select(Move).where(Move.state == ARRIVING)))
        for row in rows:
            if is_here(self._manager, row.log):
                with self._manager.database.write() as session:
                    session.delete(row)


def is_here(manager: Manager, log: bytes) -> bool:
    """Whether the ledger says that a log came here and did not leave since."""
    if log not in manager.log.logs():
        return False
    found = [record for record in manager.log.records(log) if isinstance(record, MoveRecord)]
    return bool(found) and not found[0].away
