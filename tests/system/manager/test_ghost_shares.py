"""The manager's share over the wire: released, refused, counted, destroyed; each an entry."""

from __future__ import annotations

import zlib
from typing import Any

import bad_input
import msgspec
import pytest
from bad_input import LINES
from running_manager import Running, make_home, wait_for
from tiny_device import Device as TinyDevice
from tiny_device import now

from securepc.manager.audit.model import AuditChain
from securepc.manager.ghost import decide
from securepc.manager.ghost.contents import held
from securepc.manager.ghost.model import Drive, ManagerShare
from securepc.manager.happenings.service import Happening
from securepc.manager.refusal import NotFound
from securepc.wire import ghost, keys
from securepc.wire.event import Event, to_entry
from securepc.wire.ghost import Released
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.documents import b64decode, b64encode

NETWORKS = [
    {"id": "office", "name": "本店", "kind": "wired", "egress": ["127.0.0.0/8"]},
    {"id": "other", "name": "支店", "kind": "wired", "egress": ["203.0.113.0/24"]},
    {"id": "pocket", "name": "モバイル", "fixed": False},
]
WATCHED = ("ghost.share", "ghost.refused", "admin.ghost")


class Pc:
    """A PC that asks."""

    def __init__(self, running: Running) -> None:
        self.device = running.device()
        self.counter = 0
        self.boot = "0" * 32
        self.up = 1_000
        self.held: list[int] = []

    def ask(self, network: str = "office", **more: Any) -> Any:
        self.counter += 1
        self.up += 1
        self.key = keys.BoxKey.generate()
        value = {
            "boot": self.boot,
            "up": self.up,
            "counter": self.counter,
            "purpose": "open",
            "network": network,
            "to": b64encode(self.key.public),
            "held": self.held,
            "facts": {"ssid": "kakuu"},
        }
        self.body = msgspec.json.encode(value | more)
        return self.device.call("POST", "ghost/share", self.body)

    def share(self, *, hold: bool = True, **more: Any) -> Released:
        answer = self.ask(**more)
        assert answer.status_code == 200, answer.text
        frame = b64decode(answer.json()["frame"])
        value = documents.decode(
            ghost.KIND, leaf.body_of(frame, ghost.KIND, self.device.identity, keys.verify)
        )
        found = ghost.read_answer(value, self.body, self.key)
        if hold:
            self.held = [found.generation]
        return found

    def refused(self, **more: Any) -> str:
        answer = self.ask(**more)
        assert answer.status_code in (400, 403, 409), answer.text
        return str(answer.json()["error"]["code"])


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("ghost") / "home"
    make_home(home, "架空商事", "架空設計")
    with Running(home, lambda made: made.happenings.on(WATCHED, lambda _, one: seen.append(one))) as running:
        rules = running.manager.policies.rules(running.log)
        rules["doors"] = {
            "networks": {"on": True, "registered": NETWORKS},
            "ghost": {"on": True, "bytes": 1 << 26, "minutes": 5},
        }
        running.manager.policies.change(running.log, rules, actor="test")
        yield running


@pytest.fixture
def pc(manager: Running) -> Pc:
    return Pc(manager)


def drive(manager: Running, pc: Pc) -> Drive:
    with manager.manager.database.read() as session:
        found = session.get(Drive, pc.device.handle)
        assert found is not None
        return found


def generations(manager: Running, pc: Pc) -> list[int]:
    with manager.manager.database.read() as session:
        rows = session.query(ManagerShare).filter_by(device=pc.device.handle)
        return sorted(row.generation for row in rows)


def test_a_share_is_released_the_same_every_time_and_each_time_is_an_entry(manager: Running, pc: Pc) -> None:
    first = pc.share(purpose="make")
    assert (first.seconds, first.generation, len(first.shares)) == (300.0, 1, 1)
    again = pc.share()
    assert again.shares == first.shares
    released, made = manager.manager.ghosts.history(manager.log, pc.device.handle)
    assert (made.purpose, made.network, made.result, made.address) == ("make", "本店", "", "127.0.0.1")
    assert released.until is not None
    found = entries(manager, pc, "ghost.share")
    assert [one["purpose"] for one in found] == ["make", "open"]
    assert found[0]["network"] == "本店"


def test_where_it_is_refused_and_that_this_is_an_entry_too(manager: Running, pc: Pc) -> None:
    assert pc.refused(network="") == "ghost-network"
    assert pc.refused(network="other") == "ghost-egress"
    assert pc.refused(network="pocket") == "ghost-pin-unset"
    assert pc.refused(network="pocket") == "ghost-pin-unset"
    assert generations(manager, pc) == []
    found = entries(manager, pc, "ghost.refused")
    assert [one["reason"] for one in found] == ["ghost-network", "ghost-egress", "ghost-pin-unset"]
    assert manager.manager.ghosts.history(manager.log, pc.device.handle)[0].count == 2
    assert manager.alerts("ghost-egress", pc.device)


def test_five_wrong_pins_and_five_more(manager: Running, pc: Pc) -> None:
    right, wrong = b64encode(b"r" * 32), b64encode(b"w" * 32)
    pc.share(new_proof=right)
    assert pc.refused(network="pocket") == "ghost-pin"
    assert pc.share(network="pocket", proof=right).generation == 1
    assert pc.refused(new_proof=wrong) == "ghost-pin"  # another PIN needs the old one
    for _ in range(decide.TRIES):
        assert pc.refused(network="pocket", proof=wrong) == "ghost-pin-wrong"
    assert pc.refused(network="pocket", proof=right) == "ghost-pin-locked"
    assert manager.alerts("ghost-pin-locked", pc.device)
    assert pc.share().generation == 1  # at the office without one
    with manager.manager.database.write() as session:  # the pause is over
        row = session.get(Drive, pc.device.handle)
        assert row is not None
        row.pin_until = now()
    for _ in range(decide.TRIES):
        assert pc.refused(network="pocket", proof=wrong) == "ghost-pin-wrong"
    with manager.manager.database.write() as session:
        row = session.get(Drive, pc.device.handle)
        assert row is not None
        row.pin_until = now()
    assert pc.refused(network="pocket", proof=right) == "ghost-pin-locked"
    manager.manager.ghosts.open_pin(manager.log, pc.device.handle, actor="hanako")
    pc.share(new_proof=wrong)
    assert pc.share(network="pocket", proof=wrong).generation == 1
    assert not drive(manager, pc).pin_open


def test_a_copy_of_a_pc_is_told_and_both_are_refused(manager: Running, pc: Pc) -> None:
    pc.share()
    copy = Pc.__new__(Pc)
    copy.__dict__.update(pc.__dict__, boot="1" * 32, up=5)
    copy.share()  # it can't be told yet: a reboot looks the same
    assert pc.refused() == "ghost-cloned"
    assert copy.refused() == "ghost-cloned"
    assert manager.alerts("ghost-cloned", pc.device)
    manager.manager.ghosts.allow(manager.log, pc.device.handle, actor="hanako")
    pc.share()


def test_a_heartbeat_of_a_boot_that_was_over_is_a_copy(manager: Running, pc: Pc) -> None:
    pc.boot = pc.device.boot.hex()
    pc.share()
    pc.device.heartbeat()
    pc.boot, pc.up = "2" * 32, 0
    pc.share()
    pc.device.heartbeat()  # the other one is still alive
    assert pc.refused() == "ghost-cloned"


def test_a_fork_on_the_ledger_is_a_copy_until_somebody_looked(manager: Running, pc: Pc) -> None:
    pc.share()
    twin = TinyDevice(manager.token(), address=manager.address)
    twin.__dict__.update({**pc.device.__dict__, "http": twin.http, "nonce": b""})
    pc.device.send(pc.device.seal_batch(LINES))
    bad_input.refused(twin.try_send(twin.seal_batch(LINES[:1])), 409, "fork")
    assert pc.refused() == "ghost-cloned"
    assert drive(manager, pc).cloned_at
    manager.manager.ghosts.allow(manager.log, pc.device.handle, actor="hanako")
    pc.share()  # what it holds is not lost with its first fork
    assert pc.share().generation == 1


def test_forbidden_allowed_lost(manager: Running, pc: Pc) -> None:
    ghosts, commands = manager.manager.ghosts, manager.manager.commands
    pc.share()
    ghosts.forbid(manager.log, pc.device.handle, "紛失の疑い", actor="hanako")
    assert pc.refused() == "ghost-forbidden"
    waiting = commands.of_device(manager.log, pc.device.handle)
    assert [(one.order, one.args) for one in waiting] == [("ghost.forbid", {"reason": "紛失の疑い"})]
    ghosts.allow(manager.log, pc.device.handle, actor="hanako")
    pc.share()
    lost = manager.manager.lost
    lost.report(manager.log, pc.device.handle, "紛失", ghost="close", location=True, actor="hanako")
    assert pc.refused() == "ghost-lost"
    lost.release(manager.log, pc.device.handle, "発見", actor="hanako")
    pc.share()
    with pytest.raises(NotFound):
        other = manager.manager.devices.agencies()[1]
        ghosts.forbid(other, pc.device.handle, "x", actor="hanako")


def test_destroyed_is_for_ever_also_for_a_restored_database(manager: Running, pc: Pc) -> None:
    first = pc.share()
    handle = pc.device.handle
    with manager.manager.database.read() as session:
        backup = session.get(ManagerShare, (handle, 1))
        assert backup is not None
        kept = {"device": handle, "generation": 1, "wrapped": backup.wrapped, "made_at": backup.made_at}
    manager.manager.ghosts.destroy(manager.log, handle, "廃棄", actor="hanako")
    assert generations(manager, pc) == []
    assert pc.refused() == "ghost-destroyed"
    (said,) = entries(manager, pc, "admin.ghost")
    assert (said["action"], said["generation"]) == ("destroy", 1)
    # A backup brings the share back, and the ledger is read again from where the backup stood.
    with manager.manager.database.write() as session:
        session.add(ManagerShare(**kept))
        row = session.get(Drive, handle)
        assert row is not None
        row.destroyed_at, row.destroyed_by = None, ""
    with manager.manager.database.write() as session:
        for happening in seen:
            if happening.event.kind == "admin.ghost":
                manager.manager.ghosts.heard(session, happening)
    assert generations(manager, pc) == []
    assert pc.refused() == "ghost-destroyed"
    # A new drive is another generation: the old entry does not touch it.
    manager.manager.ghosts.allow(manager.log, handle, actor="hanako")
    pc.held = []
    second = pc.share(purpose="make")
    assert second.generation == 2
    assert second.shares[0].secret != first.shares[0].secret
    with manager.manager.database.write() as session:
        for happening in seen:
            manager.manager.ghosts.heard(session, happening)
    assert pc.share().generation == 2


def test_a_new_key_goes_from_one_generation_to_the_next_and_survives_a_crash(
    manager: Running, pc: Pc
) -> None:
    pc.share()
    manager.manager.ghosts.rekey(manager.log, pc.device.handle, actor="hanako")
    both = pc.share(hold=False)
    assert (both.generation, [one.generation for one in both.shares]) == (2, [1, 2])
    assert pc.share(hold=False).shares == both.shares  # the PC died before it made a slot
    pc.held = [1, 2]
    assert [one.generation for one in pc.share(hold=False).shares] == [1, 2]
    pc.held = [2]
    assert [one.generation for one in pc.share().shares] == [2]
    assert generations(manager, pc) == [2]
    pc.held = [1]
    assert pc.refused() == "ghost-unknown"


def test_an_emergency_sheet_opens_with_its_code_and_its_use_changes_the_key(manager: Running, pc: Pc) -> None:
    share = pc.share().shares[0]
    handle = pc.device.handle
    code = manager.manager.ghosts.sheet(manager.log, handle, actor="hanako")
    order = manager.manager.commands.of_device(manager.log, handle)[0]
    assert order.order == "ghost.sheet"
    assert code not in str(order.args)
    assert ghost.open_sheet(code, b64decode(order.args["blob"]), manager.log, handle) == share
    used = Event(
        "ghost.emergency", now(), 0, "0" * 32, "taro", "", "ok", {"requester": "taro", "until": now()}
    )
    pc.device.send(pc.device.seal_batch([to_entry(used)]))
    wait_for(lambda: drive(manager, pc).sheet_used_at)
    assert manager.alerts("ghost-emergency", pc.device)
    assert pc.share(hold=False).generation == 2


def test_what_it_holds_by_name(manager: Running, pc: Pc) -> None:
    pc.share()

    def send(part: int, names: list[str], *, last: bool, number: int = 1) -> int:
        page = {"list": number, "part": part, "last": last, "at": now(), "more": 0}
        page["files"] = [[name, 10, now()] for name in names]
        box = keys.seal_to(pc.device.intake, zlib.compress(msgspec.json.encode(page)))
        return pc.device.call("POST", "ghost/contents", box).status_code

    def names() -> list[str]:
        with manager.manager.database.read() as session:
            return [one.path for one in held(session, manager.log, pc.device.handle).files]

    assert send(0, ["契約/山田.pdf", "a.txt"], last=False) == 204
    assert names() == []
    assert send(1, ["b.txt"], last=True) == 204
    assert names() == ["a.txt", "b.txt", "契約/山田.pdf"]
    assert send(0, ["half"], last=False, number=2) == 204
    assert names() == ["a.txt", "b.txt", "契約/山田.pdf"]
    assert send(0, [], last=True, number=3) == 204
    assert names() == []
    for bad in (b"", b"x" * 100, keys.seal_to(pc.device.intake, b"not zlib")):
        assert pc.device.call("POST", "ghost/contents", bad).status_code == 400
    bomb = keys.seal_to(pc.device.intake, zlib.compress(bytes(64_000_000), 9))
    assert pc.device.call("POST", "ghost/contents", bomb).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": b64encode(bytes(31))},
        {"counter": -1},
        {"counter": "1"},
        {"purpose": "steal"},
        {"proof": "x"},
        {"held": list(range(9))},
        {"boot": "0"},
        {"facts": {"x": ["y"]}},
        {"surprise": 1},
    ],
)
def test_a_request_that_is_not_one(pc: Pc, wrong: dict[str, Any]) -> None:
    assert pc.refused(**wrong) == "malformed"


def entries(manager: Running, pc: Pc, kind: str) -> list[dict[str, Any]]:
    """What the manager's own entries on the ledger say of a PC."""
    with manager.manager.database.read() as session:
        chain = session.get(AuditChain, manager.log)
    assert chain is not None
    assert manager.manager.audit.seal_now(chain.device)
    mine = pc.device.handle.hex()
    return wait_for(
        lambda: [
            one.event.data for one in seen if one.event.kind == kind and one.event.data["device"] == mine
        ]
    )


seen: list[Happening] = []
