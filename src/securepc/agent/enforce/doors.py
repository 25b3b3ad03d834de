"""Runs the enforcers: each on a thread of its own, so that a slow or broken door leaves the others shut."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from securepc.agent.enforce import Context, DoorState, Enforcer
from securepc.agent.platform.base import Unsupported

_log = logging.getLogger(__name__)
EVERY = 60.0
"""Seconds between two looks at a door that nothing woke."""
AT_LEAST = 0.05
"""Seconds between two looks that something woke."""


def make(name: str, maker: Callable[[Context], Enforcer], context: Context) -> Enforcer:
    """Make an enforcer. One that cannot be made is `failed` and cannot be removed, and says why; the others
    are kept, and undone, without it."""
    try:
        return maker(context)
    except Exception as error:
        _log.exception("door %s could not be made", name)
        return _Unmade(name, error)


class _Unmade:
    """Stands for an enforcer that could not be made."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        self._error = error

    def start(self, wake: Callable[[], None]) -> None:
        """Nothing to listen to."""

    def reconcile(self) -> NoReturn:
        """Say why."""
        raise self._error

    def stop(self) -> None:
        """Nothing was begun."""

    def remove(self) -> NoReturn:
        """What it did to this PC may still be there."""
        raise self._error


class Doors:
    """All doors of one agent."""

    def __init__(self, context: Context, enforcers: Sequence[Enforcer]) -> None:
        self._keepers = [_Keeper(context, one) for one in enforcers]

    def start(self) -> None:
        """Begin to keep them; returns at once."""
        for one in self._keepers:
            one.thread.start()

    def looked(self) -> bool:
        """Whether each was looked at once since the start: it is shut, or has said why not."""
        return all(one.state is not None for one in self._keepers)

    def wake(self) -> None:
        """The policy or the situation changed: look at all of them now."""
        for one in self._keepers:
            one.wake()

    def stop(self, seconds: float = 10.0) -> None:
        """End; the doors stay as they are."""
        for one in self._keepers:
            one.stopping = True
            one.wake()
        end = time.monotonic() + seconds
        for one in self._keepers:
            if one.thread.is_alive():
                one.thread.join(max(0.0, end - time.monotonic()))

    def status(self) -> dict[str, dict[str, Any]]:
        """What was last read back of each: name → state, ja, en, data, at (microseconds UTC)."""
        return {
            one.enforcer.name: {**one.state._asdict(), "at": one.at} for one in self._keepers if one.state
        }


class _Keeper:
    def __init__(self, context: Context, enforcer: Enforcer) -> None:
        self._context = context
        self.enforcer = enforcer
        self.state: DoorState | None = None
        self.at = 0
        self.stopping = False
        self._news = threading.Event()
        self._told: tuple[str, str] | None = None
        self.thread = threading.Thread(target=self._run, name=f"door-{enforcer.name}", daemon=True)

    def wake(self) -> None:
        self._news.set()

    def _run(self) -> None:
        started = False
        while not self.stopping:
            begin = time.monotonic()
            try:
                if not started:
                    self.enforcer.start(self.wake)
                    started = True
                state = self.enforcer.reconcile()
            except Unsupported as error:
                state = DoorState("unsupported", error.ja, error.en)
            except Exception as error:
                _log.exception("door %s", self.enforcer.name)
                why = f"{type(error).__name__}: {error}"[:300]
                state = DoorState(
                    "failed",
                    f"「{self.enforcer.name}」の制御でエラーが起きました({why})。1分以内にやり直します。",
                    f"keeping the door {self.enforcer.name} failed ({why}); trying again within a minute",
                )
            self._saw(state)
            self._news.wait(EVERY)
            self._news.clear()  # before all looks, also the one whether to stop
            self._pause(begin)
        try:
            self.enforcer.stop()
        except Exception:
            _log.exception("door %s did not stop", self.enforcer.name)

    def _pause(self, begin: float) -> None:
        left = begin + AT_LEAST - time.monotonic()
        if left > 0 and not self.stopping:
            time.sleep(left)

    def _saw(self, state: DoorState) -> None:
        """Remember it; a door's state is an entry whenever it becomes another."""
        self.state, self.at = state, self._context.clock.at()
        now = (state.state, state.en)
        first = self._told is None
        if self._told == now:
            return
        self._told = now
        if first and state.state == "off":
            return
        data = {"door": self.enforcer.name, "state": state.state, "ja": state.ja, "en": state.en}
        failed = state.state in ("failed", "partly", "unsupported")
        self._context.report("door.state", data, result="failed" if failed else "ok")
