"""A collector that looks every few seconds, from a thread of its own, and tells what is new since then."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from securepc.agent.collect import CollectorStatus, Context, Emit, crash

BY_POLICY = CollectorStatus("off", "ポリシーにより記録しません。", "Off by policy.")


class LookingCollector(ABC):
    """The thread of such a `Collector`; what it looks at is `look`. `ja`, `en`: what it collects."""

    def __init__(self, context: Context, every: float, ja: str, en: str) -> None:
        self.context = context
        self.emit: Emit = lambda event: None
        self.ending = threading.Event()
        self._every, self._ja, self._en = every, ja, en
        self._thread: threading.Thread | None = None
        self._status = CollectorStatus("off", "まだ開始していません。", "Not started yet.")

    @abstractmethod
    def begin(self) -> None:
        """Before the first look."""

    @abstractmethod
    def look(self) -> CollectorStatus:
        """Tell what is new; gives how much is seen. May end early where `ending` is set."""

    def start(self, emit: Emit) -> None:
        """See `Collector`."""
        self.emit = emit
        self.ending.clear()
        self.begin()
        self._thread = threading.Thread(target=self._run, name=f"collect-{self._en}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """See `Collector`."""
        self.ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._status = CollectorStatus("off", "停止しています。", "Stopped.")

    def status(self) -> CollectorStatus:
        """See `Collector`."""
        return self._status

    def _run(self) -> None:
        try:
            while not self.ending.is_set():
                self._status = self.look()
                self.ending.wait(self._every)
        except Exception as error:
            self._status, event = crash(self.context, self._ja, self._en, error)
            self.emit(event)
