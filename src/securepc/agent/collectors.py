"""Runs the collectors: each apart from the others, so that what one does never stops another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from securepc.agent.collect import Collector, CollectorStatus
from securepc.agent.platform.base import Unsupported
from securepc.agent.recorder import Recorder
from securepc.wire.event import Event

_log = logging.getLogger(__name__)
RETRY = 60.0
"""Seconds after which a collector that failed, at the start or later, is tried again."""
START_WITHIN = 30.0
STOP_WITHIN = 10.0
"""Seconds that starting and stopping all of them may take before the agent goes on without waiting."""


class Collectors:
    """The collectors of one agent."""

    def __init__(self, collectors: Sequence[Collector], recorder: Recorder) -> None:
        self._collectors = list(collectors)
        self._recorder = recorder
        self._failed: dict[str, tuple[CollectorStatus, float]] = {}
        self._told: dict[str, str] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start all of them; a failure is an event and is tried again later."""
        self._side_by_side(self._start, START_WITHIN)

    def stop(self) -> None:
        """Stop all of them. One that hangs is left behind: what it saw before is recorded."""
        self._side_by_side(self._stop, STOP_WITHIN)

    def retry(self) -> None:
        """Try again what failed a while ago. Call now and then."""
        now = time.monotonic()
        crashed = [one for one in self._collectors if self._crashed(one)]
        with self._lock:
            for one in crashed:
                self._failed.setdefault(one.name, (one.status(), now + RETRY))
            due = [name for name, (_, at) in self._failed.items() if at <= now]
            for name in due:
                self._failed[name] = (self._failed[name][0], now + RETRY)
        for one in self._collectors:
            if one.name in due:
                if one in crashed:
                    self._stop(one)
                self._start(one)

    def _crashed(self, one: Collector) -> bool:
        try:
            return one.status().crashed
        except Exception:
            return False

    def status(self) -> dict[str, dict[str, str]]:
        """What each of them says: name → state, ja, en."""
        out = {}
        for one in self._collectors:
            with self._lock:
                failed = self._failed.get(one.name)
            try:
                said = failed[0] if failed else one.status()
            except Exception as error:
                said = _failure(one.name, error)
            out[one.name] = {"state": said.state, "ja": said.ja, "en": said.en}
        return out

    def _side_by_side(self, work: Callable[[Collector], None], seconds: float) -> None:
        threads = [
            threading.Thread(target=work, args=(one,), name=f"collector-{one.name}", daemon=True)
            for one in self._collectors
        ]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _stop(self, one: Collector) -> None:
        try:
            one.stop()
        except Exception as error:
            _log.exception("collector %s did not stop", one.name)
            self._tell(one.name, error)

    def _start(self, one: Collector) -> None:
        try:
            one.start(self._emit)
        except Unsupported as error:
            with self._lock:
                self._failed[one.name] = (CollectorStatus("off", error.ja, error.en), float("inf"))
            self._tell(one.name, error)
        except Exception as error:
            _log.exception("collector %s did not start", one.name)
            with self._lock:
                self._failed[one.name] = (_failure(one.name, error), time.monotonic() + RETRY)
            self._tell(one.name, error)
        else:
            with self._lock:
                self._failed.pop(one.name, None)
                self._told.pop(one.name, None)

    def _emit(self, event: Event) -> None:
        self._recorder.record(event)

    def _tell(self, name: str, error: Exception) -> None:
        """An event, once for each different failure until it works again."""
        with self._lock:
            if self._told.get(name) == repr(error):
                return
            self._told[name] = repr(error)
        status = (
            CollectorStatus("off", error.ja, error.en)
            if isinstance(error, Unsupported)
            else _failure(name, error)
        )
        data: dict[str, Any] = {
            "collector": name,
            "how": "unsupported" if isinstance(error, Unsupported) else "failed",
            "reason": str(error) or type(error).__name__,
            "ja": status.ja,
            "en": status.en,
        }
        self._recorder.report("collect.degraded", data)


def _failure(name: str, error: Exception) -> CollectorStatus:
    why = f"{type(error).__name__}: {error}"
    return CollectorStatus(
        "off",  # whatever it could see: while it does not run, nothing of it is recorded
        f"収集機能「{name}」が動いていません({why})。",
        f"the collector {name} is not running ({why})",
    )
