"""When the queue lets go of batches: a watermark, the policy's days, its space."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from by_hand import Pc, trouble
from journal_kit import FakeClock
from middle import Answer, Middle
from running_manager import Running
from tiny_votes import Voters

from securepc.agent.service import Agent
from securepc.manager.witnesses.voted import VotedLogs
from securepc.wire import keys
from securepc.wire.policy import read_rules
from securepc.wire.signed import block, documents, leaf, votes
from securepc.wire.signed.documents import b64encode


def watermark(pc: Pc, size: int, key: keys.SigningKey) -> str:
    value = {"log": pc.agent.config.log.hex(), "size": size, "at": 1}
    return b64encode(leaf.frame("watermark", documents.encode("watermark", value), key.sign))


def test_batches_go_when_a_signed_watermark_covers_them(pc_by_hand: Pc, middle: Middle) -> None:
    identity = pc_by_hand.manager.manager.keys.identity
    frames: list[Any] = []

    def add(method: str, path: str, body: bytes, answer: Answer) -> Answer | None:
        if "/batches" not in path or not frames:
            return None
        value = json.loads(answer.body)
        value["watermark"] = frames.pop(0)
        return Answer(200, json.dumps(value).encode())

    middle.after = add
    held = pc_by_hand.agent.journal.queue

    def leaf_of(epoch: int) -> int:
        index = pc_by_hand.manager.manager.log.batch(
            pc_by_hand.agent.config.log, pc_by_hand.agent.config.device, epoch
        )
        assert index is not None
        return index

    pc_by_hand.seal(1)
    pc_by_hand.send_all()
    frames.append(watermark(pc_by_hand, 10**6, keys.SigningKey(b"z" * 32)))  # by somebody else
    pc_by_hand.seal(1)
    assert trouble(pc_by_hand).code == "impostor"
    assert held.after(0, 9) == [1, 2]
    frames.append(watermark(pc_by_hand, leaf_of(1) + 1, identity))
    pc_by_hand.seal(1)
    pc_by_hand.send_all()
    assert held.after(0, 9) == [2, 3], "only what is covered"
    assert pc_by_hand.uploader.receipt(1) is None
    assert pc_by_hand.uploader.receipt(2) is not None
    frames.append(watermark(pc_by_hand, 1, identity))  # lower than before: ignored
    frames.append(watermark(pc_by_hand, leaf_of(3) + 1, identity))
    pc_by_hand.seal(1)
    pc_by_hand.send_all()
    pc_by_hand.seal(1)
    pc_by_hand.send_all()
    assert held.after(0, 9) == [4, 5]


def test_where_the_policy_names_validators_their_votes_are_waited_for(pc_by_hand: Pc, middle: Middle) -> None:
    four = Voters("a", "b", "c", "d")
    manager, log = pc_by_hand.manager.manager, pc_by_hand.agent.config.log
    chain = manager.log.genesis().chain
    reader, shown = VotedLogs(manager.log), True
    pinned = {"chain": chain.hex(), "height": 1, "validators": votes.write_validators(four.validators)}

    def vote(height: int) -> tuple[votes.Voted, ...]:
        leaf_ = manager.log.block(height)
        assert leaf_ is not None
        state = block.parse(leaf.split(leaf_).body).state
        return (four.vote(four.header(chain, height + 1, state)),)

    def add(method: str, path: str, body: bytes, answer: Answer) -> Answer | None:
        if "/batches" not in path or not shown:
            return None
        value = json.loads(answer.body)
        value["voted"] = reader.shown(log, int(value["checkpoint"].split("\n")[1]))
        return Answer(200, json.dumps(value).encode())

    middle.after = add
    manager.log.votes = vote  # type: ignore[method-assign]
    rules = read_rules({"trust": {"validators": pinned}})
    held = pc_by_hand.agent.journal.queue
    uploader = pc_by_hand.uploader
    uploader._policy = type("P", (), {"rules": rules})()  # type: ignore[assignment]
    uploader._watermark = lambda: 2**40  # type: ignore[method-assign]
    pc_by_hand.seal(2)
    shown = False
    pc_by_hand.send_all()
    assert held.after(0, 9) == [1, 2], "a backup has them, and nobody voted for them yet"
    for _ in range(2):
        reader.look([log])  # one takes it, the next has the votes
    shown = True
    pc_by_hand.seal(1)
    pc_by_hand.send_all()
    assert held.after(0, 9) == [3], "what they voted for may go"
    strangers = {**pinned, "validators": votes.write_validators(Voters("x", "y").validators)}
    uploader._policy.rules = read_rules({"trust": {"validators": strangers}})  # type: ignore[misc]
    for _ in range(2):
        reader.look([log])
    pc_by_hand.seal(1)
    pc_by_hand.send_all()
    assert held.after(0, 9) == [3, 4], "the policy's validators are others"


def test_without_a_backup_batches_stay_for_the_policys_days_by_the_managers_clock(
    pc: Callable[..., Agent], manager: Running, clock: FakeClock
) -> None:
    hand = Pc(pc(clock=clock), manager)
    hand.seal(2)
    hand.send_all()
    clock.now += 10 * 365 * 86_400 * 1_000_000  # the PC's own clock ten years on proves nothing
    assert hand.uploader.trim() == []
    clock.uptime += 29 * 86_400 * 1_000_000
    assert hand.uploader.trim() == []
    clock.uptime += 2 * 86_400 * 1_000_000
    assert hand.uploader.trim() == [1, 2]
    assert hand.agent.journal.queue.totals() == (0, 0)


def test_space_of_the_policy_removes_the_oldest_receipted_only(pc_by_hand: Pc) -> None:
    pc_by_hand.seal(4)
    pc_by_hand.send_all()
    pc_by_hand.seal(2)
    policy = pc_by_hand.agent.policy
    queue = pc_by_hand.agent.journal.queue
    each = queue.totals()[1] // 6
    rules = policy.rules

    class Small:
        class journal:  # noqa: N801
            bytes = each * 4 + 100
            days = 30

        seal = rules.seal
        trust = rules.trust

    pc_by_hand.uploader._policy = type("P", (), {"rules": Small})()  # type: ignore[assignment]
    assert pc_by_hand.uploader.trim() == [1, 2]
    Small.journal.bytes = 0
    assert pc_by_hand.uploader.trim() == [3, 4]
    assert queue.after(0, 9) == [5, 6], "what has no receipt is never removed"
