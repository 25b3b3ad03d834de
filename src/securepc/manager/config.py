"""The settings of a manager: `config.toml`, every value with a default that is safe."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from securepc.ledger.note import COSIGNATURE, parse_key
from securepc.wire.shapes import prepared


class ConfigError(ValueError):
    """The settings can't be used; the message says which and why."""


@prepared
class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`public_url` is the address that enrolment tokens carry; empty: where the manager listens."""

    host: str = "127.0.0.1"
    port: int = 8443
    public_url: str = ""


@prepared
class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`disk_floor`: bytes that must stay free; below it the ledger takes no more.

    `sequencer`: who orders blocks, this manager alone or validators. Then `validator` is the home of the one
    on this machine (empty: the manager's own), and `authority` the file of the chain's key, where this
    manager may let logs in by itself."""

    sequencer: Literal["solo", "cometbft"] = "solo"
    validator: str = ""
    authority: str = ""
    disk_floor: int = 256 * 1024 * 1024
    tiles_public: bool = False

    def __post_init__(self) -> None:
        """Refuse what would be passed over in silence."""
        if self.sequencer == "solo" and (self.validator or self.authority):
            raise ValueError('validator and authority need sequencer = "cometbft"')


@prepared
class Devices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`silence_minutes`: no sign of life for so long is an alert. `clock_minutes`: so is a clock so wrong."""

    silence_minutes: int = 15
    clock_minutes: int = 10


@prepared
class Witness(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An outside party: `name` for people and the trust file, `key` its C2SP verifier key, `url` the prefix
    before `/add-checkpoint`."""

    name: Annotated[str, Meta(pattern=r"^[0-9A-Za-z._-]{1,60}$")]
    key: str
    url: Annotated[str, Meta(pattern=r"^https?://[^\s/]+(/[!-~]*)?$")]


@prepared
class Witnesses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`quorum`: how many of them must cosign a checkpoint, 0 if none needs to; `seconds` between two
    rounds."""

    quorum: Annotated[int, Meta(ge=0)] = 0
    seconds: Annotated[float, Meta(ge=0.1)] = 10.0
    servers: tuple[Witness, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could never be fulfilled; msgspec makes a ValidationError of it."""
        if self.quorum > len(self.servers):
            raise ValueError(f"a quorum of {self.quorum} of {len(self.servers)} witnesses")
        for values in ([one.name for one in self.servers], [one.key for one in self.servers]):
            if len(set(values)) < len(values):
                raise ValueError("a witness is named twice")
        for one in self.servers:
            if one.name in ("none", "witnesses"):
                raise ValueError(f"a witness can't be called {one.name}")
            if parse_key(one.key).algorithm != COSIGNATURE:
                raise ValueError(f"the key of {one.name} is no cosigner's")


@prepared
class Stamps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A time stamping authority (RFC 3161): its `url`, and how many `hours` pass between two stamps of a log.
    Without a `url` none is asked. `manager/tsa.pem` has the certificates that lead to it."""

    url: Annotated[str, Meta(pattern=r"^(https?://[^\s/]+(/[!-~]*)?)?$")] = ""
    hours: Annotated[float, Meta(gt=0)] = 24


@prepared
class Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mail server for warnings; without `host`, no mail. `tls`: "starttls" (port 587), "tls" (465),
    or "none" for a server on this machine. The password comes from `password_file` or from the systemd
    credential `smtp-password`, never from here. `ca_file`: of a private authority."""

    host: str = ""
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password_file: str = ""
    sender: str = ""
    ca_file: str = ""


@prepared
class Backup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where backups go: `folder`, one that is there already (a mounted NAS), or a `bucket` of S3-compatible
    storage at `url`. The bucket's secret comes from `secret_file` or the systemd credential `backup-secret`.

    `minutes` between two backups, `test_minutes` between two test restores; snapshots older than `keep_days`
    go, never the newest. After a restore the log waits up to `gather_minutes` for what PCs have seen.
    `scratch`: a folder for copies, by default in the manager's home: as large as the ledger, and on an
    encrypted disk as it is.
    """

    folder: str = ""
    url: Annotated[str, Meta(pattern=r"^(https?://[!-~]+)?$")] = ""
    bucket: Annotated[str, Meta(pattern=r"^([a-z0-9.-]{3,63})?$")] = ""
    region: str = "us-east-1"
    prefix: Annotated[str, Meta(pattern=r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$")] = ""
    key_id: str = ""
    secret_file: str = ""
    minutes: Annotated[float, Meta(gt=0)] = 60
    test_minutes: Annotated[float, Meta(gt=0)] = 720
    keep_days: Annotated[int, Meta(ge=1)] = 35
    gather_minutes: Annotated[float, Meta(ge=0)] = 30
    scratch: str = ""

    def __post_init__(self) -> None:
        """Refuse what names two places or half of one."""
        if self.folder and self.bucket:
            raise ValueError("backups go to a folder or to a bucket, not to both")
        if bool(self.bucket) != bool(self.url):
            raise ValueError("a bucket needs a url, and a url a bucket")


@prepared
class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything in config.toml."""

    server: Server = Server()
    ledger: Ledger = Ledger()
    devices: Devices = Devices()
    mail: Mail = Mail()
    witnesses: Witnesses = Witnesses()
    stamps: Stamps = Stamps()
    backup: Backup = Backup()


def over_validator(text: str, validator: Path) -> str:
    """The same settings, but that blocks are ordered by the validator in this home and others.

    Raises:
        ConfigError: they cannot be used, or are written in a way that is not understood here.
    """
    own = re.compile(r"\s*(sequencer|validator)\s*=")
    lines, section = [], ""
    for line in text.splitlines():
        if header := re.match(r"\s*(\[.*\])", line):
            section = header[1]
        if section != "[ledger]" or not own.match(line):
            lines.append(line)
    if "[ledger]" not in (line.strip() for line in lines):
        lines += ["", "[ledger]"]
    place = [line.strip() for line in lines].index("[ledger]") + 1
    lines[place:place] = ['sequencer = "cometbft"', f"validator = {json.dumps(str(validator.absolute()))}"]
    changed = "\n".join(lines) + "\n"
    before, after = _parse(text, "config.toml"), _parse(changed, "config.toml")
    ledger = msgspec.structs.replace(before.ledger, sequencer="cometbft", validator=str(validator.absolute()))
    if after != msgspec.structs.replace(before, ledger=ledger):
        raise ConfigError("config.toml: [ledger] is not written as usual")
    return changed


def load(path: Path) -> Config:
    """Read the settings.

    Raises:
        ConfigError: no such file, not TOML, an unknown setting or a value of the wrong type.
    """
    try:
        return _parse(path.read_text("utf-8"), str(path))
    except FileNotFoundError:
        raise ConfigError(
            f"{path} がありません。`securepc manager init` を実行してください / not found"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None


def _parse(text: str, name: str) -> Config:
    try:
        return msgspec.convert(tomllib.loads(text), Config)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{name}: {error}") from None
