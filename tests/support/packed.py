"""Evidence of everything in a log of `ledger_world`, made by the manager's own collector."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from ledger_world import Agency, Device

from securepc.ledger import checkpoint, note
from securepc.ledger.keys import KeyStore
from securepc.ledger.log import LogReader
from securepc.manager.core import Manager
from securepc.manager.evidence.collect import Collector
from securepc.manager.retention.kept import Kept
from securepc.manager.retention.redaction import Redactions
from securepc.manager.retention.standing import standing
from securepc.wire.signed import batch as headers
from securepc.wire.signed import pack


class Boxes:
    """The keys of batches, from the boxes that came with them."""

    def __init__(self, agency: Agency, devices: Iterable[Device]) -> None:
        self._intake = agency.keys.intake
        self._boxes = {headers.message_hash(b.leaf): b.sealed_key for d in devices for b in d.sealed}

    def batch_key(self, log: bytes, header: bytes) -> bytes:
        return self._intake.unseal(self._boxes[header])


def pack_of(reader: LogReader, agency: Agency, devices: Iterable[Device]) -> bytes:
    """All batches of these devices, under the votes for the last block where validators vote."""
    snapshot = reader.snapshot(agency.log)
    if not reader.genesis().is_signed(snapshot.height):
        found = reader.votes(snapshot.height)
        assert found is not None, f"no votes for the block at {snapshot.height}"
        snapshot = snapshot._replace(votes=found)
    devices = list(devices)
    keys = cast("KeyStore", Boxes(agency, devices))
    wanted = {
        index: None
        for device in devices
        for index in reader.batches(agency.log, device.handle, 1, device.sequence)
    }
    redactions = Redactions(cast("Manager", None))  # there are none, so nobody is asked
    kept = Kept(agency.log, standing(reader, agency.log), redactions)
    made = Collector(reader, keys, snapshot, kept).collect(wanted, None)
    stream = io.BytesIO()
    pack.write(stream, made.evidence, made.checkpoint, made.lines)
    return stream.getvalue()


def trust_in(folder: Path, genesis: bytes, agency: Agency) -> Path:
    """A trust folder for one agency's log."""
    folder.mkdir(exist_ok=True)
    origin = checkpoint.origin_of(agency.log)
    key = note.VerifierKey(origin, note.ED25519, agency.keys.checkpoint.public)
    (folder / "policy").write_text(f"log {key}\nquorum none\n", "utf-8")
    (folder / "genesis.json").write_bytes(genesis)
    return folder
