"""The real agent against the real manager."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from journal_kit import FakeClock
from middle import Answer, Middle
from running_agent import MACHINE, OFTEN, event
from running_manager import Keeper, Running, wait_for

from securepc.agent import herald, platform, status
from securepc.agent.enrol import enrol
from securepc.agent.service import Agent
from securepc.agent.status import AlreadyRunning
from securepc.ledger import proof
from securepc.manager.ingest.opened import Provisional
from securepc.wire.event import Event, from_entry
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.documents import b64decode, b64encode

Pc = Callable[..., Agent]


class Ear:
    """Hears every provisional line that the manager takes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def announced(self, lines: Provisional) -> None:
        self.heard += lines.lines


def events(keeper: Keeper, agent: Agent) -> list[Event]:
    return [
        known
        for one in keeper.seen
        if one.header.device == agent.config.device
        for entry in one.entries or []
        if (known := from_entry(entry))
    ]


def kinds(keeper: Keeper, agent: Agent) -> list[str]:
    return [known.kind for known in events(keeper, agent)]


def test_the_life_of_an_agent(manager: Running, keeper: Keeper, middle: Middle, pc: Pc) -> None:
    agent = pc(fresh=True)
    agent.start()
    # Its enrolment is on the ledger at once, in one batch or, where the policy's entry comes late, in two.
    wait_for(lambda: agent.journal.view().sealed == 3 and not agent.status()["queue"]["unsent"])
    enrolled = agent.uploader.acknowledged
    for n in range(5):
        assert agent.record(event(agent, n))
    # Open lines go up before they are sealed, a heartbeat too.
    wait_for(lambda: [b for _, p, b in middle.requests if p.endswith("/provisional") and b"/home/4" in b])
    wait_for(lambda: agent.status()["last_contact"])
    assert agent.journal.view().sealed == 3
    # Sealed, they become a leaf of the agency's log; the receipt is kept as a tlog-proof.
    assert agent.journal.seal(5.0)
    wait_for(lambda: agent.uploader.acknowledged == enrolled + 1)
    receipt = agent.uploader.receipt(enrolled + 1)
    assert receipt is not None
    index = proof.parse(receipt).leaf_index
    assert manager.manager.log.batch(agent.config.log, agent.config.device, enrolled + 1) == index
    assert agent.stop("a test")
    manager.wait_judged(index + 1)
    wait_for(lambda: "agent.stop" in kinds(keeper, agent))
    assert kinds(keeper, agent) == [
        "agent.start",
        "agent.enrolled",
        "policy.applied",
        *["file.create"] * 5,
        "agent.stop",
    ]
    assert all(one.reason is None for one in keeper.seen), "seals and provisional lines agree"
    said = status.read(agent.folder)
    assert said is not None
    assert json.dumps(said)
    assert (said["durable"], said["sealed"], said["queue"]["unsent"]) == (9, 9, 0)
    assert said["policy"]["version"] == "1.1"
    assert not said["running"]


def test_lines_are_known_to_the_manager_within_a_second(manager: Running, pc: Pc) -> None:
    agent = pc(intervals=OFTEN._replace(announce=0.5), limits=None)
    agent.start()
    ear = Ear()
    manager.manager.opener.listen(ear)
    time.sleep(1.0)
    begin = time.monotonic()
    agent.record(event(agent, 77))
    wait_for(lambda: any(b"/home/77" in line for line in ear.heard), 60)
    assert time.monotonic() - begin < 5.0


def test_lines_do_not_go_out_where_others_could_read_them(
    manager: Running, pc: Pc, middle: Middle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An `http://` address beyond this PC: what is sealed is encrypted, what is not stays here."""
    monkeypatch.setattr(herald, "is_private", lambda address: False)
    agent = pc()
    agent.start()
    agent.record(event(agent, 5))
    wait_for(lambda: agent.status()["last_contact"])
    assert agent.journal.seal(5.0)
    wait_for(lambda: agent.uploader.acknowledged == 1)
    assert not [path for _, path, _ in middle.requests if path.endswith("/provisional")]
    assert not any(b"/home/5" in body for _, _, body in middle.requests)


def test_the_manager_can_ask_for_a_seal(manager: Running, pc: Pc) -> None:
    agent = pc()
    agent.start()
    wait_for(lambda: agent.status()["last_contact"])
    agent.record(event(agent, 1))
    time.sleep(0.3)
    begin = time.monotonic()
    manager.manager.ingest.orders.seal(agent.config.device)
    wait_for(lambda: agent.uploader.acknowledged == 1)
    assert time.monotonic() - begin < 10.0


def test_what_matters_reaches_the_ledger_at_once(manager: Running, pc: Pc) -> None:
    agent = pc()
    agent.start()
    time.sleep(0.5)
    begin = time.monotonic()
    agent.record(event(agent, 1, "media.denied"))
    wait_for(lambda: agent.uploader.acknowledged == 1)
    assert time.monotonic() - begin < 10.0


def test_a_policy_arrives_applies_and_is_named_in_entries(
    manager: Running, middle: Middle, keeper: Keeper, pc: Pc
) -> None:
    agent = pc()
    agent.start()
    wait_for(lambda: agent.status()["last_contact"])
    before = agent.policy.raw()
    agent.record(event(agent, 1))
    policies = manager.manager.policies
    rules = {**policies.rules(manager.log), "seal": {"entries": 3, "seconds": 60, "provisional": True}}
    made = policies.change(manager.log, rules, actor="test", device=agent.config.device)
    wait_for(lambda: agent.policy.version[1] == made.counter)
    assert agent.policy.raw() is not before
    wait_for(lambda: agent.journal.limits.seal_entries == 3)
    agent.record(event(agent, 2))
    wait_for(lambda: agent.uploader.acknowledged >= 1)
    wait_for(lambda: "policy.applied" in kinds(keeper, agent))
    agent.journal.seal(5.0)
    wait_for(lambda: len([k for k in kinds(keeper, agent) if k == "file.create"]) == 2)
    named = {e.data["path"]: e.policy for e in events(keeper, agent) if e.kind == "file.create"}
    assert named["/home/2"] == f"1.{made.counter}"
    # By anybody else it is refused, and that is recorded.
    value = documents.decode("policy", leaf.split(made.frame).body)
    from securepc.wire.keys import SigningKey

    value["counter"] += 1
    forged = leaf.frame("policy", documents.encode("policy", value), SigningKey(b"z" * 32).sign)
    answer = json.dumps({"policy": b64encode(forged), "seal": False}).encode()
    middle.before = lambda method, path, body: Answer(200, answer) if "/wait" in path else None
    policies.change(manager.log, rules, actor="test", device=agent.config.device)  # ends the wait under way
    wait_for(lambda: "policy.refused" in kinds(keeper, agent))
    assert agent.policy.version[1] <= made.counter + 1
    assert len([p for _, p, _ in middle.requests if "/wait" in p]) < 20, "and it does not spin"
    # The policy outlives a restart.
    agent.stop()
    again = pc()
    assert again.policy.version[1] >= made.counter


def test_a_heartbeat_comes_back_countersigned_and_is_kept(manager: Running, pc: Pc) -> None:
    agent = pc()
    agent.start()
    wait_for(lambda: agent._state.get("heartbeat"))
    frame = agent._state.get("heartbeat")
    assert frame is not None
    value = documents.decode("heartbeat", leaf.split(b64decode(frame.decode())).body)
    assert value["device"] == agent.config.device.hex()
    assert value["boot"] == agent.clock.boot.hex()
    assert abs(value["at"] - agent.clock.at()) < 5_000_000
    manager.manager.presence.flush()
    row = manager.manager.devices.get(manager.log, agent.config.device)
    assert row is not None
    assert row.status["version"]


def test_offline_it_goes_on_and_comes_back_by_itself(
    manager: Running, middle: Middle, keeper: Keeper, pc: Pc
) -> None:
    agent = pc()
    middle.down = True
    agent.start()
    for n in range(20):
        agent.record(event(agent, n))
        agent.journal.seal(5.0)
    wait_for(lambda: (agent.status()["error"] or {}).get("code") == "unreachable")
    said = agent.status()
    assert said["last_contact"] is None, "nobody answered yet"
    assert "接続できません" in said["error"]["ja"]
    assert "cannot be reached" in said["error"]["en"]
    assert (said["acknowledged"], said["queue"]["unsent"]) == (0, 20)
    middle.down = False
    wait_for(lambda: agent.uploader.acknowledged == 20, 60)
    wait_for(lambda: len(events(keeper, agent)) == 21)
    assert [e.data.get("path") for e in events(keeper, agent)[1:]] == [f"/home/{n}" for n in range(20)]


def test_a_clock_that_jumps_is_an_entry(keeper: Keeper, pc: Pc) -> None:
    clock = FakeClock(at=int(time.time() * 1e6))
    agent = pc(clock=clock)
    agent.start()
    time.sleep(0.3)
    clock.now += 10 * 365 * 86_400 * 1_000_000
    wait_for(lambda: agent.journal.view().durable == 2)
    clock.now -= 10 * 365 * 86_400 * 1_000_000
    wait_for(lambda: agent.journal.view().durable == 3)
    agent.journal.seal(5.0)
    wait_for(lambda: "agent.clock" in kinds(keeper, agent))
    drifts = [e.data["drift"] for e in events(keeper, agent) if e.kind == "agent.clock"]
    assert [d > 0 for d in drifts] == [True, False]
    assert all(abs(abs(d) - 10 * 365 * 86_400 * 1_000_000) < 2_000_000 for d in drifts)


def test_a_revoked_device_is_told_and_keeps_recording(manager: Running, pc: Pc) -> None:
    agent = pc()
    agent.start()
    wait_for(lambda: agent.status()["last_contact"])
    manager.manager.devices.revoke(manager.log, agent.config.device, "test", actor="test")
    agent.record(event(agent, 1))
    agent.journal.seal(5.0)
    wait_for(lambda: (agent.status()["error"] or {}).get("code") == "revoked")
    assert "失効" in agent.status()["error"]["ja"]
    assert agent.record(event(agent, 2))


def test_one_folder_has_one_agent_and_one_process_many(manager: Running, pc: Pc, tmp_path: Path) -> None:
    agents = [pc(f"pc-{i}") for i in range(3)]
    for agent in agents:
        agent.start()
    with pytest.raises(AlreadyRunning):
        Agent(tmp_path / "pc-1")
    for agent in agents:
        agent.record(event(agent, 1))
        agent.journal.seal(5.0)
    for agent in agents:
        wait_for(lambda one=agent: one.uploader.acknowledged == 1)
        assert agent.stop()
    assert not status.is_running(tmp_path / "pc-1")


def securepc(*arguments: str, home: Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "securepc", *arguments, "--home", str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SECUREPC_LANG": "ja", **more},
    )


def test_the_command_line_and_the_collectors_of_this_pc(
    tmp_path: Path, manager: Running, keeper: Keeper
) -> None:
    home, folder = tmp_path / "home", tmp_path / "people" / "hanako"
    folder.mkdir(parents=True)
    out, _ = securepc("agent", "status", "--json", home=home).communicate(timeout=30)
    assert json.loads(out) == {"enrolled": False, "running": False}
    _, errors = securepc("agent", "run", home=home).communicate(timeout=30)
    assert "まだ登録されていません" in errors
    _, errors = securepc("agent", "enrol", "spc1_nonsense", home=home).communicate(timeout=30)
    assert errors.startswith("エラー: 登録トークンが正しくありません")
    enrolling = securepc("agent", "enrol", "-", home=home)
    out, errors = enrolling.communicate(manager.token() + "\n", timeout=30)
    assert enrolling.returncode == 0, errors
    assert "登録しました" in out
    rules = manager.manager.policies.rules(manager.log)
    rules["collect"]["files"]["paths"] = [str(folder)]
    rules["collect"]["processes"] = {"on": False}
    device = json.loads(securepc("agent", "status", "--json", home=home).communicate()[0])["device"]
    manager.manager.policies.change(manager.log, rules, actor="test", device=bytes.fromhex(device))
    running = securepc("agent", "run", "--json", home=home)
    try:
        assert running.stdout is not None
        ready = json.loads(running.stdout.readline())
        assert ready["device"] == device
        name = "見積書-架空商事.txt"

        def said() -> dict[str, object]:
            return dict(json.loads(securepc("agent", "status", "--json", home=home).communicate()[0]))

        wait_for(lambda: str(said().get("policy", {}).get("version")) != "1.1", 30)  # type: ignore[attr-defined]
        ear = Ear()
        manager.manager.opener.listen(ear)

        def written() -> bool:
            (folder / name).write_text("x")
            time.sleep(0.2)
            return any(name.encode() in line for line in ear.heard)

        wait_for(written, 60)
        assert set(said()["collectors"]) >= {"files", "processes", "sessions", "network"}  # type: ignore[call-overload]
        again = securepc("agent", "run", home=home)
        assert "すでに動いています" in again.communicate(timeout=30)[1]
        out, _ = securepc("agent", "status", home=home).communicate(timeout=30)
        assert "動作中" in out
    finally:
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=30)
    assert running.returncode == 0, errors
    assert "Traceback" not in errors

    def stops() -> list[str]:
        mine = [one for one in keeper.seen if one.header.device.hex() == device]
        found = [e for one in mine for line in one.entries or [] if (e := from_entry(line))]
        return [e.data["reason"] for e in found if e.kind == "agent.stop"]

    wait_for(stops)
    assert stops() == ["SIGTERM"]


def test_this_pcs_identity() -> None:
    machine, clock = platform.machine(), platform.clock()
    assert machine.hostname
    assert machine.os
    assert len(clock.boot) == 16
    assert abs(clock.at() - time.time_ns() // 1000) < 1_000_000
    assert clock.up() > 0
    assert clock.boot == platform.clock().boot


def test_enrolling_offline_says_so(tmp_path: Path, manager: Running, middle: Middle) -> None:
    from securepc.agent.trouble import Trouble
    from securepc.wire import enrolment

    token = enrolment.decode(manager.token())._replace(address="http://127.0.0.1:9")
    with pytest.raises(Trouble) as trouble:
        enrol(tmp_path / "pc", enrolment.encode(token), MACHINE)
    assert trouble.value.code == "unreachable"
