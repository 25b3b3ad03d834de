"""The rule for batches: 1 to 64 of one device, each continuing the one before, signed by its current key."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from securepc.ledger.state.logs import History, LogState
from securepc.ledger.state.records import DeviceRecord, KeyRecord, key_id
from securepc.ledger.state.refused import Expected, Refused
from securepc.wire import keys
from securepc.wire.signed import batch as headers
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.batch import MAX_CIPHERTEXT, BatchHeader
from securepc.wire.signed.block import Item
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.leaf import CheckSignature


def check(
    log: LogState,
    items: list[Item],
    history: History,
    *,
    dropped: bool = False,
    verify: CheckSignature = keys.verify,
) -> DeviceRecord:
    """The record of the device after these batches. Changes nothing.

    `dropped`: an empty body is not judged, as it may have been dropped at expiry.
    `verify`: says whether a signature is valid; what has checked it before may say so.

    Raises:
        Refused: "duplicate" where leading batches are in the log already (`known` says where), or what
            else is wrong with the first that is not acceptable.
        Malformed: a leaf that is not a batch.
    """
    batches = [_read(item) for item in items]
    if sum(len(item.body) for item in items) > MAX_CIPHERTEXT:
        raise Refused("too-large", f"payloads of over {MAX_CIPHERTEXT} bytes in one transaction")
    device = _device(log, batches)
    known = _known(log, device, batches, history, verify)
    if known:
        raise Refused("duplicate", f"{len(known)} batches are in the log already", known=known)
    wanted = expected(device)
    if device.revoked is not None:
        raise Refused("revoked", f"by leaf {device.revoked}", expected=wanted)
    identity = keys.device_key_id(device.key)
    for batch in batches:
        if batch.header.key_id != identity:
            raise Refused("key", batch.header.key_id.hex(), expected=wanted)
        _check_signature(device.key, batch, verify)
        _check_place(batch.header, wanted)
        if batch.body or not dropped:
            _check_body(batch)
        wanted = Expected(batch.header.epoch + 1, batch.header.last + 1, batch.hash)
    return device.after(wanted.epoch - 1, wanted.sequence - 1, wanted.head)


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


class _Batch(NamedTuple):
    """A batch, read but not judged; `hash` is what the next one must name."""

    header: BatchHeader
    message: bytes
    signature: bytes
    hash: bytes
    body: bytes


def _read(item: Item) -> _Batch:
    parts = leaves.split(item.leaf)
    if parts.kind != headers.KIND or parts.version != 1:
        raise Malformed("not a batch")
    digest = hashlib.sha256(parts.message).digest()
    return _Batch(headers.parse(parts.body), parts.message, parts.signature, digest, item.body)


def _device(log: LogState, batches: list[_Batch]) -> DeviceRecord:
    handle = batches[0].header.device
    if any(batch.header.device != handle for batch in batches):
        raise Refused("malformed", "batches of two devices in one transaction")
    if any(batch.header.log != log.log for batch in batches):
        raise Refused("malformed", "a batch for another log")
    device = log.registry.get(DeviceRecord, handle.hex())
    if device is None:
        raise Refused("unknown-device", handle.hex())
    return device


def _known(
    log: LogState, device: DeviceRecord, batches: list[_Batch], history: History, verify: CheckSignature
) -> tuple[int, ...]:
    """Where those leading batches are that the log has. A different batch for an epoch that was accepted is
    a fork, but only under the device's signature: nobody else can make it look forked."""
    known: list[int] = []
    for batch in batches:
        epoch = batch.header.epoch
        if epoch > device.epoch:
            break
        found = accepted(log, device.device, epoch, history)
        if found is None:
            raise Refused("gap", f"epoch {epoch} is not in this log", expected=expected(device))
        index, leaf = found
        if headers.message_hash(leaf) == batch.hash:
            known.append(index)
            continue
        _check_signature(key_of(log, device, batch.header.key_id), batch, verify)
        raise Refused("fork", f"epoch {epoch} stands at leaf {index}", expected=expected(device))
    return tuple(known)


def _check_signature(key: bytes | None, batch: _Batch, verify: CheckSignature) -> None:
    if key is None or not verify(key, batch.message, batch.signature):
        raise Refused("signature", "of a batch")


def _check_place(header: BatchHeader, wanted: Expected) -> None:
    if (header.epoch, header.first, header.previous) != wanted:
        found = f"epoch {header.epoch}, sequence {header.first}"
        following = f"epoch {wanted.epoch}, sequence {wanted.sequence} is next"
        raise Refused("gap", f"{found}; {following}", expected=wanted)


def _check_body(batch: _Batch) -> None:
    header = batch.header
    if len(batch.body) != header.ciphertext_size or (
        hashlib.sha256(batch.body).digest() != header.ciphertext_hash
    ):
        raise Refused("body", f"epoch {header.epoch}")
