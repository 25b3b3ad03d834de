"""What is kept beside the snapshots, and up to date within seconds: months' keys, and graves.

A month's key is deleted here when the month expires, so that no snapshot brings it back. A grave says that
something was destroyed; a restore obeys graves before anything else (`manager.restored`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from securepc.manager.backup.vault import Vault, month_name

if TYPE_CHECKING:
    from securepc.manager.core import Manager

Grave = tuple[str, dict[str, Any]]
"""A name of lower-case letters, digits, `.` and `-`, and what a restore needs to destroy it again."""


class Beside:
    """At `manager.backups.beside`."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._diggers: dict[str, Callable[[], list[Grave]]] = {}
        self._buriers: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._kept: dict[str, bytes] | None = None
        self._graves: set[str] = set()
        self.on("month", self._expired_months, self._expire_month)

    def on(
        self, kind: str, graves: Callable[[], list[Grave]], bury: Callable[[dict[str, Any]], None]
    ) -> None:
        """Keep graves of a kind. Call before the manager starts.

        Args:
            kind: lower-case letters; the names of its graves begin with it and `-`.
            graves: all that were destroyed, ever, as it stands on the disk.
            bury: destroys it again in a restored manager; may be called twice.
        """
        self._diggers[kind], self._buriers[kind] = graves, bury

    def keep(self, vault: Vault) -> None:
        """Bring the vault up to date.

        Raises:
            TargetError: it can't be reached.
            ValueError: months' keys are not sealed to a recovery key.
        """
        if self._kept is None:
            self._kept = {name: vault.target.get(name) for name in vault.target.names("months")}
            self._graves = {name.removeprefix("graves/") for name in vault.target.names("graves")}
        for kind, graves in self._diggers.items():
            for name, value in graves():
                if name not in self._graves:
                    vault.put_grave(name, {**value, "kind": kind})
                    self._graves.add(name)
        for log, period, box in self._manager.keys.periods():
            name = month_name(log, period)
            if box is None:
                if name in self._kept:
                    vault.target.delete(name)
                    del self._kept[name]
            elif self._kept.get(name) != box:
                vault.target.put(name, box)
                self._kept[name] = box

    def forget(self) -> None:
        """Look anew at what is there."""
        self._kept = None

    def bury(self, grave: dict[str, Any]) -> bool:
        """Destroy again what a grave names; False where nobody knows its kind."""
        burier = self._buriers.get(str(grave.get("kind")))
        if burier is None:
            return False
        burier(grave)
        return True

    def _expired_months(self) -> list[Grave]:
        return [
            (f"month-{log.hex()}-{period.replace('/', '-')}", {"log": log.hex(), "period": period})
            for log, period, box in self._manager.keys.periods()
            if box is None
        ]

    def _expire_month(self, grave: dict[str, Any]) -> None:
        self._manager.keys.destroy_month(bytes.fromhex(grave["log"]), str(grave["period"]))
