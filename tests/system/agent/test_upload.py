"""Batches on their way: outages, lost answers, gaps, forgeries. One attempt at a time, by hand."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
from by_hand import Pc, trouble
from journal_kit import FakeClock
from middle import Answer, Middle
from running_agent import event
from running_manager import Running, wait_for

from securepc.agent.service import Agent
from securepc.agent.trouble import Trouble
from securepc.ledger import checkpoint, merkle
from securepc.ledger.checkpoint import Checkpoint
from securepc.wire import keys
from securepc.wire.event import from_entry
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block, documents, leaf
from securepc.wire.signed.documents import b64encode


def test_a_day_without_a_manager_loses_nothing(
    pc: Callable[..., Agent], manager: Running, middle: Middle, clock: FakeClock
) -> None:
    hand = Pc(pc(clock=clock), manager)
    middle.down = True
    for moment in range(24 * 6):
        hand.count += 1
        hand.agent.record(event(hand.agent, hand.count))
        epoch = hand.agent.journal.view().epoch
        clock.pass_time(600)
        while hand.agent.journal.view().epoch == epoch:
            hand.agent.journal.flush(5.0)
        if moment % 6 == 0:
            assert trouble(hand).code == "unreachable"
    view = hand.agent.journal.view()
    assert view.epoch > 24 * 6
    assert hand.agent.status()["queue"]["unsent"] == view.epoch - 1
    middle.down = False
    hand.send_all()
    assert hand.epochs() == list(range(1, view.epoch))
    assert sum(header.size for header in hand.ledger()) == hand.count
    uploads = [body for _, path, body in middle.requests if "/batches" in path]
    assert len(uploads) <= view.epoch // 64 + 2, "64 batches a transaction"


def test_a_lost_answer_is_asked_for_again_with_the_same_bytes(pc_by_hand: Pc, middle: Middle) -> None:
    pc_by_hand.seal(3)
    seen: list[bytes] = []

    def lose(method: str, path: str, body: bytes, answer: Answer) -> None:
        if "/batches" in path:
            seen.append(body)
            middle.down = len(seen) < 3

    middle.after = lose
    assert trouble(pc_by_hand).code in ("unreachable", "stale")
    middle.down = False
    pc_by_hand.seal(1)  # more has come meanwhile
    while len(seen) < 3:
        middle.down = False
        try:
            pc_by_hand.uploader.step()
        except Trouble:
            continue
    pc_by_hand.send_all()
    assert len(set(seen[:3])) == 1, "byte for byte the same"
    assert pc_by_hand.epochs() == [1, 2, 3, 4]
    assert pc_by_hand.uploader.acknowledged == 4


def test_what_was_forgotten_is_sent_again_and_not_stored_twice(pc_by_hand: Pc) -> None:
    """As after state.sqlite was lost: leading batches are known to the ledger, the others are not."""
    pc_by_hand.seal(3)
    pc_by_hand.send_all()
    pc_by_hand.agent._state.rewind(0)
    pc_by_hand.agent._state.drop("checkpoint")
    pc_by_hand.seal(2)
    pc_by_hand.send_all()
    assert pc_by_hand.epochs() == [1, 2, 3, 4, 5]
    assert pc_by_hand.uploader.acknowledged == 5
    assert pc_by_hand.told == []


def test_it_goes_back_to_where_the_ledger_continues(pc_by_hand: Pc) -> None:
    pc_by_hand.seal(5)
    pc_by_hand.agent._state.rewind(3)  # it believes more than is true
    pc_by_hand.send_all()
    assert pc_by_hand.epochs() == [1, 2, 3, 4, 5]
    assert pc_by_hand.told == []


def test_what_the_ledger_wants_and_is_gone_is_an_alarm_with_a_sentence(pc_by_hand: Pc) -> None:
    pc_by_hand.seal(3)
    (pc_by_hand.agent.folder / "queue" / "1.batch").unlink()
    pc_by_hand.agent.journal.queue.remove(1)
    for _ in range(3):
        found = trouble(pc_by_hand)
        assert found.code == "gap"
        assert "第1封印" in found.ja
        assert found.retry_after >= 300
    assert [kind for kind, _ in pc_by_hand.told] == ["ledger.inconsistent"], "said once"
    assert pc_by_hand.epochs() == []
    assert pc_by_hand.agent.record(event(pc_by_hand.agent, 9)), "and it goes on recording"


def test_a_damaged_file_of_the_queue_is_an_alarm(pc_by_hand: Pc) -> None:
    pc_by_hand.seal(3)
    path = pc_by_hand.agent.folder / "queue" / "2.batch"
    path.write_bytes(path.read_bytes()[:-1])
    assert pc_by_hand.uploader.step()
    assert pc_by_hand.epochs() == [1]
    assert trouble(pc_by_hand).code == "damaged"
    assert [kind for kind, _ in pc_by_hand.told] == ["ledger.inconsistent"]


def test_two_histories_are_a_fork(pc: Callable[..., Agent], manager: Running, tmp_path: Any) -> None:
    """A PC restored from an image goes on from where the image was; the ledger has another continuation."""
    import shutil

    one = Pc(pc("one"), manager)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one.seal(2)
    one.send_all()
    two = Pc(pc("two"), manager)
    two.seal(1)
    found = trouble(two)
    assert found.code == "fork"
    assert [kind for kind, _ in two.told] == ["ledger.inconsistent"]
    assert one.epochs() == [1, 2]


def test_a_transaction_keeps_within_its_bounds(pc_by_hand: Pc, middle: Middle) -> None:
    import secrets

    for _ in range(4):
        for _ in range(7):
            path = secrets.token_hex(14_000)  # incompressible but for its hex
            pc_by_hand.agent.record(event(pc_by_hand.agent, 0, note=path))
        pc_by_hand.agent.journal.seal(5.0)
    pc_by_hand.seal(70)
    pc_by_hand.send_all()
    uploads = [body for _, path, body in middle.requests if "/batches" in path]
    for body in uploads:
        (size,) = struct.unpack_from(">I", body)
        transaction = block.parse_transaction(body[4 : 4 + size])
        assert len(transaction.items) <= 64
        assert sum(len(item.body) for item in transaction.items) <= headers.MAX_CIPHERTEXT
    assert pc_by_hand.epochs() == list(range(1, 75))


def test_too_large_for_this_manager_is_halved(pc_by_hand: Pc, middle: Middle) -> None:
    sizes: list[int] = []

    def before(method: str, path: str, body: bytes) -> Answer | None:
        if "/batches" not in path:
            return None
        (size,) = struct.unpack_from(">I", body)
        sizes.append(len(block.parse_transaction(body[4 : 4 + size]).items))
        if sizes[-1] <= 3:
            return None
        error = {"error": {"code": "too-large", "ja": "大きい。", "en": "Too large."}}
        return Answer(413, json.dumps(error).encode())

    middle.before = before
    pc_by_hand.seal(10)
    pc_by_hand.send_all()
    assert pc_by_hand.epochs() == list(range(1, 11))
    assert sizes[0] == 10


def test_a_full_manager_is_left_alone_as_long_as_it_asks(pc_by_hand: Pc, middle: Middle) -> None:
    error = {"error": {"code": "disk-full", "ja": "満杯です。", "en": "It is full."}}
    middle.before = lambda method, path, body: (
        Answer(503, json.dumps(error).encode(), {"Retry-After": "30"}) if "/batches" in path else None
    )
    pc_by_hand.seal(1)
    found = trouble(pc_by_hand)
    assert (found.code, found.retry_after) == ("disk-full", 30.0)
    assert pc_by_hand.told == [], "the manager tells its administrator itself"
    middle.before = lambda *_: None
    pc_by_hand.send_all()
    assert pc_by_hand.epochs() == [1]


def signed_note(pc: Pc, size: int, root: bytes) -> str:
    """What a dishonest manager can sign: it has the log's key."""
    store = pc.manager.manager.keys
    log = pc.agent.config.log
    name = pc.agent.config.log_key
    assert store.verifier_key(log) == name
    return checkpoint.sign(Checkpoint(name.name, size, root), name, store.log_key(log).sign)


FORGERIES: dict[str, Callable[[Pc, dict[str, Any], dict[str, Any]], Any]] = {
    "index": lambda pc, it, _: it["batches"][0].update(index=it["batches"][0]["index"] - 1),
    "proof": lambda pc, it, _: it["batches"][0].update(proof=it["batches"][0]["proof"][:-1]),
    "left out": lambda pc, it, _: it["batches"].pop(),
    "rolled back": lambda pc, it, first: it.update(checkpoint=first["checkpoint"]),
    "replayed": lambda pc, it, first: it.update(first),
    "signature": lambda pc, it, _: it.update(checkpoint=it["checkpoint"].replace("\n\n", "\nx\n\n")),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_receipt_trims_nothing_and_is_recorded(pc_by_hand: Pc, middle: Middle, name: str) -> None:
    answers: list[dict[str, Any]] = []

    def forge(method: str, path: str, body: bytes, answer: Answer) -> Answer | None:
        if "/batches" not in path:
            return None
        answers.append(json.loads(answer.body))
        if len(answers) < 2:
            return None
        FORGERIES[name](pc_by_hand, answers[-1], answers[0])
        return Answer(200, json.dumps(answers[-1]).encode())

    pc_by_hand.seal(1)
    middle.after = forge
    pc_by_hand.send_all()
    pc_by_hand.seal(2)
    for _ in range(2):
        found = trouble(pc_by_hand)
        assert found.code == "inconsistent"
        assert found.retry_after >= 300
    assert pc_by_hand.uploader.acknowledged == 1
    assert pc_by_hand.agent.journal.queue.after(0, 9) == [1, 2, 3]
    assert [kind for kind, _ in pc_by_hand.told] == ["ledger.inconsistent"], "said once"
    # Right again, it goes on without anybody's help.
    middle.after = lambda *_: None
    pc_by_hand.send_all()
    assert pc_by_hand.uploader.acknowledged == 3


def test_a_log_rewritten_by_the_manager_itself_is_found(pc_by_hand: Pc, middle: Middle) -> None:
    """Its own key signs another history: right in itself, and no continuation of what this PC saw."""
    pc_by_hand.seal(1)
    pc_by_hand.send_all()
    pc_by_hand.seal(1)

    def rewrite(method: str, path: str, body: bytes, answer: Answer) -> Answer | None:
        if "/batches" not in path:
            return None
        (size,) = struct.unpack_from(">I", body)
        mine = block.parse_transaction(body[4 : 4 + size]).items[0].leaf
        old = int(path.partition("size=")[2])
        before = [merkle.leaf_hash(b"another %d" % i) for i in range(old)]
        leaves = [*before, merkle.leaf_hash(mine)]
        tree = lambda level, i: merkle.root(leaves[i << level : (i + 1) << level])  # noqa: E731
        value = json.loads(answer.body)
        value["checkpoint"] = signed_note(pc_by_hand, old + 1, merkle.root(leaves))
        value["batches"][0] |= {
            "index": old,
            "proof": [b64encode(h) for h in merkle.inclusion_proof(old, old + 1, tree)],
        }
        value["consistency"] = [b64encode(h) for h in merkle.consistency_proof(old, old + 1, tree)]
        return Answer(200, json.dumps(value).encode())

    middle.after = rewrite
    found = trouble(pc_by_hand)
    assert found.code == "inconsistent"
    assert "矛盾" in found.ja
    assert pc_by_hand.uploader.acknowledged == 1
    ((kind, data),) = pc_by_hand.told
    assert kind == "ledger.inconsistent"
    assert "consistency proof" in data["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Please sign in to this hotel's network</html>",
        b"[]",
        b"{}",
        b'{"checkpoint":' + b"[" * 5000,
        b"\xff\xfe",
        b'{"checkpoint":1,"batches":2,"consistency":3}',
    ],
)
def test_garbage_is_trouble_but_no_alarm(pc_by_hand: Pc, middle: Middle, body: bytes) -> None:
    pc_by_hand.seal(1)
    middle.before = lambda method, path, _: Answer(200, body) if "/batches" in path else None
    assert trouble(pc_by_hand).code == "garbled"
    assert pc_by_hand.told == []
    assert pc_by_hand.uploader.acknowledged == 0


def test_an_impostor_gets_no_batches(pc_by_hand: Pc, middle: Middle) -> None:
    """Whoever does not have the identity key cannot even open a session."""
    config = pc_by_hand.agent.config
    value = {
        "log": config.log.hex(),
        "device": config.device.hex(),
        "nonce": "00" * 16,
        "at": 1,
        "expires": 10**15,
    }
    frame = leaf.frame("session", documents.encode("session", value), keys.SigningKey(b"z" * 32).sign)
    answer = json.dumps({"frame": b64encode(frame)}).encode()
    middle.before = lambda method, path, _: Answer(200, answer) if path.endswith("/session") else None
    pc_by_hand.seal(1)
    found = trouble(pc_by_hand)
    assert found.code == "impostor"
    assert "本物でない" in found.ja
    assert [path for _, path, _ in middle.requests if "/batches" in path] == []


def test_signed_requests_survive_the_managers_restart(pc_by_hand: Pc, middle: Middle) -> None:
    pc_by_hand.seal(1)
    pc_by_hand.send_all()
    session = [path for _, path, _ in middle.requests if path.endswith("/session")]
    assert len(session) == 1
    pc_by_hand.manager.manager.ingest.nonces.__init__()  # type: ignore[misc]
    pc_by_hand.seal(1)
    pc_by_hand.send_all()
    assert pc_by_hand.epochs() == [1, 2]


def test_entries_come_out_as_they_went_in(pc_by_hand: Pc, keeper: Any) -> None:
    pc_by_hand.seal(3, entries=5)
    pc_by_hand.send_all()
    last = pc_by_hand.manager.manager.log.size(pc_by_hand.agent.config.log) - 1
    wait_for(lambda: keeper.position(pc_by_hand.agent.config.log) > last)
    mine = [one for one in keeper.seen if one.header.device == pc_by_hand.agent.config.device]
    assert [one.reason for one in mine] == [None] * 3
    paths = [e.data["path"] for one in mine for x in one.entries if (e := from_entry(x))]
    assert paths == [f"/home/{n}" for n in range(1, 16)]
