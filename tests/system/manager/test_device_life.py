"""A device's life at a real manager: enrolment, session, batches, receipt, heartbeat, policy, revocation."""

from __future__ import annotations

import sqlite3
import threading
import time

from running_manager import Keeper, Running, wait_for
from tiny_device import Device, now

from securepc.wire import policy
from securepc.wire.signed.batch import message_hash
from securepc.wire.signed.documents import b64decode

LINES = [b'{"kind":"file.create","at":1,"up":1,"boot":"%032x"}' % i for i in range(3)]


def test_enrol_send_and_be_opened(running: Running, keeper: Keeper) -> None:
    device = running.device()
    first = device.send(device.seal_batch(LINES))
    second = device.send(device.seal_batch([]), device.seal_batch(LINES[:1]))
    assert first < second
    running.wait_judged(second[-1])
    wait_for(lambda: len([one for one in keeper.seen if one.header.device == device.handle]) == 3)
    mine = [one for one in keeper.seen if one.header.device == device.handle]
    assert [one.entries for one in mine] == [LINES, [], LINES[:1]]
    assert [one.reason for one in mine] == [None, None, None]
    assert [one.index for one in mine] == first + second


def test_a_batch_sent_again_keeps_its_place_and_its_key(running: Running, keeper: Keeper) -> None:
    device = running.device()
    sealed = device.seal_batch(LINES)
    (index,) = device.send(sealed)
    assert device.send(sealed) == [index]
    running.wait_judged(index)
    later = device.seal_batch(LINES[:1])
    assert device.send(sealed, later)[0] == index
    (last,) = device.send(device.seal_batch([]))
    wait_for(lambda: any(one.index == last for one in keeper.seen))
    assert [one.reason for one in keeper.seen if one.header.device == device.handle] == [None] * 3
    boxes = sqlite3.connect(running.manager.home.keys).execute("SELECT count(*) FROM boxes").fetchone()
    assert boxes == (0,), "no key is left behind outside its month"
    header = message_hash(sealed.leaf)
    assert len(running.manager.keys.batch_key(running.log, header)) == 32


def test_heartbeat_is_countersigned_and_kept(running: Running) -> None:
    device = running.device()
    before = now()
    answer = device.heartbeat(queue=3)
    assert before <= answer["at"] <= now() and answer["device"] == device.handle.hex()
    running.manager.presence.flush()
    row = running.manager.devices.get(running.log, device.handle)
    assert row is not None and row.status == {"queue": 3} and row.seen_at and row.seen_at >= before
    assert row.clock_offset is not None and abs(row.clock_offset) < 5_000_000


def test_clock_ten_years_off_is_an_alert_and_no_refusal(running: Running) -> None:
    device = running.device()
    years = 10 * 365 * 86_400_000_000
    sealed = device.seal_batch(LINES, at=now() + years)
    running.wait_judged(device.send(sealed)[0])
    device.heartbeat(at=now() + years)
    running.manager.presence.flush()
    assert running.alerts("clock", device)[0].data["seconds"] > 300_000_000
    device.heartbeat(at=0)
    running.manager.presence.flush()
    assert running.alerts("clock", device)[0].data["seconds"] < -300_000_000
    device.heartbeat()
    running.manager.presence.flush()
    assert not running.alerts("clock", device)


def test_policy_comes_with_enrolment_and_wakes_who_waits(running: Running) -> None:
    device = running.device()
    assert device.policy is not None
    commands = b64decode(device.enrolment["commands"])
    first = policy.parse_policy(device.policy, commands)
    answers: list[dict[str, object]] = []
    waiting = threading.Thread(
        target=lambda: answers.append(
            device.call("GET", f"wait?epoch={first.epoch}&counter={first.counter}").json()
        )
    )
    waiting.start()
    time.sleep(0.3)
    changed = time.monotonic()
    running.manager.policies.change(running.log, policy.default_rules(paths=("~",)), actor="test")
    waiting.join()
    assert time.monotonic() - changed < 1
    frame = answers[0]["policy"]
    assert isinstance(frame, str)
    newer = policy.parse_policy(b64decode(frame), commands)
    assert newer.version > first.version and newer.rules.collect.files.paths == ("~",)


def test_an_order_to_seal_wakes_the_one_device(running: Running) -> None:
    one, other = running.device(), running.device()
    running.manager.ingest.orders.seal(one.handle)
    assert one.call("GET", "wait?epoch=1&counter=99").json() == {
        "policy": None,
        "orders": [],
        "seal": True,
        "keys": 0,
    }
    assert not running.manager.ingest.orders.take_seal(other.handle)


def test_approval_is_waited_for(running: Running) -> None:
    device = Device(running.token(approval=True), address=running.address)
    assert device.ask().status_code == 202
    assert device.ask().json() == {"status": "pending"}
    assert len(running.alerts("pending", device)) == 1
    other = running.manager.devices.agencies()[1]
    assert not running.manager.enrolments.decide(other, device.handle, True, actor="test")
    assert running.manager.enrolments.decide(running.log, device.handle, True, actor="test")
    device.enrol()
    device.send(device.seal_batch(LINES))
    assert not running.alerts("pending", device)


def test_who_is_refused_stays_out(running: Running) -> None:
    device = Device(running.token(approval=True), address=running.address)
    device.ask()
    assert running.manager.enrolments.decide(running.log, device.handle, False, actor="test")
    answer = device.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "enrolment-refused")
    assert running.manager.log.device(running.log, device.handle) is None


def test_a_lost_answer_to_enrolment_is_given_again(running: Running) -> None:
    device = Device(running.token(), address=running.address)
    first, second = device.ask(), device.ask()
    assert first.status_code == second.status_code == 201
    assert first.json()["frame"] == second.json()["frame"]


def test_what_administrators_do_is_on_the_ledger(running: Running, keeper: Keeper) -> None:
    running.token()
    own = [device for device, name in running.manager.devices.names(running.log).items() if "Manager" in name]
    assert running.manager.audit.seal_now(own[0])
    wait_for(lambda: any(one.header.device == own[0] for one in keeper.seen))
    entries = [line for one in keeper.seen if one.header.device == own[0] for line in one.entries or []]
    assert any(b'"admin.token"' in line and b'"user":"test"' in line for line in entries)
    assert all(one.reason is None for one in keeper.seen)
