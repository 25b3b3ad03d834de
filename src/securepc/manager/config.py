"""The settings of a manager: `config.toml`, every value with a default that is safe."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec


class ConfigError(ValueError):
    """The settings can't be used; the message says which and why."""


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`public_url` is the address that enrolment tokens carry; empty: where the manager listens."""

    host: str = "127.0.0.1"
    port: int = 8443
    public_url: str = ""


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`disk_floor`: bytes that must stay free; below it the ledger takes no more."""

    disk_floor: int = 256 * 1024 * 1024
    tiles_public: bool = False


class Devices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`silence_minutes`: no sign of life for so long is an alert. `clock_minutes`: so is a clock so wrong."""

    silence_minutes: int = 15
    clock_minutes: int = 10


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything in config.toml."""

    server: Server = Server()
    ledger: Ledger = Ledger()
    devices: Devices = Devices()


def load(path: Path) -> Config:
    """Read the settings.

    Raises:
        ConfigError: no such file, not TOML, an unknown setting or a value of the wrong type.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Config)
    except FileNotFoundError:
        raise ConfigError(
            f"{path} がありません。`securepc manager init` を実行してください / not found"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from None
