"""A PC becomes a device: with the right manager only, once, and whatever interrupts it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from lossy_disk import LossyDisk, PowerLoss
from middle import Answer, Middle
from running_agent import MACHINE
from running_manager import Running, wait_for

from securepc.agent import config as configs
from securepc.agent.enrol import NAME, AlreadyEnrolled, enrol
from securepc.agent.journal import ChainKey
from securepc.agent.service import Agent, no_collectors, no_doors
from securepc.agent.status import AlreadyRunning
from securepc.agent.trouble import Trouble
from securepc.wire import enrolment, keys
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode


def through(token: str, middle: Middle) -> str:
    return enrolment.encode(enrolment.decode(token)._replace(address=middle.address))


def test_a_device_is_made_here_and_its_secrets_stay(tmp_path: Path, manager: Running, middle: Middle) -> None:
    config = enrol(tmp_path / "pc", through(manager.token(), middle), MACHINE)
    known = manager.manager.log.device(config.log, config.device)
    assert known is not None
    key = configs.read_key(tmp_path / "pc")
    assert known.key == key.public
    assert not (tmp_path / "pc" / NAME).exists()
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "pc").rglob("*"))
    chain = ChainKey(tmp_path / "pc").state
    assert (chain.epoch, chain.first, chain.previous) == (1, 1, known.head)
    said = b"".join(body for _, _, body in middle.requests)
    for secret in (key.seed, chain.key):
        assert secret.hex().encode() not in said
        assert b64encode(secret).encode() not in said
    with pytest.raises(AlreadyEnrolled):
        enrol(tmp_path / "pc", manager.token(), MACHINE)


@pytest.mark.parametrize("text", ["", "spc1_", "spc1_!!!", "hello", "spc1_" + "A" * 2000, "spc1_e30"])
def test_what_is_no_token_is_refused_before_anything_is_written(tmp_path: Path, text: str) -> None:
    with pytest.raises(Malformed):
        enrol(tmp_path / "pc", text, MACHINE)
    assert not (tmp_path / "pc").exists()


def test_a_token_serves_as_often_as_it_says(tmp_path: Path, manager: Running) -> None:
    token = manager.token(uses=2)
    enrol(tmp_path / "one", token, MACHINE)
    enrol(tmp_path / "two", token, MACHINE)
    with pytest.raises(Trouble) as refused:
        enrol(tmp_path / "three", token, MACHINE)
    assert refused.value.code == "token-used"
    assert "使い切って" in refused.value.ja
    unknown = enrolment.encode(enrolment.decode(token)._replace(secret=bytes(24)))
    with pytest.raises(Trouble) as refused:
        enrol(tmp_path / "four", unknown, MACHINE)
    assert refused.value.code == "token-unknown"


def test_another_manager_is_not_believed(tmp_path: Path, manager: Running, middle: Middle) -> None:
    """TLS may be anybody's: the fingerprint in the token decides."""
    token = enrolment.decode(manager.token())._replace(identity=bytes(32), address=middle.address)
    with pytest.raises(Trouble) as refused:
        enrol(tmp_path / "pc", enrolment.encode(token), MACHINE)
    assert refused.value.code == "impostor"
    assert not (tmp_path / "pc" / "agent.toml").exists()


def forged(answer: bytes, manager: Running, name: str) -> bytes:
    value = json.loads(answer)
    identity = manager.manager.keys.identity
    body = leaf.split(b64decode(value["frame"])).body
    inside = documents.decode("enrolment", body)
    match name:
        case "signature":
            identity = keys.SigningKey(b"z" * 32)
        case "device":
            inside["device"] = "00" * 16
        case "log key":
            inside["log_key"] = inside["log_key"].replace("securepc/", "securepc/0")
        case "register":
            inside["register"] = b64encode(b64decode(inside["register"])[:-70])
        case "low order":
            inside["agreement"] = b64encode(bytes(32))
        case "context":
            value["frame"] = b64encode(leaf.frame("session", body, identity.sign))
            return json.dumps(value).encode()
        case "garbage":
            return b"<html>"
        case "nothing":
            return b"{}"
        case "identity":
            value["identity"] = "x"
    value["frame"] = b64encode(leaf.frame("enrolment", documents.encode("enrolment", inside), identity.sign))
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "name",
    [
        "signature",
        "device",
        "log key",
        "register",
        "low order",
        "context",
        "garbage",
        "nothing",
        "identity",
    ],
)
def test_a_forged_answer_enrols_nothing_and_the_right_one_still_does(
    tmp_path: Path, manager: Running, middle: Middle, name: str
) -> None:
    token = through(manager.token(), middle)
    middle.after = lambda method, path, body, answer: Answer(200, forged(answer.body, manager, name))
    with pytest.raises(Trouble):
        enrol(tmp_path / "pc", token, MACHINE)
    assert not (tmp_path / "pc" / "agent.toml").exists()
    middle.after = lambda *_: None
    assert enrol(tmp_path / "pc", token, MACHINE).log == manager.log


def test_approval_is_waited_for_and_said(tmp_path: Path, manager: Running) -> None:
    token = manager.token(approval=True)
    said = threading.Event()
    with pytest.raises(Trouble) as refused:
        enrol(tmp_path / "pc", token, MACHINE)
    assert refused.value.code == "pending"
    asked = json.loads((tmp_path / "pc" / NAME).read_text())
    device = bytes.fromhex(asked["device"])

    def wait(seconds: float) -> None:
        assert said.is_set()
        assert manager.manager.enrolments.decide(manager.log, device, True, actor="test")

    config = enrol(tmp_path / "pc", token, MACHINE, pending=said.set, wait=wait)
    assert config.device == device


def test_two_at_once_do_not_mix_their_keys(tmp_path: Path, manager: Running) -> None:
    token = manager.token(uses=2, approval=True)

    def another(_: float) -> None:
        with pytest.raises(AlreadyRunning):
            enrol(tmp_path / "pc", token, MACHINE)
        device = bytes.fromhex(json.loads((tmp_path / "pc" / NAME).read_text())["device"])
        assert manager.manager.enrolments.decide(manager.log, device, True, actor="test")

    enrol(tmp_path / "pc", token, MACHINE, wait=another)


def test_a_refused_device_is_told(tmp_path: Path, manager: Running) -> None:
    token = manager.token(approval=True)
    with pytest.raises(Trouble):
        enrol(tmp_path / "pc", token, MACHINE)
    device = bytes.fromhex(json.loads((tmp_path / "pc" / NAME).read_text())["device"])
    manager.manager.enrolments.decide(manager.log, device, False, actor="test")
    with pytest.raises(Trouble) as refused:
        enrol(tmp_path / "pc", token, MACHINE, wait=lambda seconds: None)
    assert refused.value.code == "enrolment-refused"


def test_interrupted_at_any_instant_it_is_still_one_device(tmp_path: Path, manager: Running) -> None:
    """Power goes before each disk operation in turn; every time the same command is run again."""
    token = manager.token(uses=1)
    folder = tmp_path / "pc"
    folder.mkdir()
    devices: set[str] = set()
    losses = 0
    with LossyDisk(folder, seed=3) as disk:
        for at in range(200):
            disk.fail_at = at
            try:
                config = enrol(folder, token, MACHINE)
            except PowerLoss:
                losses += 1
                disk.lose_power()
                text = (folder / NAME).read_text() if (folder / NAME).exists() else ""
                if text.strip("\0"):  # what is being erased is zeros
                    devices.add(json.loads(text)["device"])
                continue
            except AlreadyEnrolled:
                config = configs.read(folder)
            disk.fail_at = None
            break
    assert losses > 10
    assert devices == {config.device.hex()}
    agent = Agent(folder, collectors=no_collectors, doors=no_doors)
    agent.start()
    try:
        wait_for(lambda: agent.uploader.acknowledged == 1)
        index = manager.manager.log.batch(config.log, config.device, 1)
        assert index is not None
        manager.wait_judged(index)
        assert manager.alerts("altered") == [], "both sides agree on K0"
    finally:
        agent.stop()
    assert agent.policy.version[1] >= 1
    assert not (folder / NAME).exists()


@pytest.mark.parametrize(
    "address", ["http://manager.example.jp", "http://192.0.2.1:80", "http://[2001:db8::1]"]
)
def test_nothing_is_sent_in_the_clear_to_another_machine(
    tmp_path: Path, manager: Running, address: str
) -> None:
    token = enrolment.encode(enrolment.decode(manager.token())._replace(address=address))
    with pytest.raises(Trouble) as refused:
        enrol(tmp_path / "pc", token, MACHINE)
    assert refused.value.code == "in-the-clear"
    assert not (tmp_path / "pc").exists()
