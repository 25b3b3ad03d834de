"""A PC becomes a device (docs/formats/enrolment.md): token, keys made here, the manager's signed answer.

1. handle, keys and proof are made and written down, so that asking again asks for the same device
2. the manager is asked, again and again while an administrator has not decided
3. the answer is checked against the fingerprint in the token: nothing else is trusted, TLS included
4. `device.key`, `codes.key`, `chain.key` and the policy are written, then `agent.toml`: only now it is
enrolled 5. what step 1 wrote is erased

Killed at any instant, the same command goes on.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from securepc import __version__
from securepc.agent import codes, files, status
from securepc.agent import config as configs
from securepc.agent.client import Client, is_private
from securepc.agent.config import Config
from securepc.agent.journal import ChainKey
from securepc.agent.platform.base import Machine
from securepc.agent.session import read_frame, read_object
from securepc.agent.state import State
from securepc.agent.trouble import Trouble, garbled
from securepc.ledger import note
from securepc.ledger.note import NoteError
from securepc.wire import enrolment, keys, notice
from securepc.wire.codes import key_of
from securepc.wire.enrolment import Token
from securepc.wire.shapes import prepared
from securepc.wire.signed import batch, documents, leaf
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode

NAME = "enrolling.json"
_MAX = 64 * 1024
POLL_SECONDS = 5.0
ENROLLED = "enrolled"
"""Name in `state.sqlite` of the policy's frame that came with the enrolment, until it was offered."""


class AlreadyEnrolled(Exception):
    """There is an `agent.toml`: enrolling again would give up this device's history."""


@prepared
class _Asking(msgspec.Struct, frozen=True):
    """What step 1 wrote down, in hex."""

    log: str
    device: str
    seed: str
    agreement: str


def enrol(
    folder: Path,
    text: str,
    machine: Machine,
    *,
    ca_file: Path | None = None,
    allow_http: bool = False,
    pending: Callable[[], None] = lambda: None,
    wait: Callable[[float], Any] | None = None,
) -> Config:
    """Enrol the PC of this folder with a token.

    Args:
        allow_http: talk to another machine without TLS, where a tunnel protects what is sent.
        pending: called once, when an administrator has to approve first.
        wait: waits so many seconds before asking again; None: give up with a `Trouble` "pending".

    Raises:
        AlreadyEnrolled: this PC is a device already.
        AlreadyRunning: another enrolment goes on in this folder.
        Malformed: the token is none, or cut short.
        Trouble: the manager cannot be reached, refuses, or is not the one that the token names.
    """
    token = enrolment.decode(text)
    if not (allow_http or is_private(token.address)):
        raise _in_the_clear(token.address)
    files.make_folder(folder)
    _refuse_enrolled(folder)
    with status.locked(folder):  # two at once would mix their keys
        _refuse_enrolled(folder)
        return _enrol(folder, token, machine, ca_file, pending, wait)


def _enrol(
    folder: Path,
    token: Token,
    machine: Machine,
    ca_file: Path | None,
    pending: Callable[[], None],
    wait: Callable[[float], Any] | None,
) -> Config:
    asking = _asking(folder, token)
    client = Client(token.address, ca_file=ca_file)
    body = _body(token, asking, machine)
    told = False
    while True:
        value = read_object(client.post_json("enrol", body), "enrol")
        if "frame" in value:
            break
        if value.get("status") != "pending":
            raise garbled("enrol")
        if not told:
            told = True
            pending()
        if wait is None:
            raise _pending()
        wait(POLL_SECONDS)
    client.close()
    return _accept(folder, token, asking, value, ca_file)


def _refuse_enrolled(folder: Path) -> None:
    if (folder / configs.NAME).exists():
        finish(folder)
        raise AlreadyEnrolled(str(folder))


def _asking(folder: Path, token: Token) -> _Asking:
    """Step 1, or what it wrote before."""
    path = folder / NAME
    try:
        asking = msgspec.json.decode(files.read(path, _MAX), type=_Asking)
        whole = all(
            len(bytes.fromhex(text)) == size
            for text, size in ((asking.device, 16), (asking.seed, 32), (asking.agreement, 32))
        )
        if asking.log == token.log.hex() and whole:
            return asking
    except (FileNotFoundError, ValueError, msgspec.DecodeError):
        pass  # never written, or for another agency: nobody has answered it
    asking = _Asking(token.log.hex(), secrets.token_hex(16), secrets.token_hex(32), secrets.token_hex(32))
    files.replace(path, msgspec.json.encode(asking))
    return asking


def _body(token: Token, asking: _Asking, machine: Machine) -> dict[str, Any]:
    key = keys.SigningKey(bytes.fromhex(asking.seed))
    message = documents.proof_message("register", token.log, bytes.fromhex(asking.device), key.public)
    return {
        "secret": b64encode(token.secret),
        "device": asking.device,
        "key": b64encode(key.public),
        "proof": b64encode(key.sign(message)),
        "agreement": b64encode(keys.BoxKey(bytes.fromhex(asking.agreement)).public),
        "info": {
            "hostname": machine.hostname[:200],
            "os": machine.os[:200],
            "version": __version__,
            "user": machine.user[:200],
        },
    }


def _accept(
    folder: Path, token: Token, asking: _Asking, answer: dict[str, Any], ca_file: Path | None
) -> Config:
    """Steps 3 to 5."""
    try:
        identity = b64decode(answer["identity"], 32)
    except (KeyError, Malformed):
        raise garbled("enrol") from None
    number = _number(identity, token, answer.get("keys"))
    if number is None:
        raise Trouble(
            "impostor",
            "接続先は、この登録トークンを発行したマネージャーではありません。登録を中止しました。",
            "this is not the manager that issued the token; the PC was not enrolled",
        )
    value = read_frame(answer["frame"], "enrolment", identity)
    if (value["log"], value["device"]) != (token.log.hex(), asking.device):
        raise garbled("an enrolment of another device")
    key = keys.SigningKey(bytes.fromhex(asking.seed))
    registration = _registration(value, key)
    try:
        log_key = note.parse_key(value["log_key"])
        if log_key.name.partition("/")[2].partition("/")[0] != token.log.hex():
            raise NoteError("the key of another log")
        half = keys.BoxKey(bytes.fromhex(asking.agreement))
        k0 = keys.first_mac_key(half.agree(b64decode(value["agreement"], 32)), token.log, _device(asking))
    except (NoteError, RuntimeError) as error:
        raise garbled(f"enrol: {error}") from None
    config = Config(
        address=token.address,
        identity=identity,
        log=token.log,
        device=_device(asking),
        log_key=log_key,
        commands=b64decode(value["commands"], 32),
        intake=b64decode(value["intake"], 32),
        ca_file=ca_file,
        number=number,
    )
    configs.write_key(folder, key.seed)
    codes.write_key(folder, key_of(k0))
    ChainKey.create(folder, k0, registration)
    _keep_policy(folder, answer.get("policy"))
    configs.write(folder, config)
    finish(folder)
    return config


def _number(identity: bytes, token: Token, frames: object) -> int | None:
    """Number of the last key notice that led from the identity key that the token names to this one, each
    signed by the one before; 0 where the token names this one, None where nothing leads to it."""
    reached, number = None, 0
    for frame in frames[: notice.MOST] if isinstance(frames, list) else ():
        try:
            said = notice.parse(b64decode(frame) if isinstance(frame, str) else b"")
        except Malformed:
            return None
        if reached is None and hmac.compare_digest(enrolment.fingerprint(said.by), token.identity):
            reached = said.by
        if said.log == token.log and said.by == reached:
            reached, number = said.identity, said.number
    if reached is None and hmac.compare_digest(enrolment.fingerprint(identity), token.identity):
        reached = identity
    return number if reached == identity else None


def finish(folder: Path) -> None:
    """Step 5, also for an enrolment that was killed before it: every start of the agent does this."""
    files.erase(folder / NAME)


def _device(asking: _Asking) -> bytes:
    """The handle that was asked for."""
    return bytes.fromhex(asking.device)


def _registration(value: dict[str, Any], key: keys.SigningKey) -> bytes:
    """The message hash of the registration's leaf, which the first batch continues from."""
    try:
        data = b64decode(value["register"])
        parts = leaf.split(data)
        register = documents.decode("register", parts.body)
    except Malformed as error:
        raise garbled(f"enrol: {error}") from None
    named = (parts.kind, register["log"], register["device"], register["key"])
    if named != ("register", value["log"], value["device"], b64encode(key.public)):
        raise garbled("a registration of another device")
    return batch.message_hash(data)


def _keep_policy(folder: Path, frame: object) -> None:
    """Judged like any other policy when the agent first starts, which also records the enrolment."""
    state = State(folder)
    try:
        state.put(ENROLLED, frame.encode("ascii", "replace") if isinstance(frame, str) else b"")
    finally:
        state.close()


def _in_the_clear(address: str) -> Trouble:
    return Trouble(
        "in-the-clear",
        f"{address} は暗号化されていない接続です。https のアドレスを持つトークンを使ってください"
        "(トンネルで保護している場合は --allow-http を付けてください)。",
        f"{address} is not encrypted; use a token with an https address (or --allow-http where a tunnel "
        "protects the connection)",
    )


def _pending() -> Trouble:
    return Trouble(
        "pending",
        "管理者の承認を待っています。承認後に、同じコマンドをもう一度実行してください。",
        "waiting for an administrator's approval; run the same command again after it",
    )
