"""Orders from a real manager to a real agent: delivered, kept, carried out once, answered on the ledger."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from middle import Answer, Middle
from running_manager import Running, wait_for

from securepc.agent.codes import Codes
from securepc.agent.local.client import LocalClient, path_for
from securepc.agent.local.server import Refused
from securepc.agent.orders import Failed, Later
from securepc.agent.service import Agent
from securepc.manager.commands.model import Command
from securepc.manager.devices import codes as device_codes
from securepc.wire import orders as wire_orders
from securepc.wire.signed import documents, leaf

Pc = Callable[..., Agent]


def issue(manager: Running, agent: Agent, order: str, args: dict[str, Any] | None = None, **more: Any) -> int:
    commands = manager.manager.commands
    with manager.manager.database.write() as session:
        return commands.issue(
            session, agent.config.log, agent.config.device, order, args, actor="test", **more
        )


def row(manager: Running, number: int) -> Command:
    with manager.manager.database.read() as session:
        found = session.get(Command, number)
        assert found is not None
        return found


def test_an_order_is_carried_out_within_a_second_and_answered(manager: Running, pc: Pc) -> None:
    agent = pc()
    done: list[wire_orders.Command] = []

    def locate(order: wire_orders.Command) -> dict[str, Any]:
        done.append(order)
        return {"observed": "here"}

    agent.guard.orders.on("locate", locate)
    agent.start()
    wait_for(lambda: agent.status()["last_contact"])
    time.sleep(0.5)  # its long poll stands
    begin = time.monotonic()
    number = issue(manager, agent, "locate", {"why": "試験"})
    wait_for(lambda: done)
    assert time.monotonic() - begin < 1.0
    assert done[0].args == {"why": "試験"}
    wait_for(lambda: row(manager, number).state == "done")
    found = row(manager, number)
    assert found.result["observed"] == "here"
    assert found.taken_at is not None
    assert found.entry is not None
    assert found.entry.startswith(agent.config.device.hex())


def test_a_failure_is_said_with_its_reason(manager: Running, pc: Pc) -> None:
    agent = pc()

    def refuse(_: wire_orders.Command) -> dict[str, Any]:
        raise Failed("できません。", "it cannot be done")

    agent.guard.orders.on("lock", refuse)
    agent.start()
    failing, unknown = issue(manager, agent, "lock"), issue(manager, agent, "unlock")
    wait_for(lambda: row(manager, unknown).state == "failed")
    assert row(manager, failing).state == "failed"
    assert row(manager, failing).result["ja"] == "できません。"
    assert "unlock" in row(manager, unknown).result["reason"]


def test_what_is_not_fetched_says_so_and_what_is_late_is_void(
    manager: Running, middle: Middle, pc: Pc
) -> None:
    agent = pc()
    agent.guard.orders.on("locate", lambda order: {"observed": "here"})
    number = issue(manager, agent, "locate")
    assert row(manager, number).state == "waiting"
    late = issue(manager, agent, "locate", lifetime=1)
    time.sleep(0.01)
    manager.manager.commands.expire()
    assert row(manager, late).state == "expired"
    agent.start()
    wait_for(lambda: row(manager, number).state == "done")
    assert row(manager, late).state == "expired"


def test_an_order_that_was_begun_when_the_pc_died_is_begun_again(manager: Running, pc: Pc) -> None:
    agent = pc()
    begun = threading.Event()

    def hang(_: wire_orders.Command) -> dict[str, Any]:
        begun.set()
        raise OSError("the disk is gone")  # not answered: the flush below fails, too

    agent.guard.orders.on("lock", hang)
    agent.guard.orders._flush = lambda seconds: False
    agent.start()
    number = issue(manager, agent, "lock")
    assert begun.wait(60)
    wait_for(lambda: agent.guard.orders.taken == number)
    agent.stop("a test")
    again = Agent(agent.folder, collectors=lambda context: (), doors=lambda context: (), limits=agent._limits)
    again.guard.orders.on("lock", lambda order: {"observed": "locked"})
    again.start()
    try:
        wait_for(lambda: row(manager, number).result.get("observed") == "locked")
    finally:
        again.stop("a test")


def test_only_the_agencys_own_word_is_an_order(manager: Running, middle: Middle, pc: Pc) -> None:
    """Forged, for another device, and replayed ones, by somebody between the two."""
    agent = pc()
    done: list[int] = []

    def lock(order: wire_orders.Command) -> dict[str, Any]:
        done.append(order.number)
        return {"observed": "locked"}

    agent.guard.orders.on("lock", lock)
    other = manager.device()
    value = {
        "log": agent.config.log.hex(),
        "device": agent.config.device.hex(),
        "number": 2**52,
        "issued": 0,
        "expires": 2**52,
        "order": "lock",
        "args": {},
    }
    sign = manager.manager.keys.log(agent.config.log).commands.sign
    forged = leaf.frame("command", documents.encode("command", value), lambda message: bytes(64))
    foreign = leaf.frame("command", documents.encode("command", value | {"device": other.handle.hex()}), sign)
    number = issue(manager, agent, "lock")
    true = row(manager, number).frame
    frames = [documents.b64encode(frame) for frame in (forged, foreign, true, true)]

    def twist(method: str, path: str, body: bytes) -> Answer | None:
        if "/wait?" not in path:
            return None
        time.sleep(0.05)
        text = '{"policy":null,"orders":["' + '","'.join(frames) + '"],"seal":false}'
        return Answer(200, text.encode())

    middle.before = twist
    agent.start()
    wait_for(lambda: row(manager, number).state == "done")
    wait_for(lambda: sum("/wait?" in path for _, path, _ in middle.requests) > 3)
    assert done == [number]
    assert agent.guard.orders.taken == number


def test_people_at_the_pc_are_told_and_can_ask(manager: Running, pc: Pc) -> None:
    agent = pc()
    agent.start()
    issue(manager, agent, "message", {"text": "本日18時に更新します。"})
    with LocalClient(path_for(agent.folder)) as client:
        found = client.ask("notices", after=0, wait=True)["notices"]
        assert [notice["ja"] for notice in found] == ["本日18時に更新します。"]
        assert client.ask("notices", after=found[-1]["number"])["notices"] == []
        assert client.ask("doors") == {"doors": {}}
        with pytest.raises(Refused) as refused:
            client.ask("nothing-of-the-kind")
        assert refused.value.code == "unknown"
        with pytest.raises(Refused):
            client.ask("notices", after="x")


def test_a_code_from_the_console_is_the_pcs_own(manager: Running, pc: Pc) -> None:
    """Both sides agreed the key at enrolment, without its ever crossing the network."""
    agent = pc()
    desk = Codes(agent.folder, agent.guard.context.state, agent.clock, "shutter")
    challenge = desk.challenge("write 30", {"minutes": 30})
    core = manager.manager

    def issued(device: bytes, details: str) -> str:
        with core.database.write() as session:
            log = agent.config.log
            return device_codes.answer(
                session, core.keys, log, device, "shutter", challenge, details, actor="test", reason="試験"
            )

    with pytest.raises(Refused):
        desk.answer(issued(manager.device().handle, "write 30"))
    with pytest.raises(Refused):
        desk.answer(issued(agent.config.device, "write 60"))
    assert desk.answer(issued(agent.config.device, "write 30")) == {"minutes": 30}


def test_an_order_that_takes_long_holds_up_no_other_and_outlives_a_restart(manager: Running, pc: Pc) -> None:
    agent = pc()
    begun: list[int] = []

    def begin(order: wire_orders.Command) -> dict[str, Any]:
        begun.append(order.number)
        raise Later

    agent.guard.orders.on("software.remove", begin)
    agent.guard.orders.on("locate", lambda order: {"observed": "here"})
    agent.start()
    long, short = issue(manager, agent, "software.remove"), issue(manager, agent, "locate")
    wait_for(lambda: row(manager, short).state == "done")
    assert begun[0] == long
    assert row(manager, long).state in ("sent", "taken")
    agent.stop("a test")
    again = Agent(agent.folder, collectors=lambda context: (), doors=lambda context: (), limits=agent._limits)
    begun.clear()
    again.guard.orders.on("software.remove", begin)
    again.start()
    try:
        wait_for(lambda: begun)
        assert again.guard.orders.settle(long, {"observed": "gone"})
        wait_for(lambda: row(manager, long).state == "done")
        assert row(manager, long).result["observed"] == "gone"
        assert again.guard.orders.settle(
            long, {"observed": "twice"}
        )  # answered already: nothing more is said
        assert again._state.orders() == []
    finally:
        again.stop("a test")
