"""Start, sleep and shutdown: each told once, over restarts of the agent too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from securepc.agent.collect.power import NAME, PowerCollector
from securepc.agent.platform.base import Unsupported
from securepc.agent.platform.linux.powering import Powering, read_jobs
from securepc.wire.policy import default_rules, read_rules

if TYPE_CHECKING:
    from collecting import Gathered, Rules

    from securepc.agent.collect import Context

pytest_plugins = ["collecting"]

HOUR = 3_600_000_000


class Office(Powering):
    """This PC's clocks, of which one can be set back as sleep does; whose system tells what a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.slept, self.way, self.deaf = 0, "", False
        self.before: Callable[[str], None] | None = None
        self.after: Callable[[], None] = lambda: None

    def awake(self) -> int:
        return super().awake() - self.slept

    def going_down(self) -> str:
        return self.way

    def listen(self, before: Callable[[str], None], after: Callable[[], None]) -> None:
        if self.deaf:
            raise Unsupported("知る方法がありません。", "nothing tells")
        self.before, self.after = before, after

    def close(self) -> None:
        self.before = None

    def says(self, what: str) -> None:
        assert self.before is not None
        self.before(what)


@pytest.fixture
def office() -> Office:
    return Office()


def make(context: Context, office: Office) -> PowerCollector:
    return PowerCollector(context, office, every=0.02)


def told(gathered: Gathered) -> list[str]:
    return [event.kind.removeprefix("power.") for event in gathered.events]


def test_a_start_is_told_once(context: Context, office: Office, gathered: Gathered) -> None:
    for _ in range(3):
        collector = make(context, office)
        collector.start(gathered.emit)
        collector.stop()
    assert told(gathered) == ["on"]
    assert abs(gathered.of("power.on")[0]["since"] + context.clock.up() - time.time_ns() // 1000) < 5_000_000
    (context.home / NAME).write_bytes(b"{damaged")
    collector = make(context, office)
    collector.start(gathered.emit)
    collector.stop()
    assert told(gathered) == ["on", "on"], "told again rather than not at all"


def test_sleep_is_told_before_and_after_it(context: Context, office: Office, gathered: Gathered) -> None:
    settled: list[list[str]] = []
    collector = make(context._replace(settle=lambda: settled.append(told(gathered))), office)
    collector.start(gathered.emit)
    office.says("sleep")
    assert settled == [["on", "suspend"]], "on the disk before the PC sleeps"
    office.slept += HOUR
    office.after()
    office.says("sleep")
    office.after()  # it did not sleep after all
    collector.stop()
    assert told(gathered) == ["on", "suspend", "resume", "suspend", "resume"]
    assert gathered.of("power.suspend") == [{"reason": "announced"}] * 2
    first, second = (data["slept"] for data in gathered.of("power.resume"))
    assert abs(first - HOUR) < 1_000_000 and second < 1_000_000


def test_a_sleep_that_was_announced_is_told_once_whoever_notices_first(
    context: Context, office: Office, gathered: Gathered
) -> None:
    collector = make(context, office)
    collector.start(gathered.emit)
    office.says("sleep")
    office.slept += HOUR
    gathered.until(lambda g: g.of("power.resume"))  # the clocks
    office.after()
    collector.stop()
    assert told(gathered) == ["on", "suspend", "resume"]


def test_an_agent_that_is_killed_asleep_tells_of_the_end_of_that_sleep(
    context: Context, office: Office, gathered: Gathered
) -> None:
    killed = make(context, office)
    killed.begin()
    killed.emit = gathered.emit
    office.says("sleep")
    office.slept += HOUR
    collector = make(context, office)
    collector.start(gathered.emit)
    collector.stop()
    assert told(gathered) == ["suspend", "resume"]
    assert abs(gathered.of("power.resume")[0]["slept"] - HOUR) < 1_000_000


def test_sleep_that_nobody_announced_the_clocks_tell(
    context: Context, office: Office, gathered: Gathered
) -> None:
    office.deaf = True
    collector = make(context, office)
    collector.start(gathered.emit)
    gathered.until(lambda g: collector.status().state == "degraded")
    assert "時計の差" in collector.status().ja and "by the clocks" in collector.status().en
    office.slept += HOUR
    gathered.until(lambda g: g.of("power.resume"))
    collector.stop()
    assert told(gathered) == ["on", "suspend", "resume"]
    assert gathered.of("power.suspend") == [{"reason": "clocks"}]
    assert abs(gathered.of("power.resume")[0]["slept"] - HOUR) < 1_000_000
    suspend, resume = gathered.events[1:]
    assert suspend.up <= resume.up
    office.slept += HOUR  # while no agent runs
    collector = make(context, office)
    collector.start(gathered.emit)
    collector.stop()
    assert told(gathered)[3:] == ["resume"], "nobody knows when it began"


def test_a_pc_that_goes_down_says_so_at_the_end(context: Context, office: Office, gathered: Gathered) -> None:
    collector = make(context, office)
    ends: list[tuple[str, list[str], list[dict[str, str]]]] = [
        ("", [], []),
        ("reboot", ["shutdown"], [{"reason": "reboot"}]),
        ("", ["shutdown"], [{"reason": "shutdown"}]),
        ("", ["shutdown", "after"], []),  # called off
    ]
    for office.way, announced, wanted in ends:
        gathered.events.clear()
        collector.start(gathered.emit)
        gathered.until(lambda g: office.before)
        for what in announced:
            if what == "after":
                office.after()
            else:
                office.says(what)
        collector.stop()
        collector.stop()
        assert gathered.of("power.off") == wanted


def test_the_way_down_is_read_of_systemds_jobs() -> None:
    jobs = b"  301 getty@tty1.service stop waiting\n  299 reboot.target start waiting\n"
    assert read_jobs(jobs) == "reboot"
    assert read_jobs(b"12 poweroff.target start waiting") == "shutdown"
    assert read_jobs(b"12 reboot.target stop running\n13\nNo jobs running.\n") == ""


def test_off_by_policy(context: Context, office: Office, gathered: Gathered, rules: Rules) -> None:
    off = default_rules()
    off["collect"]["power"]["on"] = False
    collector = make(context, office)
    collector.start(gathered.emit)
    gathered.until(lambda g: office.before)
    on, rules.value = rules.value, off
    gathered.until(lambda g: collector.status().state == "off" and office.before is None)
    office.slept += HOUR
    time.sleep(0.1)
    rules.value = on
    gathered.until(lambda g: office.before)
    office.way = "shutdown"
    rules.value = off
    collector.stop()
    assert told(gathered) == ["on"], "what happened while it was off is not told later"


def test_a_policy_from_before_the_switch_means_what_it_meant() -> None:
    assert read_rules({}).collect.power.on
    for sessions in (True, False):
        assert read_rules({"collect": {"sessions": {"on": sessions}}}).collect.power.on is sessions
        assert read_rules({"collect": {"sessions": {"on": sessions}, "power": {}}}).collect.power.on
