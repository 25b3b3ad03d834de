"""Warnings reach people also where no tray runs: on their desktop, or written to their terminals."""

from __future__ import annotations

import logging
import threading

from securepc.agent.notices import Notice, Notices
from securepc.agent.platform.base.telling import Teller
from securepc.agent.state import State

_log = logging.getLogger(__name__)
PATIENCE = 12.0
"""Seconds after the agent's start in which trays find it again."""
_VALUE = "notices.cried"
_LOUD = ("warn", "block")


class Crier:
    """A thread that watches the notices. `patience` is changed in tests only."""

    def __init__(self, notices: Notices, state: State, teller: Teller, patience: float = PATIENCE) -> None:
        self._notices, self._state, self._teller = notices, state, teller
        self._patience = patience
        self._stopping = threading.Event()
        self._number = self._load()

    def start(self) -> None:
        """Begin, with what was told last before the agent ended and may have reached nobody."""
        threading.Thread(target=self._run, name="crier", daemon=True).start()

    def stop(self) -> None:
        """End; harmless if never started."""
        self._stopping.set()

    def _load(self) -> int:
        stored = self._state.get(_VALUE)
        number = int(stored) if stored is not None and stored.isdigit() else 0
        return min(number, self._notices.last) if stored is not None else self._notices.last

    def _run(self) -> None:
        self._stopping.wait(self._patience)
        while not self._stopping.is_set():
            for notice in self._notices.next(self._number, 1.0):
                if self._stopping.is_set():
                    return
                try:
                    self._cry(notice)
                    self._number = notice.number
                    self._state.put(_VALUE, b"%d" % notice.number)
                except Exception:  # of the disk, say: the notice itself is kept all the same
                    _log.exception("notice %d", notice.number)
                    self._number = notice.number

    def _cry(self, notice: Notice) -> None:
        if notice.level not in _LOUD:
            return
        for user in sorted(self._teller.people()):
            if notice.user in ("", user) and not self._notices.looked_at(user):
                where = self._teller.tell(user, notice.level, notice.ja, notice.en)
                _log.info("notice %d: %s told at %s", notice.number, user, ", ".join(where) or "no place")
