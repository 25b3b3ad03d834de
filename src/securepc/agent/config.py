"""What enrolment left on this PC: `agent.toml` (whom this device talks to) and `device.key` (its secret)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from securepc.agent import files
from securepc.ledger.note import NoteError, VerifierKey, parse_key
from securepc.wire import keys
from securepc.wire.signed import documents
from securepc.wire.signed.canonical import Malformed

NAME = "agent.toml"
KEY_NAME = "device.key"
_KEY_PREFIX = b"securepc device key v1\n"
_MAX = 64 * 1024


class NotEnrolled(Exception):
    """There is no `agent.toml`: this PC is not a device yet."""


class BadConfig(Exception):
    """`agent.toml` or `device.key` is there and cannot be used."""


@dataclass(slots=True)
class Config:
    """Handles are 16 bytes, keys 32. `ca_file` is set by hand where TLS is under a private authority.

    All parts of an agent share one: the manager's keys change when a key notice is taken (`agent.trust`).
    """

    address: str
    identity: bytes  # the manager's identity key, Ed25519
    log: bytes
    device: bytes
    log_key: VerifierKey
    commands: bytes  # Ed25519; signs policies
    intake: bytes  # X25519; batch keys are sealed to it
    ca_file: Path | None = None
    number: int = 0  # of the last key notice that was taken
    retired_log_keys: tuple[VerifierKey, ...] = ()  # for what is on this disk already
    retired_commands: tuple[bytes, ...] = ()


def write(folder: Path, config: Config) -> None:
    """Put `agent.toml` in place: from then on this PC is enrolled."""
    fields: dict[str, object] = {
        "address": config.address,
        "identity": documents.b64encode(config.identity),
        "log": config.log.hex(),
        "device": config.device.hex(),
        "log_key": str(config.log_key),
        "commands": documents.b64encode(config.commands),
        "intake": documents.b64encode(config.intake),
    }
    if config.ca_file is not None:
        fields["ca_file"] = str(config.ca_file)
    if config.number:
        fields["number"] = config.number
    if config.retired_log_keys:
        fields["retired_log_keys"] = [str(key) for key in config.retired_log_keys]
    if config.retired_commands:
        fields["retired_commands"] = [documents.b64encode(key) for key in config.retired_commands]
    # Strings, numbers and lists of strings are written in TOML as in JSON.
    lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in fields.items()]
    files.replace(folder / NAME, ("\n".join(lines) + "\n").encode("utf-8"))


def read(folder: Path) -> Config:
    """Read `agent.toml`.

    Raises:
        NotEnrolled: it is not there.
        BadConfig: it cannot be understood.
    """
    try:
        value = tomllib.loads(files.read(folder / NAME, _MAX).decode("utf-8"))
        return Config(
            address=str(value["address"]),
            identity=documents.b64decode(value["identity"], 32),
            log=_handle(value["log"]),
            device=_handle(value["device"]),
            log_key=parse_key(value["log_key"]),
            commands=documents.b64decode(value["commands"], 32),
            intake=documents.b64decode(value["intake"], 32),
            ca_file=Path(value["ca_file"]) if "ca_file" in value else None,
            number=int(value.get("number", 0)),
            retired_log_keys=tuple(parse_key(text) for text in value.get("retired_log_keys", ())),
            retired_commands=tuple(
                documents.b64decode(text, 32) for text in value.get("retired_commands", ())
            ),
        )
    except FileNotFoundError:
        raise NotEnrolled(str(folder)) from None
    except (ValueError, KeyError, TypeError, NoteError) as error:
        raise BadConfig(f"{folder / NAME}: {error}") from None


def write_key(folder: Path, seed: bytes) -> None:
    """Put `device.key` in place, readable by its owner only."""
    files.replace(folder / KEY_NAME, _KEY_PREFIX + seed.hex().encode("ascii") + b"\n")


def read_key(folder: Path) -> keys.SigningKey:
    """Read `device.key`.

    Raises:
        BadConfig: it is not there or cannot be understood.
    """
    try:
        data = files.read(folder / KEY_NAME, _MAX)
        seed = bytes.fromhex(data.removeprefix(_KEY_PREFIX).decode("ascii").strip())
    except (OSError, ValueError) as error:
        raise BadConfig(f"{folder / KEY_NAME}: {error}") from None
    if not data.startswith(_KEY_PREFIX) or len(seed) != 32:
        raise BadConfig(f"{folder / KEY_NAME}: not a device key")
    return keys.SigningKey(seed)


def _handle(text: object) -> bytes:
    if not isinstance(text, str) or not documents.handle(text):
        raise Malformed("not a handle")
    return bytes.fromhex(text)
