"""The records of a log's registry: all that the rules remember, each as canonical JSON.

Keys and hashes are standard base64, handles lower-case hex, as in `wire.signed.documents`. What a record
calls an event of the past (`registered`, `revoked`, `expired`, …) is the index of the leaf that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from securepc.wire.keys import device_key_id
from securepc.wire.signed import canonical
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode, b64encode

MAX_RECORD = 4_000


@dataclass(frozen=True, slots=True)
class LogRecord:
    """The log itself: its registrar's Ed25519 key, the X25519 key that batch keys are sealed to, and the
    end of the leaves that verdicts cover."""

    TYPE: ClassVar[str] = "log"
    registrar: bytes
    intake: bytes
    verdict: int

    @property
    def id(self) -> str:
        return ""

    def fields(self) -> dict[str, Any]:
        return {
            "intake": b64encode(self.intake),
            "registrar": b64encode(self.registrar),
            "verdict": self.verdict,
        }

    @classmethod
    def read(cls, value: dict[str, Any]) -> LogRecord:
        return cls(b64decode(value["registrar"], 32), b64decode(value["intake"], 32), value["verdict"])


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device: its current key, the hash its next batch must name, the last epoch and sequence accepted."""

    TYPE: ClassVar[str] = "device"
    device: bytes
    key: bytes
    head: bytes
    epoch: int
    sequence: int
    registered: int
    revoked: int | None = None
    forked: int | None = None

    def after(self, epoch: int, sequence: int, head: bytes) -> DeviceRecord:
        """The record once a further batch is accepted; `dataclasses.replace` takes three times as long."""
        return DeviceRecord(
            self.device, self.key, head, epoch, sequence, self.registered, self.revoked, self.forked
        )

    @property
    def id(self) -> str:
        return self.device.hex()

    def fields(self) -> dict[str, Any]:
        return {
            "device": self.device.hex(),
            "epoch": self.epoch,
            "forked": self.forked,
            "head": b64encode(self.head),
            "key": b64encode(self.key),
            "registered": self.registered,
            "revoked": self.revoked,
            "sequence": self.sequence,
        }

    @classmethod
    def read(cls, value: dict[str, Any]) -> DeviceRecord:
        return cls(
            bytes.fromhex(value["device"]),
            b64decode(value["key"], 32),
            b64decode(value["head"], 32),
            value["epoch"],
            value["sequence"],
            value["registered"],
            value["revoked"],
            value["forked"],
        )


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key that a device had before, and the leaf that retired it."""

    TYPE: ClassVar[str] = "key"
    device: bytes
    key: bytes
    retired: int

    @property
    def id(self) -> str:
        return key_id(self.device, device_key_id(self.key))

    def fields(self) -> dict[str, Any]:
        return {"device": self.device.hex(), "key": b64encode(self.key), "retired": self.retired}

    @classmethod
    def read(cls, value: dict[str, Any]) -> KeyRecord:
        return cls(bytes.fromhex(value["device"]), b64decode(value["key"], 32), value["retired"])


@dataclass(frozen=True, slots=True)
class ContractRecord:
    """The agency's contract: first and last day, and when the registrar said so (microseconds)."""

    TYPE: ClassVar[str] = "contract"
    start: str
    end: str | None
    at: int
    leaf: int

    @property
    def id(self) -> str:
        return ""

    def fields(self) -> dict[str, Any]:
        return {"at": self.at, "end": self.end, "leaf": self.leaf, "start": self.start}

    @classmethod
    def read(cls, value: dict[str, Any]) -> ContractRecord:
        return cls(value["start"], value["end"], value["at"], value["leaf"])


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """Leaves [start, stop) that must not be dropped while the hold is not released. `device`: only that
    one's batches are to stay readable; None: all of them."""

    TYPE: ClassVar[str] = "hold"
    hold: bytes
    start: int
    stop: int
    placed: int
    released: int | None = None
    device: bytes | None = None

    @property
    def id(self) -> str:
        return self.hold.hex()

    def fields(self) -> dict[str, Any]:
        return {
            "device": self.device.hex() if self.device is not None else None,
            "from": self.start,
            "hold": self.hold.hex(),
            "placed": self.placed,
            "released": self.released,
            "to": self.stop,
        }

    @classmethod
    def read(cls, value: dict[str, Any]) -> HoldRecord:
        return cls(
            bytes.fromhex(value["hold"]),
            value["from"],
            value["to"],
            value["placed"],
            value["released"],
            bytes.fromhex(value["device"]) if value["device"] is not None else None,
        )


@dataclass(frozen=True, slots=True)
class MonthRecord:
    """A calendar month (UTC, of block time) with leaves: its first leaf, and the leaf that expired it."""

    TYPE: ClassVar[str] = "month"
    month: str
    first: int
    expired: int | None = None

    @property
    def id(self) -> str:
        return self.month

    def fields(self) -> dict[str, Any]:
        return {"expired": self.expired, "first": self.first, "month": self.month}

    @classmethod
    def read(cls, value: dict[str, Any]) -> MonthRecord:
        return cls(value["month"], value["first"], value["expired"])


@dataclass(frozen=True, slots=True)
class RedactionRecord:
    """One entry that was taken out: the batch's leaf, the entry's sequence, the leaf that says so."""

    TYPE: ClassVar[str] = "redaction"
    batch: int
    sequence: int
    leaf: int

    @property
    def id(self) -> str:
        return redaction_id(self.batch, self.sequence)

    def fields(self) -> dict[str, Any]:
        return {"batch": self.batch, "leaf": self.leaf, "sequence": self.sequence}

    @classmethod
    def read(cls, value: dict[str, Any]) -> RedactionRecord:
        return cls(value["batch"], value["sequence"], value["leaf"])


@dataclass(frozen=True, slots=True)
class TreeRecord:
    """The log was restored from a backup: from the leaf `leaf` on it grows another tree, called `name`, than
    the one of `size` leaves with this root that was seen before."""

    TYPE: ClassVar[str] = "tree"
    leaf: int
    name: str
    size: int
    root: bytes

    @property
    def id(self) -> str:
        return f"{self.leaf:016d}"

    def fields(self) -> dict[str, Any]:
        return {"leaf": self.leaf, "name": self.name, "root": b64encode(self.root), "size": self.size}

    @classmethod
    def read(cls, value: dict[str, Any]) -> TreeRecord:
        return cls(value["leaf"], value["name"], value["size"], b64decode(value["root"], 32))


@dataclass(frozen=True, slots=True)
class MoveRecord:
    """The log's last move between chains, said by `leaf`: `away`, to the chain of this beginning (32
    bytes), and so closed here; or from there, and going on here."""

    TYPE: ClassVar[str] = "move"
    chain: bytes
    leaf: int
    away: bool

    @property
    def id(self) -> str:
        return ""

    def fields(self) -> dict[str, Any]:
        return {"away": self.away, "chain": b64encode(self.chain), "leaf": self.leaf}

    @classmethod
    def read(cls, value: dict[str, Any]) -> MoveRecord:
        return cls(b64decode(value["chain"], 32), value["leaf"], value["away"])


Record = (
    LogRecord
    | DeviceRecord
    | KeyRecord
    | ContractRecord
    | HoldRecord
    | MonthRecord
    | MoveRecord
    | RedactionRecord
    | TreeRecord
)
_TYPES: dict[str, type[Record]] = {
    kind.TYPE: kind
    for kind in (
        LogRecord,
        DeviceRecord,
        KeyRecord,
        ContractRecord,
        HoldRecord,
        MonthRecord,
        MoveRecord,
        RedactionRecord,
        TreeRecord,
    )
}


def key_id(device: bytes, identity: bytes) -> str:
    """The id of the record of a device's retired key."""
    return f"{device.hex()}.{identity.hex()}"


def redaction_id(batch: int, sequence: int) -> str:
    """The id of the record of a redaction; sorts by leaf, then sequence."""
    return f"{batch:016d}.{sequence:016d}"


def encode(record: Record) -> bytes:
    """The canonical bytes of a record: a leaf of the registry's tree."""
    return canonical.encode({**record.fields(), "type": record.TYPE})


def decode(data: bytes) -> Record:
    """Read a record.

    Raises:
        Malformed: any other bytes than `encode` gives.
    """
    value = canonical.decode(data, limit=MAX_RECORD)
    try:
        record = _TYPES[value["type"]].read(value)
        if encode(record) == data:
            return record
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise Malformed("not a record of the registry")
