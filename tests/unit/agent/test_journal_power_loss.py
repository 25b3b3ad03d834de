"""Power goes at any instant, again and again: no entry that was promised is lost, none comes twice."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from journal_kit import FakeClock, Opened, new_device, note_maker, open_store
from lossy_disk import LossyDisk, PowerLoss

from securepc.agent.journal.recovery import forget, recover
from securepc.agent.journal.store import JournalStore
from securepc.wire.event import Event, from_entry, to_entry

points = st.one_of(st.none(), st.integers(0, 40))
"""Before which disk operation from now power goes."""


class PowerLossMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        new_device(self.home)
        (self.home / "queue").mkdir()
        (self.home / "journal").mkdir()
        self.clock = FakeClock()
        self.disk = LossyDisk(self.home, seed=1)
        self.disk.__enter__()
        self.promised: list[int] = []
        self.tried = 0
        self.losses = 0
        self.store: JournalStore | None = None
        self.start(None, 1)

    def teardown(self) -> None:
        self.disk.fail_at = None
        while self.store is None:
            self.start(None, 1)
        self.store.seal(final=True)
        self.store = None
        opened = Opened(self.home)
        self.disk.__exit__()
        seen = [e.data["n"] for x in opened.entries if (e := from_entry(x)) and e.kind == "file.create"]
        assert seen == sorted(set(seen)), "an entry twice or out of order"
        assert set(self.promised) <= set(seen), "a promised entry is lost"
        assert opened.bad_seals == []
        assert "agent.tamper" not in opened.kinds(), "a power loss is no tampering"
        assert opened.kinds().count("agent.unclean") >= self.losses, "a stop that nobody is told of"
        assert list((self.home / "journal").iterdir()) == []
        shutil.rmtree(self.home)

    def attempt(self, fail_at: int | None, seed: int) -> None:
        self.disk.fail_at = fail_at
        self.disk.random.seed(seed)

    def power_loss(self) -> None:
        if self.store and self.store.open:
            self.store.open.close()
        self.losses += self.store is not None
        self.store = None
        self.disk.lose_power()
        self.clock.reboot()

    @precondition(lambda self: self.store is None)
    @rule(fail_at=points, seed=st.integers(0, 2**32))
    def start(self, fail_at: int | None, seed: int) -> None:
        self.attempt(fail_at, seed)
        self.clock.pass_time(1)
        try:
            store = open_store(self.home, self.clock)
            notes = recover(store, self.clock)
            store.open_epoch()
            if notes:
                store.commit([note_maker(self.clock)(*note) for note in notes])
                forget(store)
            self.store = store
        except PowerLoss:
            self.power_loss()
        self.disk.fail_at = None

    @precondition(lambda self: self.store is not None)
    @rule(fail_at=points, seed=st.integers(0, 2**32), count=st.integers(1, 5), size=st.integers(1, 3000))
    def commit(self, fail_at: int | None, seed: int, count: int, size: int) -> None:
        assert self.store is not None
        self.attempt(fail_at, seed)
        numbers = list(range(self.tried, self.tried + count))
        self.tried += count
        self.clock.pass_time(1)
        lines = [
            to_entry(
                Event("file.create", self.clock.at(), self.clock.up(), "00", data={"n": n, "x": "a" * size})
            )
            for n in numbers
        ]
        try:
            self.store.commit(lines)
            self.promised += numbers
        except PowerLoss:
            self.power_loss()
        self.disk.fail_at = None

    @precondition(lambda self: self.store is not None)
    @rule(fail_at=points, seed=st.integers(0, 2**32), final=st.booleans())
    def seal(self, fail_at: int | None, seed: int, final: bool) -> None:
        assert self.store is not None
        self.attempt(fail_at, seed)
        try:
            self.store.seal(final=final)
            if final:
                self.store = None
        except PowerLoss:
            self.power_loss()
            self.losses -= final  # it may have got as far as ending in good order
        self.disk.fail_at = None

    @precondition(lambda self: self.store is not None)
    @rule()
    def killed(self) -> None:
        """SIGKILL: what was written is there, synced or not."""
        self.clock.pass_time(1)
        assert self.store is not None
        if self.store.open:
            self.store.open.close()
        self.store = None
        self.losses += 1

    @invariant()
    def no_plaintext_in_the_queue(self) -> None:
        assert all(b"file.create" not in path.read_bytes() for path in (self.home / "queue").iterdir())


PowerLossMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_power_loss = PowerLossMachine.TestCase
