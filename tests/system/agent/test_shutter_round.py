"""From a person at a PC to the administrator and back: a real agent and a real manager, made-up media."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from made_up_ports import OTHER, STICK, MadeUpPorts, NoFiles
from running_manager import Running, wait_for

from securepc.agent.enforce import Context, Enforcer
from securepc.agent.enforce.shutter import Shutter
from securepc.agent.local.client import LocalClient, path_for
from securepc.agent.service import Agent
from securepc.wire import codes

Pc = Callable[..., Agent]


def opened(manager: Running, pc: Pc, ports: MadeUpPorts) -> Agent:
    """A PC whose shutter is on, and the medium in it."""

    def doors(context: Context) -> list[Enforcer]:
        return [Shutter(context, ports, NoFiles)]

    agent = pc(doors=doors)
    rules = manager.manager.policies.rules(agent.config.log)
    shutter = {"on": True, "test_days": 0}
    manager.manager.policies.change(
        agent.config.log, {**rules, "doors": {"shutter": shutter}}, actor="hanako"
    )
    ports.connected.append(STICK)
    ports.opened[STICK.id] = True
    agent.start()
    wait_for(lambda: agent.guard.doors.status().get("shutter", {}).get("state") == "shut")
    assert ports.opened == {}
    return agent


def ask(agent: Agent, name: str, **more: Any) -> dict[str, Any]:
    with LocalClient(path_for(agent.folder)) as client:
        return client.ask(name, **more)


def test_asked_approved_open_closed_and_in_the_ledger(manager: Running, pc: Pc) -> None:
    ports = MadeUpPorts()
    agent = opened(manager, pc, ports)
    log, approvals = agent.config.log, manager.manager.approvals
    wait_for(lambda: manager.manager.presence.last(agent.config.device))
    ask(agent, "shutter.request", medium=STICK.id, purpose="見積書の持出し", minutes=30, access="write")
    wait_for(lambda: [one for one in approvals.waiting(log) if one.device == agent.config.device])
    [request] = [one for one in approvals.waiting(log) if one.device == agent.config.device]
    assert request.purpose == "見積書の持出し"
    ports.seated = (request.requester,)
    approvals.approve(log, request.id, 20, "read", None, actor="taro")
    wait_for(lambda: ports.opened == {STICK.id: False})  # for reading, as the administrator chose
    ports.plug(OTHER)
    wait_for(lambda: OTHER.id not in ports.opened)
    mine = lambda: [one for one in approvals.takeouts(log) if one.device == agent.config.device]  # noqa: E731
    wait_for(mine)
    [takeout] = mine()
    assert (takeout.approver, takeout.serial, takeout.access) == ("taro", "SN-1", "read")
    approvals.take_back(log, takeout.id, actor="taro")
    wait_for(lambda: ports.opened == {})
    wait_for(lambda: mine()[0].closed_seen)
    assert mine()[0].closed_why == "taken back"


def test_a_code_opens_what_no_network_could(manager: Running, pc: Pc) -> None:
    ports = MadeUpPorts()
    agent = opened(manager, pc, ports)
    shown = ask(agent, "shutter.challenge", medium=STICK.id, purpose="停電", minutes=15, access="write")
    code = manager.manager.approvals.code(
        agent.config.log,
        agent.config.device,
        shown["challenge"],
        shown["medium"],
        15,
        "write",
        "回線障害",
        actor="taro",
    )
    assert len(codes.read(code, codes.RESPONSE)) == codes.RESPONSE
    found = ask(agent, "shutter.answer", code=code)
    wait_for(lambda: ports.opened == {STICK.id: True})
    ask(agent, "shutter.close", grant=found["grant"])
    wait_for(lambda: ports.opened == {})
    takeouts = manager.manager.approvals.takeouts
    wait_for(lambda: [one for one in takeouts(agent.config.log) if one.number == found["grant"]])
    [takeout] = [one for one in takeouts(agent.config.log) if one.number == found["grant"]]
    assert takeout.approver == "taro"
