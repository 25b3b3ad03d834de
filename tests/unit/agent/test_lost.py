"""The lost PC: what counts as locked, what survives, when it locks itself, how it is released."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_sessions import FakeSessions
from journal_kit import FakeClock

from securepc.agent import absence, lockfile, release
from securepc.agent import codes as desk
from securepc.agent.enforce import Context
from securepc.agent.enforce.lost import HOUR, Lost
from securepc.agent.enforce.shutting import Waits
from securepc.agent.local.server import Peer, Refused
from securepc.agent.orders import Failed
from securepc.agent.removal import _context
from securepc.agent.state import State
from securepc.wire import codes, keys
from securepc.wire.event import Event
from securepc.wire.orders import Command
from securepc.wire.policy import Rules
from securepc.wire.signed import documents, leaf

KEY = bytes(range(32))
QUICK = Waits(lock=0.1, end=0.05, all=1.0, look=0.005)
PEER = Peer(1000, 1, "kakuu.taro")
IDENTITY = keys.SigningKey(bytes(32))


class Pc:
    """A PC with its lock, restarted at will."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.sessions = FakeSessions()
        self.events: list[Event] = []
        self.places: list[str] = []
        self.placed = threading.Event()
        self.hours = 0
        self.state = State(folder)
        desk.write_key(folder, KEY)
        self.lost = self.start()

    def start(self) -> Lost:
        rules = msgspec.convert({"doors": {"lost": {"lock_hours": self.hours}}}, Rules)

        def record(event: Event) -> bool:
            self.events.append(event)
            return True

        context: Context = _context(self.folder, self.state)._replace(
            clock=self.clock, rules=lambda: rules, record=record
        )
        self.context = context
        self.lost = Lost(context, self.sessions, self._locate, QUICK)
        return self.lost

    def _locate(self, reason: str) -> dict[str, Any]:
        self.places.append(reason)
        self.placed.set()
        return {"source": "none"}

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def order(self, name: str, number: int = 7, **args: Any) -> dict[str, Any]:
        command = Command(bytes(16), bytes(16), number, 0, 2**50, name, args)
        return self.context.orders._handlers[name](command)

    def ask(self, name: str, **more: Any) -> dict[str, Any]:
        return self.context.local._handlers[name](PEER, {"ask": name, **more})

    def code(self) -> str:
        challenge = self.ask("lock.challenge")["challenge"]
        return codes.show(codes.response(KEY, release.PURPOSE, challenge, release.DETAILS))

    def heartbeat(self) -> None:
        """The manager has countersigned."""
        value = {
            "log": "00" * 16,
            "device": "00" * 16,
            "boot": "00" * 16,
            "epoch": 1,
            "sequence": 1,
            "head": documents.b64encode(bytes(32)),
            "at": self.clock.at(),
        }
        frame = leaf.frame("heartbeat", documents.encode("heartbeat", value), IDENTITY.sign)
        absence.heard(self.state, self.clock, documents.b64encode(frame).encode(), self.clock.at())

    def minutes(self, count: int) -> None:
        """They pass, looked at each."""
        for _ in range(count):
            self.clock.pass_time(60)
            self.lost.reconcile()


@pytest.fixture
def pc(tmp_path: Path) -> Iterator[Pc]:
    made = Pc(tmp_path)
    yield made
    made.lost.stop()
    made.state.close()


def test_every_session_is_locked_or_ended_and_only_then_is_it_said(pc: Pc) -> None:
    pc.sessions.add("1", where=":0", lockable=True)
    pc.sessions.add("2", "root", "ttyS0")
    pc.sessions.add("3", "kakuu.jiro", "192.0.2.7")
    pc.sessions.stubborn = {"3"}
    done = pc.order("lock", reason="電車に置き忘れ", approver="suzuki")
    assert done["observed"] == "1 locked, 2 ended, new logins refused"
    assert [one.locked for one in pc.sessions.look()] == [True]
    assert pc.sessions.calls.count("end 3") == 1
    assert "kill 3" in pc.sessions.calls
    assert pc.kinds() == ["lock.command", "lock.ended", "lock.ended", "lock.done"]
    assert pc.events[0].data["reason"] == "電車に置き忘れ"
    assert pc.lost.reconcile().state == "shut"
    assert pc.kinds().count("lock.done") == 1
    assert pc.context.situation.lost


def test_people_are_out_before_the_screens_are_changed_and_who_came_meanwhile_is_too(pc: Pc) -> None:
    pc.sessions.add("3")
    pc.sessions.settling = lambda: pc.sessions.add("4", "root", "tty1")
    pc.order("lock")
    pc.lost.reconcile()
    assert pc.sessions.calls == ["end 3", "settle", "end 4"]
    assert pc.lost.reconcile().state == "shut"


def test_what_does_not_lock_is_ended_and_what_does_not_end_is_a_failure(pc: Pc) -> None:
    pc.sessions.obey = False
    pc.sessions.add("1", where=":0", lockable=True)
    pc.order("lock")
    assert pc.sessions.look() == []
    pc.sessions.broken = {"9"}
    pc.sessions.add("9", where="tty3")
    with pytest.raises(Failed, match=r"kakuu\.taro tty3"):
        pc.order("lock", 8)
    state = pc.lost.reconcile()
    assert (state.state, "tty3" in state.ja) == ("failed", True)
    assert pc.kinds().count("lock.done") == 1, "the second lock was never complete"
    assert pc.kinds().count("lock.failed") == 1, "the same failure is said once"
    pc.sessions.broken = set()
    assert pc.lost.reconcile().state == "shut"
    assert pc.kinds()[-1] == "lock.done"


def test_where_logins_are_not_refused_it_is_not_locked(pc: Pc) -> None:
    pc.sessions.refuses = OSError("read-only file system")
    with pytest.raises(Failed, match="NOT refused"):
        pc.order("lock")
    assert "lock.done" not in pc.kinds()


def test_a_screen_that_is_unlocked_again_and_a_new_session_are_ended(pc: Pc) -> None:
    pc.sessions.add("1", where=":0", lockable=True)
    pc.order("lock")
    pc.sessions.unlocked("1")
    pc.sessions.add("2", "root", "192.0.2.9")
    assert pc.lost.reconcile().state == "shut"
    assert pc.sessions.look() == []
    assert [event.user for event in pc.events if event.kind == "lock.ended"] == ["kakuu.taro", "root"]


def test_it_survives_a_restart_and_the_same_order_again(pc: Pc) -> None:
    pc.order("lock", ghost="destroy")
    pc.sessions.add("5")
    pc.clock.reboot()
    pc.start()
    assert pc.context.situation.lost, "before any door looks"
    pc.lost.reconcile()
    assert pc.sessions.look() == []
    pc.order("lock", ghost="destroy")
    assert pc.kinds().count("lock.command") == 1
    assert pc.kinds().count("lock.done") == 1


def test_a_bar_without_its_file_is_a_lock(pc: Pc) -> None:
    """Whoever deletes the file has not released the PC."""
    pc.order("lock")
    (pc.folder / lockfile.NAME).unlink()
    pc.start()
    assert pc.lost.reconcile().data["cause"] == "unknown"
    (pc.folder / lockfile.NAME).write_text("{")
    pc.start()
    assert pc.ask("lock")["locked"]


def test_an_order_releases(pc: Pc) -> None:
    pc.order("lock")
    assert pc.order("unlock", 9, approver="suzuki")["observed"] == "released, logins allowed"
    assert not pc.sessions.barred()
    assert not pc.context.situation.lost
    assert pc.events[-1].kind == "lock.released"
    assert (pc.events[-1].data["approver"], pc.events[-1].data["how"]) == ("suzuki", "order")
    assert pc.lost.reconcile().state == "off"
    assert pc.order("unlock", 10)["observed"] == "was not locked"


def test_a_code_releases_and_only_the_right_one(pc: Pc) -> None:
    with pytest.raises(Refused, match="not locked"):
        pc.ask("lock.challenge")
    pc.order("lock")
    right = pc.code()
    challenge = pc.ask("lock.challenge")["challenge"]
    wrong = codes.response(bytes(32), release.PURPOSE, challenge, release.DETAILS)
    with pytest.raises(Refused, match="4 tries"):
        pc.ask("lock.release", code=wrong)
    assert pc.events[-1].kind == "lock.refused"
    assert pc.ask("lock.release", code=right) == {"released": True}
    assert not pc.sessions.barred()
    assert pc.events[-1].data["how"] == "code"
    pc.order("lock", 11)
    with pytest.raises(Refused):
        pc.ask("lock.release", code=right)


def test_a_release_goes_on_after_power_was_lost_in_the_middle(pc: Pc) -> None:
    pc.order("lock")
    pc.sessions.refuses = OSError("power")
    with pytest.raises(OSError, match="power"):
        pc.ask("lock.release", code=pc.code())
    assert pc.sessions.barred()
    pc.sessions.refuses = None
    pc.start()
    assert not pc.context.situation.lost
    pc.lost.reconcile()
    assert not pc.sessions.barred()
    assert pc.kinds()[-1] == "lock.released"


def test_it_is_released_where_no_agent_runs(pc: Pc, tmp_path: Path) -> None:
    pc.order("lock")
    pc.lost.stop()
    with release.Alone(pc.folder, pc.sessions) as alone:
        code = codes.response(KEY, release.PURPOSE, alone.challenge(), release.DETAILS)
        with pytest.raises(Refused):
            alone.release("0000-0000-0001")
        alone.release(code)
    assert not pc.sessions.barred()
    assert not release.is_locked(pc.folder)
    pc.start()
    pc.lost.reconcile()
    assert pc.kinds()[-1] == "lock.released", "the agent records it when it is back"


def test_removal_opens_everything(pc: Pc) -> None:
    pc.order("lock")
    pc.lost.remove()
    assert not pc.sessions.barred()
    assert not (pc.folder / lockfile.NAME).exists()


def test_places_while_locked(pc: Pc) -> None:
    pc.lost.start(lambda: None)
    assert pc.order("locate", 3) == {"observed": "", "source": "none"}
    pc.placed.clear()
    pc.order("lock", location=True)
    pc.lost.reconcile()
    assert pc.placed.wait(60)
    pc.placed.clear()
    pc.clock.pass_time(60)
    pc.lost.reconcile()
    assert not pc.placed.wait(0.2), "every five minutes, not every minute"
    pc.clock.pass_time(300)
    pc.lost.reconcile()
    assert pc.placed.wait(60)
    assert pc.places == ["order", "lost", "lost"]


def locks_itself(pc: Pc) -> bool:
    return "lock.self" in pc.kinds()


def away(pc: Pc, hours: int = 8) -> None:
    """A policy of so many hours, and the manager's last word now."""
    pc.hours = hours
    pc.start()
    pc.heartbeat()
    pc.lost.reconcile()


def test_without_contact_it_warns_and_then_locks_itself(pc: Pc) -> None:
    away(pc)
    pc.minutes(5 * 60)
    assert pc.context.notices.after(0, "") == []
    pc.minutes(2 * 60 + 55)
    notices = pc.context.notices.after(0, "")
    assert [one.code for one in notices] == ["lock.soon", "lock.soon"]
    assert "2時間0分" in notices[0].ja
    assert not locks_itself(pc)
    pc.minutes(6)
    assert locks_itself(pc)
    assert pc.sessions.barred()
    assert "長時間通信していない" in pc.ask("lock")["ja"]
    pc.ask("lock.release", code=pc.code())
    pc.minutes(8 * 60 - 1)
    assert pc.kinds().count("lock.self") == 1, "a release gives as much time as contact does"
    pc.minutes(2)
    assert pc.kinds().count("lock.self") == 2


def test_contact_begins_anew(pc: Pc) -> None:
    away(pc)
    for _ in range(5):
        pc.minutes(7 * 60)
        pc.heartbeat()
    assert not locks_itself(pc)


def test_a_clock_turned_back_gains_nothing(pc: Pc) -> None:
    away(pc)
    for _ in range(7):
        pc.minutes(60)
        pc.clock.now -= 10 * HOUR
        pc.clock.reboot()
        pc.start()
        pc.lost.reconcile()
    assert not locks_itself(pc)
    pc.minutes(60)
    assert locks_itself(pc)


def test_switched_off_right_after_contact_it_has_been_away_since_then(pc: Pc) -> None:
    away(pc)
    pc.minutes(1)
    pc.heartbeat()  # and before the next look it is switched off
    pc.clock.reboot()
    pc.clock.now += 6 * HOUR
    pc.start()
    pc.minutes(60 + 55)
    assert not locks_itself(pc)
    pc.minutes(6)
    assert locks_itself(pc)


def test_long_off_it_has_one_grace_to_reach_the_manager(pc: Pc) -> None:
    away(pc)
    pc.clock.reboot()
    pc.clock.now += 400 * HOUR
    pc.start()
    pc.lost.reconcile()
    pc.minutes(3)
    assert not locks_itself(pc)
    pc.heartbeat()
    pc.minutes(60)
    assert not locks_itself(pc), "holidays"
    pc.clock.reboot()
    pc.clock.now += 400 * HOUR
    pc.start()
    pc.lost.reconcile()
    assert not locks_itself(pc)
    pc.clock.reboot()
    pc.start()
    pc.lost.reconcile()
    assert locks_itself(pc), "switching it off and on gives no more"


def test_asleep_counts_and_has_the_grace_too(pc: Pc) -> None:
    away(pc)
    pc.clock.pass_time(9 * 3600)
    pc.lost.reconcile()
    assert not locks_itself(pc)
    pc.minutes(absence.GRACE // 60_000_000 + 1)
    assert locks_itself(pc)


def test_a_policy_without_hours_never_locks(pc: Pc) -> None:
    away(pc, hours=0)
    pc.minutes(60)
    assert not locks_itself(pc)
    assert pc.lost.reconcile().state == "off"
