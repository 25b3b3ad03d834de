"""A day at a simulated desk, as it was (`office_day`) or as time passes (`office_now`)."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Iterator
from itertools import accumulate, count
from random import Random
from typing import Any

from securepc.agent.simulate.tasks import TASKS, Desk, Step
from securepc.wire.event import Event

USERS = ("kakuu.taro", "mihon.hanako", "reiji.jiro", "kamei.momoko", "mogi.kenta", "soutei.misaki")
"""Logon names of simulated people; all read as "fictitious", "sample", "example" …"""

ENTRIES = 10_000
"""Entries of an ordinary PC-day."""

DAY = datetime.date(2026, 11, 24)
"""The day that is simulated where none is asked for: a Tuesday."""

_JST = datetime.timezone(datetime.timedelta(hours=9))
# How busy each half hour is; nobody works between the lunch bell and one o'clock, nor at night.
_BUSY = {
    9.0: 8,
    9.5: 9,
    10.0: 8,
    10.5: 8,
    11.0: 9,
    11.5: 6,
    12.0: 0.5,
    12.5: 0.5,
    13.0: 8,
    13.5: 9,
    14.0: 9,
    14.5: 8,
    15.0: 7,
    15.5: 8,
    16.0: 9,
    16.5: 8,
    17.0: 6,
    17.5: 3,
}

Stamp = Callable[[], tuple[int, int, str]]
"""Gives wall clock µs, boot-time clock µs and boot id of this moment."""


def office_day(
    seed: int,
    user: str = USERS[0],
    *,
    day: datetime.date = DAY,
    entries: int = ENTRIES,
    system: str = "linux",
    policy: str = "1.1",
) -> Iterator[Event]:
    """Exactly `entries` events of one PC-day (at least 60), oldest first, always the same for a seed.

    Args:
        system: "linux" or "windows": how paths and programs are spelled.
    """
    rng = Random(f"securepc office {seed} {user} {day.isoformat()} {system}")  # noqa: S311 - repeatable
    desk = Desk(rng, user, system)
    date = day.strftime("%Y%m%d")
    midnight = datetime.datetime.combine(day, datetime.time(), _JST).timestamp()
    on = midnight + 8.6 * 3600 + rng.uniform(0, 1200)
    timeline = [(on + at, step) for at, step in _frame(desk, (midnight + 17.9 * 3600) - on)]
    starts, weights = list(_BUSY), list(accumulate(_BUSY.values()))
    tasks, odds = list(TASKS), list(accumulate(TASKS.values()))
    while len(timeline) < entries:
        hour = rng.choices(starts, cum_weights=weights)[0] + rng.random() / 2
        at = midnight + hour * 3600
        for step in rng.choices(tasks, cum_weights=odds)[0](desk, date):
            at += step.wait
            timeline.append((at, step))
    del timeline[entries:]
    timeline.sort(key=lambda item: item[0])
    boot = f"{rng.getrandbits(128):032x}"
    for at, step in timeline:
        yield Event(
            kind=step.kind,
            at=int(at * 1_000_000),
            up=int((at - on + 31) * 1_000_000),
            boot=boot,
            user=user,
            policy=policy,
            result=step.result,
            data=_dated(step.kind, step.data, int(at * 1_000_000)),
        )


def office_now(
    seed: int,
    user: str = USERS[0],
    *,
    stop: threading.Event,
    rate: float = 1.0,
    system: str = "linux",
    policy: str = "1.1",
    stamp: Stamp | None = None,
) -> Iterator[Event]:
    """The same office in real time until `stop` is set: `rate` events a second on average, in flurries.

    The first events come at once, so that a fresh demo has something to show.
    """
    rng = Random(seed)  # noqa: S311 - repeatable
    stamp = stamp or _stamp(f"{rng.getrandbits(128):032x}")
    flurry = 40
    for turn in count():
        for event in office_day(seed + turn, user, entries=2_000, system=system):
            if event.kind in ("power.off", "session.logoff"):
                continue
            if flurry > 0:
                flurry -= 1
            else:
                flurry = rng.choice((0, 0, 1, 3, 8, 20))
                if stop.wait(rng.expovariate(rate / (flurry + 1))):
                    return
            if stop.is_set():
                return
            at, up, boot = stamp()
            data = _dated(event.kind, event.data, at)
            yield Event(event.kind, at, up, boot, event.user, policy, event.result, data)


def _frame(desk: Desk, off: float) -> Iterator[tuple[float, Step]]:
    """What happens every day: switched on, logged on, lunch, locked screens, switched off."""
    rng, interface = desk.rng, desk.system.interface
    mac = f"02:00:00:{rng.randrange(256):02x}:{rng.randrange(256):02x}:{rng.randrange(256):02x}"
    address = f"192.0.2.{rng.randrange(20, 200)}/24"
    session = {"session": "2", "terminal": "tty2"}
    yield 0, Step(0, "power.on", {})
    yield 3, Step(0, "agent.start", {"version": "0.1.0", "os": "simulated", "name": f"SIM-{desk.user}"})
    network = {"interface": interface, "mac": mac, "wireless": True, "addresses": [address]}
    yield 6, Step(0, "network.up", network)
    gateway = {"interface": interface, "gateway": "192.0.2.1", "gateway_mac": "02:00:00:00:00:01"}
    yield 7, Step(0, "network.gateway", gateway)
    yield 40, Step(0, "session.logon", session)
    locks = [11_600 + rng.uniform(0, 600), *sorted(rng.uniform(2_000, off - 4_000) for _ in range(6))]
    for turn, at in enumerate(locks):
        yield at, Step(0, "session.lock", {"session": "2"})
        back = at + (rng.uniform(2_400, 3_000) if turn == 0 else rng.uniform(60, 900))
        yield back, Step(0, "session.unlock", {"session": "2"})
    for hour in range(1, 10):
        counts = {"system-paths": rng.randrange(200, 3_000), "own-files": rng.randrange(100, 900)}
        yield hour * 3600, Step(0, "collect.suppressed", {"count": sum(counts.values()), "rules": counts})
    yield off, Step(0, "session.logoff", session)
    yield off + 4, Step(0, "agent.stop", {"reason": "shutdown"})
    yield off + 5, Step(0, "power.off", {"reason": "shutdown"})


def _dated(kind: str, data: dict[str, Any], at: int) -> dict[str, Any]:
    """Fill in the times of summaries, which only the day knows."""
    if kind == "file.burst":
        return {**data, "first": at - 9_000_000, "last": at}
    if kind == "collect.suppressed":
        return {**data, "first": at - 3_600_000_000, "last": at}
    return data


def _stamp(boot: str) -> Stamp:
    """The clocks of this machine under another boot id."""

    def now() -> tuple[int, int, str]:
        up = (
            time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            if hasattr(time, "CLOCK_BOOTTIME")
            else time.monotonic_ns()
        )
        return time.time_ns() // 1000, up // 1000, boot

    return now
