"""The rule for batches: 1 to 64 of one device, each continuing the one before, signed by its current key."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from securepc.ledger.state.logs import History, LogState
from securepc.ledger.state.records import DeviceRecord, KeyRecord, key_id
from securepc.ledger.state.refused import Expected, Refused
from securepc.wire import keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.batch import MAX_CIPHERTEXT, BatchHeader
from securepc.wire.signed.block import Item


def check(log: LogState, items: list[Item], history: History, *, dropped: bool = False) -> DeviceRecord:
    """The record of the device after these batches. Changes nothing.

    Raises:
        Refused: "duplicate" where leading batches are in the log already (`known` says where), or what
            else is wrong with the first that is not acceptable.
        Malformed: a leaf that is not a batch.
    """
    parsed = [headers.of_leaf(item.leaf) for item in items]
    if sum(len(item.body) for item in items) > MAX_CIPHERTEXT:
        raise Refused("too-large", f"payloads of over {MAX_CIPHERTEXT} bytes in one transaction")
    device = _device(log, parsed)
    known = _known(log, device, items, parsed, history)
    if known:
        raise Refused("duplicate", f"{len(known)} batches are in the log already", known=known)
    if device.revoked is not None:
        raise Refused("revoked", f"by leaf {device.revoked}", expected=expected(device))
    for item, header in zip(items, parsed, strict=True):
        device = _next(device, item, header, dropped)
    return device


def append(log: LogState, items: list[Item], after: DeviceRecord, time: int) -> list[int]:
    """Add batches that `check` accepted; gives their indexes."""
    for back, item in enumerate(reversed(items)):
        log.recent[after.device, after.epoch - back] = (log.size + len(items) - 1 - back, item.leaf)
    log.registry.put(after)
    return [log.append(item.leaf, time) for item in items]


def accepted(log: LogState, device: bytes, epoch: int, history: History) -> tuple[int, bytes] | None:
    """Index and leaf of the batch that the log has for an epoch of a device."""
    return log.recent.get((device, epoch)) or history.batch(log.log, device, epoch)


def key_of(log: LogState, device: DeviceRecord, identity: bytes) -> bytes | None:
    """The public key that a device has or had under a key id."""
    if keys.device_key_id(device.key) == identity:
        return device.key
    retired = log.registry.get(KeyRecord, key_id(device.device, identity))
    return retired.key if retired is not None else None


def expected(device: DeviceRecord) -> Expected:
    """What the device's next batch must carry."""
    return Expected(device.epoch + 1, device.sequence + 1, device.head)


def _device(log: LogState, parsed: list[BatchHeader]) -> DeviceRecord:
    handle = parsed[0].device
    if any(header.device != handle for header in parsed):
        raise Refused("malformed", "batches of two devices in one transaction")
    if any(header.log != log.log for header in parsed):
        raise Refused("malformed", "a batch for another log")
    device = log.registry.get(DeviceRecord, handle.hex())
    if device is None:
        raise Refused("unknown-device", handle.hex())
    return device


def _known(
    log: LogState, device: DeviceRecord, items: list[Item], parsed: list[BatchHeader], history: History
) -> tuple[int, ...]:
    """Where those leading batches are that the log has. A different batch for an epoch that was accepted is
    a fork, but only under the device's signature: nobody else can make it look forked."""
    known: list[int] = []
    for item, header in zip(items, parsed, strict=True):
        if header.epoch > device.epoch:
            break
        found = accepted(log, device.device, header.epoch, history)
        if found is None:
            raise Refused("gap", f"epoch {header.epoch} is not in this log", expected=expected(device))
        index, leaf = found
        if headers.message_hash(leaf) == headers.message_hash(item.leaf):
            known.append(index)
            continue
        _check_signature(key_of(log, device, header.key_id), item.leaf)
        raise Refused("fork", f"epoch {header.epoch} stands at leaf {index}", expected=expected(device))
    return tuple(known)


def _next(device: DeviceRecord, item: Item, header: BatchHeader, dropped: bool) -> DeviceRecord:
    if header.key_id != keys.device_key_id(device.key):
        raise Refused("key", header.key_id.hex(), expected=expected(device))
    _check_signature(device.key, item.leaf)
    wanted = expected(device)
    if (header.epoch, header.first, header.previous) != wanted:
        found = f"epoch {header.epoch}, sequence {header.first}"
        raise Refused(
            "gap", f"{found}; epoch {wanted.epoch}, sequence {wanted.sequence} is next", expected=wanted
        )
    if not (dropped and not item.body) and (
        len(item.body) != header.ciphertext_size
        or hashlib.sha256(item.body).digest() != header.ciphertext_hash
    ):
        raise Refused("body", f"epoch {header.epoch}")
    return replace(device, epoch=header.epoch, sequence=header.last, head=headers.message_hash(item.leaf))


def _check_signature(key: bytes | None, leaf: bytes) -> None:
    parts = leaves.split(leaf)
    if key is None or not keys.verify(key, parts.message, parts.signature):
        raise Refused("signature", "of a batch")
