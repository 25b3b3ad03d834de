"""A device's new key: the `rotate` leaf that its old key signed, on the ledger.

What a device asks carries its own proof, so it needs no session: the answer may have been lost, and then the
device does not know by which key it is known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from securepc.ledger.state import Refused
from securepc.manager.devices.model import Device
from securepc.manager.ingest import messages
from securepc.manager.ingest.refusals import by_ledger, refuse
from securepc.wire import keys
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode

if TYPE_CHECKING:
    from securepc.manager.core import Manager

_MOST = 4_096


def renew(manager: Manager, asked: messages.Renewal) -> bytes:
    """Put a device's new key on the ledger, unless it is there; gives the device.

    Raises:
        ApiError: malformed, unknown-device, revoked, signature, or the ledger's own word.
        StoreError: the ledger takes nothing now.
    """
    try:
        frame = b64decode(asked.frame)
        parts = leaf.split(frame)
        if len(frame) > _MOST or (parts.kind, parts.version) != ("rotate", 1):
            raise Malformed("not a rotation")
        value = documents.decode("rotate", parts.body)
        log, device = bytes.fromhex(value["log"]), bytes.fromhex(value["device"])
        key, proof = b64decode(value["key"], 32), b64decode(value["proof"], 64)
    except Malformed as error:
        raise refuse("malformed", detail=str(error)) from None
    sender = manager.ingest.sender(device)
    if sender.log != log:
        raise refuse("unknown-device")
    if not keys.verify(key, documents.proof_message("rotate", log, device, key), proof):
        raise refuse("signature")
    if sender.key == key:
        return device
    if not keys.verify(sender.key, parts.message, parts.signature):
        raise refuse("signature")
    try:
        manager.submit(log, frame).result()
    except Refused as refused:
        # It came before and the answer was lost: the ledger's word counts.
        known = manager.log.device(log, device)
        if known is None or known.key != key:
            raise by_ledger(refused) from None
    with manager.database.write() as session:
        row = session.get(Device, device)
        assert row is not None
        row.key = key
    manager.devices.forget(device)
    manager.backups.ask("backup")  # a backup of before would not know what this device signs from now on
    return device
