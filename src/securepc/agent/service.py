"""The agent: collectors, journal, upload, heartbeat, policy, put together. No globals: a process may run
several, each in a folder of its own.

Four threads besides the collectors': the journal's; the *courier*, which sends sealed batches; the
*herald*, which sends open lines and heartbeats and looks at the clock; the *listener*, which waits for
what the manager has to say.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from securepc import __version__
from securepc.agent import config as configs
from securepc.agent import enrol, herald, platform, renewal, status
from securepc.agent.backoff import Backoff
from securepc.agent.client import Client
from securepc.agent.clockwatch import ClockWatch
from securepc.agent.collect import Collector, Context
from securepc.agent.collectors import Collectors
from securepc.agent.enforce import Enforcer
from securepc.agent.guard import Guard, MakeEnforcers
from securepc.agent.herald import Herald
from securepc.agent.journal import Journal, Limits
from securepc.agent.platform.base import Clock
from securepc.agent.policy import PolicyHolder
from securepc.agent.recorder import Recorder
from securepc.agent.renewal import Renewal
from securepc.agent.report import Reporter
from securepc.agent.session import Session
from securepc.agent.state import State
from securepc.agent.trouble import Trouble
from securepc.agent.trust import Trust
from securepc.agent.upload import Uploader
from securepc.wire.event import Event
from securepc.wire.keys import SigningKey

_log = logging.getLogger(__name__)

_SETTLED = 2.0
"""Seconds for which a PC that is to sleep waits for the disk; logind lets it wait for five."""
MakeCollectors = Callable[[Context], Sequence[Collector]]


class Intervals(NamedTuple):
    """Seconds. Changed in tests only."""

    heartbeat: float = 60.0
    announce: float = 0.5  # least time between two requests with open lines
    tick: float = 1.0  # how often clock and collectors are looked at
    status: float = 2.0
    timeout: float = 20.0


class Agent:
    """One device's agent in its folder (`HOME/agent`).

    `collectors` makes the collectors, `doors` the enforcers; None means those of this operating system,
    `no_collectors` and `no_doors` none.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        collectors: MakeCollectors | None = None,
        doors: MakeEnforcers | None = None,
        machine: platform.Machine | None = None,
        limits: Limits | None = None,
        intervals: Intervals | None = None,
    ) -> None:
        """Take the folder and open what is in it.

        Raises:
            NotEnrolled, BadConfig, ChainKeyLost: this PC has to be enrolled (anew).
            AlreadyRunning: another agent works in this folder.
        """
        self.folder = folder
        self.config = configs.read(folder)
        self.clock = clock or platform.clock()
        self._machine = machine or platform.machine()
        self._intervals = intervals or Intervals()
        self._limits = limits or Limits()
        self._stopping = threading.Event()
        self._news = threading.Event()
        """Something became durable or sealed."""
        self._sealed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._pulse = time.monotonic()
        with contextlib.ExitStack() as opened:
            opened.enter_context(status.locked(folder))
            enrol.finish(folder)
            self._state = State(folder)
            opened.callback(self._state.close)
            key = configs.read_key(folder)
            self._assemble(key, collectors or platform.collectors, doors or platform.doors)
            self._resources = opened.pop_all()

    def _assemble(self, key: SigningKey, collectors: MakeCollectors, doors: MakeEnforcers) -> None:
        config, clock, state = self.config, self.clock, self._state
        recorder = self._recorder = Recorder(clock)
        policy = self.policy = PolicyHolder(config, state, recorder.report)
        recorder.policy = lambda: policy.name
        journal = self.journal = recorder.journal = Journal(
            self.folder,
            renewal.identity(self.folder, config, key),
            clock,
            note_to_entry=recorder.entry,
            changed=self._changed,
            limits=self._limits_of_policy(),
        )
        made = collectors(Context(self.folder, clock, policy.raw, lambda: journal.flush(_SETTLED)))
        self._collectors = Collectors(made, recorder)
        session = self._session = Session(config, key, clock)
        self._clients = [
            Client(config.address, ca_file=config.ca_file, timeout=self._intervals.timeout) for _ in range(5)
        ]
        to_upload, to_announce, self._to_listen, to_ask, to_follow = self._clients
        self._trust = Trust(self.folder, config, to_follow, recorder.report, self._go, journal, state)
        renewing = self.renewal = Renewal(
            self.folder, config, key, journal, session, to_upload, state, recorder.report, self._changed
        )
        self.uploader = Uploader(
            config,
            journal.queue,
            state,
            session,
            to_upload,
            policy,
            report=recorder.report,
            heard=lambda: self._reporter.contact(),
            follow=self._trust.follow,
            renewing=renewing.look,
        )
        self._herald = Herald(config, journal, state, session, to_announce, clock)
        asking = threading.Lock()

        def call(method: str, path: str, body: bytes) -> bytes:
            with asking:
                return session.call(to_ask, method, path, body)

        self.guard = Guard(
            self.folder,
            config,
            clock,
            state,
            policy,
            recorder,
            journal,
            session,
            call,
            lambda: self._reporter.last_contact,
            doors,
            self._collectors.status,
            lambda: self._reporter.status(),
        )
        self._reporter = Reporter(
            config, journal, self.uploader, policy, self._collectors, self.guard.doors, clock
        )
        self._watch = ClockWatch(clock)
        renewing.serve(self.guard.orders, self.guard.local)

    def start(self) -> None:
        """Recover the journal, record the start, begin to collect and to send; returns when it collects.

        Raises:
            OSError: the disk refuses; starting again later is right.
        """
        self.journal.start()
        self._recorder.report(
            "agent.start",
            {"version": __version__, "os": self._machine.os, "name": self._machine.hostname},
        )
        self._record_enrolment()
        self.guard.start()
        for name, work in (("courier", self._courier), ("herald", self._heralds), ("listener", self._listen)):
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        self._collectors.start()
        self._write_status()

    def _record_enrolment(self) -> None:
        """At the first start: that this PC was enrolled, and the policy that came with it."""
        frame = self._state.get(enrol.ENROLLED)
        if frame is None:
            return
        machine = self._machine
        self._recorder.report(
            "agent.enrolled", {"name": machine.hostname, "os": machine.os, "version": __version__}
        )
        if frame and self.policy.offer(frame.decode("ascii")):
            self.journal.limits = self._limits_of_policy()
        self.journal.flush(5.0)
        self._state.drop(enrol.ENROLLED)

    def record(self, event: Event) -> bool:
        """Record an event; False where there was no room and it was counted as lost. Never raises."""
        return self._recorder.record(event)

    def stop(self, reason: str = "stopped", *, grace: float = 5.0) -> bool:
        """Stop collecting, seal, send what can be sent within `grace` seconds, end. Whether it sealed."""
        if self._stopping.is_set():
            return self.journal.stop()
        self.guard.stop()
        self._collectors.stop()
        done = self.journal.stop([self._recorder.entry("agent.stop", {"reason": reason})])
        end = time.monotonic() + grace
        self._news.set()
        self._sealed.set()
        while time.monotonic() < end and self._reporter.reachable and not self._all_sent():
            time.sleep(0.02)
        self._stopping.set()
        self._news.set()
        self._sealed.set()
        for client in self._clients:
            client.abort()
        for thread in self._threads:
            thread.join(5.0)
        self._write_status()
        self._resources.close()
        return done

    def is_alive(self, within: float = 120.0) -> bool:
        """Whether all threads are there, and the herald came round in the last seconds: no request lasts so
        long. A watchdog may end what is not."""
        return all(thread.is_alive() for thread in self._threads) and time.monotonic() - self._pulse < within

    def status(self) -> dict[str, Any]:
        """What `agent status` shows."""
        return self._reporter.status()

    def _changed(self) -> None:
        self._news.set()
        self._sealed.set()

    def _trouble(self, trouble: Trouble) -> None:
        """Shown, unless it was only that the manager has other keys by now."""
        if trouble.code in ("impostor", "moving") and self._trust.follow():
            trouble.retry_after = 0.0
            return
        self._reporter.trouble(trouble)

    def _go(self) -> None:
        """The agency has moved to another manager."""
        for client in self._clients:
            client.go(self.config.address, self.config.ca_file)

    def _all_sent(self) -> bool:
        return not self.journal.queue.after(self.uploader.acknowledged, 1)

    def _limits_of_policy(self) -> Limits:
        seal = self.policy.rules.seal
        return self._limits._replace(
            seal=min(self._limits.seal, float(seal.seconds)),
            seal_entries=min(self._limits.seal_entries, seal.entries),
        )

    # The courier.

    def _courier(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                more = self.uploader.step()
                backoff.reset()
                delay = 0.0 if more else None
            except Trouble as trouble:
                self._trouble(trouble)
                delay = backoff.next(trouble.retry_after)
            except Exception as error:
                delay = backoff.next(10.0)
                self._unexpected("upload", error)
            self._rest(delay, backoff)

    def _rest(self, delay: float | None, backoff: Backoff) -> None:
        """Wait for a sealed batch, or so long; less when another thread finds the manager answering again."""
        if delay is None:
            self._sealed.wait(60.0)
            self._sealed.clear()  # before all looks, also the one whether to stop
            return
        end = time.monotonic() + delay
        failing = not self._reporter.reachable
        while (left := end - time.monotonic()) > 0 and not self._stopping.wait(min(left, 0.5)):
            if failing and self._reporter.reachable:
                backoff.reset()
                return

    # The herald.

    def _heralds(self) -> None:
        backoff = Backoff()
        beat_at = announce_at = tick_at = status_at = 0.0
        told: dict[str, str] = {}
        while not self._stopping.is_set():
            now = self._pulse = time.monotonic()
            self._news.clear()
            try:
                if now >= tick_at:
                    tick_at = now + self._intervals.tick
                    self._tick()
                    states = {name: one["state"] for name, one in self._collectors.status().items()}
                    if states != told:  # what is recorded and what not is told now, not at the next minute
                        told, beat_at = states, now
                if now >= beat_at:
                    beat_at = now + self._intervals.heartbeat
                    self.policy.check_expiry(self._herald.beat(self._reporter.brief))
                    self._reporter.contact()
                provisional = self.policy.rules.seal.provisional
                if now >= announce_at and provisional and self._herald.announce():
                    announce_at = now + self._intervals.announce
                    self._reporter.contact()
                backoff.reset()
            except Trouble as trouble:
                self._trouble(trouble)
                announce_at = now + min(backoff.next(trouble.retry_after), 30.0)
            except Exception as error:
                announce_at = now + 10.0
                self._unexpected("heartbeat", error)
            if now >= status_at:
                status_at = now + self._intervals.status
                self._write_status()
            pause = announce_at - time.monotonic()
            if pause > 0:
                self._stopping.wait(min(pause, self._intervals.tick))
            else:
                self._news.wait(self._intervals.tick)

    def _tick(self) -> None:
        jump = self._watch.look()
        if jump is not None:
            drift, before = jump
            then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before // 1_000_000))
            self._recorder.report("agent.clock", {"drift": drift, "previous": then})
        self._collectors.retry()

    # The listener.

    def _listen(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            begin = time.monotonic()
            try:
                orders = self.guard.orders
                news = herald.listen(
                    self._session, self._to_listen, self.policy.version, orders.taken, self._trust.latest
                )
                self._reporter.contact()
                backoff.reset()
                self._trust.news(news.keys)  # first: what follows may be signed by the new ones
                useful = news.policy is not None and self.policy.offer(news.policy)
                if useful:
                    self.journal.limits = self._limits_of_policy()
                    self.guard.doors.wake()
                useful |= orders.offer(news.orders) > 0
                if news.seal:
                    self.journal.seal(timeout=10.0)
                # Whoever answers at once with nothing new does not get asked again at once.
                delay = 0.0 if useful or news.seal or time.monotonic() - begin > 5.0 else 1.0
            except Trouble as trouble:
                self._trouble(trouble)
                delay = backoff.next(trouble.retry_after)
            except Exception as error:
                delay = 30.0
                self._unexpected("wait", error)
            self._stopping.wait(delay)

    def _unexpected(self, where: str, error: Exception) -> None:
        """Our own mistake, or a disk that fails: shown and recorded, never the end of a thread."""
        if self._stopping.is_set():
            return
        _log.exception("in %s", where)
        if self._reporter.unexpected(where, error):
            data = {
                "detail": f"{where}: {type(error).__name__}: {error}",
                "ja": f"エージェントの処理({where})でエラーが起きました。自動でやり直します。",
                "en": f"an error in the agent ({where}); it is tried again",
            }
            self._recorder.report("agent.error", data)

    def _write_status(self) -> None:
        with contextlib.suppress(OSError):
            status.write(self.folder, self.status())


def no_doors(context: object) -> Sequence[Enforcer]:
    """For PCs that are simulated: they have no doors."""
    return ()


def no_collectors(context: Context) -> Sequence[Collector]:
    """For PCs that are simulated: their events come by `record`."""
    return ()
