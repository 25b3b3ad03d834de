"""The rules for every kind that is not a batch: who must sign it, and when it is acceptable.

Each rule gets the log, the document and what else it needs, raises `Refused` before it changes anything, and
puts into the registry what is to be remembered. The leaf is appended afterwards, at `log.size`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from securepc.ledger.checkpoint import tree_name
from securepc.ledger.state import batches, moves, retention
from securepc.ledger.state.logs import History, LogState
from securepc.ledger.state.records import (
    ContractRecord,
    DeviceRecord,
    HoldRecord,
    KeyRecord,
    LogRecord,
    MonthRecord,
    MoveRecord,
    RedactionRecord,
    TreeRecord,
    key_id,
    redaction_id,
)
from securepc.ledger.state.refused import Refused
from securepc.wire import keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed import documents
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode
from securepc.wire.signed.leaf import Leaf

NOBODY = bytes(16)
"""Stands for the device in the proof of a registrar's key."""


class Case(NamedTuple):
    """A document on its way into a log; `time` is the block's, microseconds since 1970 UTC."""

    log: LogState
    leaf: bytes
    parts: Leaf
    document: dict[str, Any]
    time: int
    history: History
    home: bytes | None = None  # the beginning of this chain

    def device(self) -> DeviceRecord:
        """The registered device that the document is about."""
        device = self.log.registry.get(DeviceRecord, self.document["device"])
        if device is None:
            raise Refused("unknown-device", self.document["device"])
        return device

    def signed_by(self, key: bytes) -> None:
        """Refuse the document unless this key signed it."""
        if not keys.verify(key, self.parts.message, self.parts.signature):
            raise Refused("signature", f"of a {self.parts.kind}")

    def proven_by(self, key: bytes, device: bytes) -> None:
        """Refuse the document unless the new key's holder asked for it."""
        message = documents.proof_message(self.parts.kind, self.log.log, device, key)
        if not keys.verify(key, message, b64decode(self.document["proof"], 64)):
            raise Refused("proof", f"of a {self.parts.kind}")


def read(leaf: bytes, log: bytes) -> tuple[Leaf, dict[str, Any]]:
    """The document in a leaf that must be for this log.

    Raises:
        Refused: a kind or version that has no rule, or for another log.
        Malformed: not one of its kind's documents in its one spelling.
    """
    parts = leaves.split(leaf)
    if (parts.kind not in RULES and parts.kind not in ("log", "adopt")) or parts.version != 1:
        raise Refused("unknown-kind", f"securepc/{parts.kind}/v{parts.version}")
    document = documents.decode(parts.kind, parts.body)
    if document["log"] != log.hex():
        raise Refused("malformed", f"a {parts.kind} for another log")
    return parts, document


def open_log(case: Case) -> None:
    """`log`: the first leaf of a log, signed by the registrar it names."""
    registrar = b64decode(case.document["registrar"], 32)
    case.signed_by(registrar)
    case.log.registry.put(LogRecord(registrar, b64decode(case.document["intake"], 32), 0))


def open_tree(case: Case) -> None:
    """`log` once more: the log was restored from a backup, and goes on as another tree than the one that was
    seen before (`follows`). Nothing else of it changes.

    What was seen may be smaller than the log: a PC that was off shows it when others go on already.
    """
    head, follows = case.log.head, case.document["follows"]
    case.signed_by(head.registrar)
    same = (b64decode(case.document["registrar"], 32), b64decode(case.document["intake"], 32))
    if same != (head.registrar, head.intake):
        raise Refused("follows", "it changes the log's keys")
    if follows["log"] != case.log.log.hex() or not follows["size"]:
        raise Refused("follows", f"{follows['size']} leaves of log {follows['log']}")
    name = tree_name(headers.message_hash(case.leaf))
    case.log.registry.put(TreeRecord(case.log.size, name, follows["size"], b64decode(follows["root"], 32)))


def _registrar(case: Case) -> None:
    head = case.log.head
    case.signed_by(head.registrar)
    key = b64decode(case.document["key"], 32)
    case.proven_by(key, NOBODY)
    if key == head.registrar:
        raise Refused("used-key", "the registrar has this key already")
    case.log.registry.put(replace(head, registrar=key, intake=b64decode(case.document["intake"], 32)))


def _register(case: Case) -> None:
    case.signed_by(case.log.head.registrar)
    device = bytes.fromhex(case.document["device"])
    key = b64decode(case.document["key"], 32)
    case.proven_by(key, device)
    if case.log.registry.get(DeviceRecord, device.hex()) is not None:
        raise Refused("known-device", device.hex())
    # The first batch names the registration as its predecessor.
    head = headers.message_hash(case.leaf)
    case.log.registry.put(DeviceRecord(device, key, head, 0, 0, case.log.size))


def _rotate(case: Case) -> None:
    device = case.device()
    if device.revoked is not None:
        raise Refused("revoked", f"by leaf {device.revoked}")
    case.signed_by(device.key)
    key = b64decode(case.document["key"], 32)
    case.proven_by(key, device.device)
    retired = case.log.registry.get(KeyRecord, key_id(device.device, keys.device_key_id(key)))
    # A key that comes back would make an old rotation valid again.
    if key == device.key or retired is not None:
        raise Refused("used-key", "the device has or had this key")
    case.log.registry.put(KeyRecord(device.device, device.key, case.log.size))
    case.log.registry.put(replace(device, key=key))


def _revoke(case: Case) -> None:
    case.signed_by(case.log.head.registrar)
    device = case.device()
    if device.revoked is not None:
        raise Refused("revoked", f"by leaf {device.revoked}")
    case.log.registry.put(replace(device, revoked=case.log.size))


def _fork(case: Case) -> None:
    case.signed_by(case.log.head.registrar)
    device = case.device()
    if device.forked is not None:
        raise Refused("duplicate", f"leaf {device.forked} says so already")
    second = b64decode(case.document["leaf"])
    header = headers.of_leaf(second)
    if header.device != device.device or header.log != case.log.log:
        raise Refused("fork", "the second batch is of another device or log")
    key = batches.key_of(case.log, device, header.key_id)
    parts = leaves.split(second)
    if key is None or not keys.verify(key, parts.message, parts.signature):
        raise Refused("fork", "the second batch is not signed by the device")
    found = batches.accepted(case.log, device.device, header.epoch, case.history)
    if found is None or headers.message_hash(found[1]) == headers.message_hash(second):
        raise Refused("fork", f"the log has no other batch for epoch {header.epoch}")
    case.log.registry.put(replace(device, forked=case.log.size))


def _verdict(case: Case) -> None:
    head = case.log.head
    case.signed_by(head.registrar)
    start, stop = case.document["from"], case.document["to"]
    if start != head.verdict or not start < stop <= case.log.size:
        raise Refused("verdict", f"[{start}, {stop}) after {head.verdict}, in a log of {case.log.size}")
    named = [item["leaf"] for item in case.document["unreadable"]]
    if named != sorted(set(named)) or any(not start <= leaf < stop for leaf in named):
        raise Refused("verdict", "unreadable leaves out of order or range")
    if case.document["opened"] + len(named) > stop - start:
        raise Refused("verdict", "more batches than leaves")
    case.log.registry.put(replace(head, verdict=stop))


def _contract(case: Case) -> None:
    case.signed_by(case.log.head.registrar)
    start, end, at = (case.document[name] for name in ("start", "end", "at"))
    first, last = retention.day(start), retention.day(end) if end is not None else None
    if first is None or (end is not None and (last is None or last < first)):
        raise Refused("contract", f"from {start} to {end}")
    # A contract ends today or later: an end set back would let logs expire early.
    if last is not None and last < retention.day_of(case.time):
        raise Refused("contract", f"ends on {end}, in the past")
    known = case.log.registry.get(ContractRecord)
    if known is not None and at <= known.at:
        raise Refused("contract", "older than the one that is in force")
    case.log.registry.put(ContractRecord(start, end, at, case.log.size))


def _hold(case: Case) -> None:
    case.signed_by(case.log.head.registrar)
    hold, start, stop = (case.document[name] for name in ("hold", "from", "to"))
    if case.log.registry.get(HoldRecord, hold) is not None:
        raise Refused("duplicate", f"hold {hold}")
    if not start < stop <= case.log.size:
        raise Refused("hold", f"[{start}, {stop}) in a log of {case.log.size}")
    # Bodies of what expired are being dropped at this very moment: no hold can promise to keep them.
    if any(part.start < stop and start < part.stop for part in retention.expired(case.log)):
        raise Refused("hold", f"some of [{start}, {stop}) has expired")
    device = bytes.fromhex(named) if (named := case.document["device"]) is not None else None
    case.log.registry.put(HoldRecord(bytes.fromhex(hold), start, stop, case.log.size, device=device))


def _release(case: Case) -> None:
    case.signed_by(case.log.head.registrar)
    hold = case.log.registry.get(HoldRecord, case.document["hold"])
    if hold is None or hold.released is not None:
        raise Refused("hold", f"{case.document['hold']} is not in force")
    case.log.registry.put(replace(hold, released=case.log.size))


def _expire(case: Case) -> None:
    case.signed_by(case.log.head.registrar)
    month = case.log.registry.get(MonthRecord, case.document["month"])
    if month is None:
        raise Refused("nothing", f"no leaf in {case.document['month']}")
    if month.expired is not None:
        raise Refused("duplicate", f"leaf {month.expired} says so already")
    moment = retention.expires(month.month, case.log.registry.get(ContractRecord))
    if case.time < moment:
        raise Refused("too-early", f"{month.month} expires at {moment}; the block's time is {case.time}")
    case.log.registry.put(replace(month, expired=case.log.size))


def _redact(case: Case) -> None:
    case.signed_by(case.log.head.registrar)
    batch, sequence = case.document["leaf"], case.document["sequence"]
    if case.log.registry.get(RedactionRecord, redaction_id(batch, sequence)) is not None:
        raise Refused("duplicate", f"entry {sequence} of leaf {batch}")
    leaf = _leaf(case, batch)
    try:
        header = headers.of_leaf(leaf) if leaf is not None else None
    except Malformed:
        header = None
    if header is None or not header.first <= sequence <= header.last:
        raise Refused("nothing", f"leaf {batch} has no entry {sequence}")
    if retention.is_held(case.log, batch, header.device):
        raise Refused("hold", f"leaf {batch} is under a hold")
    if retention.Spent(case.log).month(batch, header.device) is not None:
        raise Refused("nothing", f"leaf {batch} has expired")
    case.log.registry.put(RedactionRecord(batch, sequence, case.log.size))


def _leave(case: Case) -> None:
    case.signed_by(case.log.head.registrar)
    moves.leave(case.log, case.document, case.home)


def adopt(case: Case, known: LogState | None, body: bytes) -> LogState:
    """`adopt`: the first leaf here of a log from another chain, signed by the registrar it had there.
    Gives the log."""
    log = moves.adopted(known, case.document, body, case.home, case.time)
    case.signed_by(log.head.registrar)
    log.registry.put(MoveRecord(b64decode(case.document["chain"], 32), log.size, False))
    return log


def _leaf(case: Case, index: int) -> bytes | None:
    for place, leaf in case.log.recent.values():
        if place == index:
            return leaf
    try:
        return case.history.leaf(case.log.log, index)
    except KeyError:
        return None


RULES: dict[str, Callable[[Case], None]] = {
    "registrar": _registrar,
    "register": _register,
    "rotate": _rotate,
    "revoke": _revoke,
    "fork": _fork,
    "verdict": _verdict,
    "contract": _contract,
    "hold": _hold,
    "release": _release,
    "expire": _expire,
    "redact": _redact,
    "leave": _leave,
}
