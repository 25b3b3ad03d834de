"""Whether the PC was on, asleep, or on its way down.

The system's announcement of sleep is recorded, and on the disk, before the PC sleeps. What nobody announced
is found afterwards: the boot-time clock runs on asleep, the other one does not, and the difference is kept on
the disk, so that a sleep is told once even where the agent did not run meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import msgspec

from securepc.agent.collect import RUNNING, CollectorStatus, Context, kept
from securepc.agent.collect.looking import BY_POLICY, LookingCollector
from securepc.agent.platform.base import Unsupported
from securepc.wire.event import Event
from securepc.wire.policy import read_rules
from securepc.wire.shapes import prepared

NAME = "asleep.json"
"""In the agent's folder: what was told last."""
_EVERY = 2.0
_SLEPT = 2_000_000
"""Microseconds that the clocks must come apart to count as a sleep that nobody announced."""
_AT_ONCE = 100_000
"""Microseconds that reading both clocks may take; where it took longer they are read again."""
_LIMIT = 10_000
_AGAIN = 30
"""Looks after which a system that did not tell of sleep is asked again."""


class Lookout(Protocol):
    """A system's way to see sleep and shutdown."""

    def awake(self) -> int:
        """Microseconds since boot, time asleep not counted."""

    def going_down(self) -> str:
        """`shutdown` or `reboot` where the PC is on its way there, else empty."""

    def listen(self, before: Callable[[str], None], after: Callable[[], None]) -> None:
        """As `base.power.Power.start`, on a thread of its own. May be called again after `close`.

        Raises:
            Unsupported: the system does not tell.
        """

    def close(self) -> None:
        """Listen no more; harmless where it did not."""


@prepared
class _Told(msgspec.Struct):
    """`asleep`: microseconds of this boot asleep that were told. `suspended`: told so, and of no resume."""

    boot: str = ""
    asleep: int = 0
    suspended: bool = False


class PowerCollector(LookingCollector):
    """`Collector` of start, sleep and shutdown."""

    name = "power"
    kinds: tuple[str, ...] = ("power.on", "power.off", "power.suspend", "power.resume")

    def __init__(self, context: Context, lookout: Lookout, *, every: float = _EVERY) -> None:
        super().__init__(context, every, "電源", "power")
        self._lookout = lookout
        self._path = context.home / NAME
        self._lock = threading.Lock()
        self._boot = context.clock.boot.hex()
        self._told = _Told()
        self._seen: tuple[int, int] | None = None  # wall and boot-time clock at the last look
        self._announced_end = False
        self._listening = False
        self._looks = 0
        self._deaf = RUNNING

    def begin(self) -> None:
        """Tell what has happened since the last time."""
        self._told = kept.read(self._path, _Told, _LIMIT)
        self._seen, self._announced_end, self._looks = None, False, 0
        self.look()

    def look(self) -> CollectorStatus:
        """See `LookingCollector`."""
        if not self._on():
            self._close()
            self._forget()
            return BY_POLICY
        with self._lock:
            self._compare()
        if not self._listening and self._looks % _AGAIN == 0:
            self._listen()
        self._looks += 1
        return RUNNING if self._listening else self._deaf

    def stop(self) -> None:
        """End; where that is because the PC goes down, say so."""
        running = self._thread is not None
        super().stop()
        if running and self._on() and (way := self._way()):
            self.emit(self.context.event("power.off", {"reason": way}))
        self._close()

    def _on(self) -> bool:
        return read_rules(self.context.rules()).collect.power.on

    def _way(self) -> str:
        """How the PC goes down: the system's list of what it does knows more than its announcement."""
        return self._lookout.going_down() or ("shutdown" if self._announced_end else "")

    # What the clocks say.

    def _compare(self) -> None:
        asleep = self._asleep()
        if self._told.boot != self._boot:
            at, up = self.context.clock.at(), self.context.clock.up()
            self.emit(self.context.event("power.on", {"since": at - up}))
            self._keep(_Told(self._boot, asleep))
        elif self._told.suspended and (self._seen is None or asleep - self._told.asleep > _SLEPT):
            self._resumed()  # an agent that was killed meanwhile, or that woke before it was told
        elif not self._told.suspended and asleep - self._told.asleep > _SLEPT:
            if self._seen is not None:  # else nobody knows when
                self.emit(Event("power.suspend", *self._seen, self._boot, data={"reason": "clocks"}))
            self._resumed()
        elif not self._told.suspended and self._seen is not None:
            self._told.asleep = asleep  # naps too short to tell do not add up to one that is told
        self._seen = self.context.clock.at(), self.context.clock.up()

    def _asleep(self) -> int:
        """Microseconds of this boot that the PC was asleep. Who is held up between the clocks reads again."""
        while True:
            before = self._lookout.awake()
            up = self.context.clock.up()
            after = self._lookout.awake()
            if after - before < _AT_ONCE or self.ending.is_set():
                return max(0, up - after)

    def _resumed(self) -> None:
        asleep = self._asleep()
        self.emit(self.context.event("power.resume", {"slept": max(0, asleep - self._told.asleep)}))
        self._keep(_Told(self._boot, asleep))

    # What the system announces, from its own thread.

    def _listen(self) -> None:
        try:
            self._lookout.listen(self._before, self._after)
        except Unsupported as error:
            self._deaf = CollectorStatus(
                "degraded",
                f"{error.ja}スリープは、復帰後に時計の差から記録します(2秒以下のものは記録できません)。",
                f"{error.en}: sleep is recorded after it, by the clocks, and not where it took 2 s or less",
            )
        else:
            self._listening = True

    def _close(self) -> None:
        self._lookout.close()
        self._listening = False

    def _before(self, what: str) -> None:
        """The PC sleeps or goes down when this returns."""
        if what == "shutdown":
            self._announced_end = True
            return
        with self._lock:
            if not self._on():
                return
            self._compare()
            if self._told.suspended:
                self._resumed()
            self.emit(self.context.event("power.suspend", {"reason": "announced"}))
            self._keep(_Told(self._boot, self._asleep(), suspended=True))
            self.context.settle()

    def _after(self) -> None:
        """It is awake, or does not go down after all."""
        self._announced_end = False
        with self._lock:
            if self._told.suspended and self._on():
                self._resumed()

    # What was told.

    def _forget(self) -> None:
        """What happens while nothing is recorded is not told later."""
        with self._lock:
            self._seen = None
            asleep = self._asleep()
            if self._told.suspended or asleep - self._told.asleep > _SLEPT:
                self._keep(_Told(self._told.boot, asleep))

    def _keep(self, told: _Told) -> None:
        self._told = told
        kept.write(self._path, told)
