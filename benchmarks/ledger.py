"""`ledger_full`, `ledger_office`: from submit to durable, batches made before. Disk and blocks on stderr.

Full batches hold 500 entries; an office's hold 16, as a minute of ordinary work does, and travel alone.
`ledger_fsck`: entries a second of the full audit.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from securepc.agent.simulate.office import office_day
from securepc.ledger import fsck, genesis, merkle
from securepc.ledger.keys import KeyStore, create_keys
from securepc.ledger.sequencer.solo import SoloSequencer
from securepc.ledger.store import create_store, open_store
from securepc.verify.workers import cores
from securepc.wire import batch as sealing
from securepc.wire.event import to_entry
from securepc.wire.keys import SigningKey
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block, documents, leaf
from securepc.wire.signed.block import Item, Transaction
from securepc.wire.signed.documents import b64encode

NOW = 1_795_400_000_000_000


class Load(NamedTuple):
    """How many devices send how many batches of how many entries, and how many travel together."""

    devices: int
    batches: int
    entries: int
    together: int


LOADS = {"ledger_full": Load(8, 125, 500, 20), "ledger_office": Load(200, 60, 16, 1)}


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """Entries a second through the embedded sequencer, at its block a second and as fast as it goes."""
    for name, load in LOADS.items():
        if name in names or "ledger_fsck" in names:
            speed, audit = _measure(name, load)
            if name in names:
                yield name, speed
            if name == "ledger_office" and "ledger_fsck" in names:
                yield "ledger_fsck", audit


def _measure(name: str, load: Load) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.sqlite"
        keys = create_keys(Path(folder) / "keys.sqlite", environ={})
        create_store(path, genesis.create(keys.block_key().public, NOW))
        log = secrets.token_bytes(16)
        opening, plan = _plan(keys, log, load)
        sequencer = SoloSequencer(open_store(path), keys, interval=0)
        for transaction in opening:
            sequencer.submit(transaction).result()
        started, worked = time.perf_counter(), time.process_time()
        futures = [sequencer.submit(transaction) for transaction in plan]
        heights = {future.result().height for future in futures}
        seconds, worked = time.perf_counter() - started, time.process_time() - worked
        sequencer.close()
        batches = load.devices * load.batches
        entries = batches * load.entries
        report = fsck.check(path, keys=None)
        assert report.sound, report.findings
        started = time.perf_counter()
        fsck.check(path, workers=cores())
        audit = entries / (time.perf_counter() - started)
        print(
            f"{name}: {entries / seconds:,.0f} entries/s, {batches / seconds:,.0f} batches/s, "
            f"{len(heights) / seconds:.1f} blocks/s of {batches / len(heights):,.0f} batches, "
            f"{worked / batches * 1e6:.0f} µs of processor a batch; "
            f"{path.stat().st_size / entries:.1f} bytes/entry on disk; fsck {audit:,.0f} entries/s",
            file=sys.stderr,
        )
        return entries / seconds, audit


def _plan(keys: KeyStore, log: bytes, load: Load) -> tuple[list[bytes], list[bytes]]:
    """The transactions that set up the log, and those that are measured, devices taking turns."""
    mine = keys.create_log(log)

    def document(kind: str, **fields: object) -> bytes:
        body = documents.encode(kind, {"log": log.hex(), "at": NOW, **fields})
        return leaf.frame(kind, body, mine.registrar.sign)

    first = document(
        "log",
        registrar=b64encode(mine.registrar.public),
        intake=b64encode(mine.intake.public),
        follows=None,
    )
    opening, queues = [_one(log, first)], []
    for number in range(load.devices):
        handle, key = secrets.token_bytes(16), SigningKey.generate()
        proof = b64encode(key.sign(documents.proof_message("register", log, handle, key.public)))
        made = document("register", device=handle.hex(), key=b64encode(key.public), proof=proof)
        opening.append(_one(log, made))
        queues.append(
            _batches(number, log, handle, key, headers.message_hash(made), mine.intake.public, load)
        )
    turns = zip(*queues, strict=True)
    return opening, [transaction for turn in turns for transaction in turn]


def _batches(
    number: int, log: bytes, device: bytes, key: SigningKey, head: bytes, intake: bytes, load: Load
) -> list[bytes]:
    lines = cycle([to_entry(event) for event in office_day(seed=number)])
    items, sequence = [], 1
    for epoch in range(1, load.batches + 1):
        opening = sealing.Opening(log, device, bytes(16), epoch, sequence, NOW, 1, head)
        sealed = sealing.seal(
            opening,
            list(islice(lines, load.entries)),
            sealed_at=NOW,
            sealed_up=2,
            mac_seal=bytes(32),
            key=key,
            intake=intake,
            root_of=merkle.root,
        )
        head = headers.message_hash(sealed.leaf)
        sequence += load.entries
        items.append(Item(sealed.leaf, sealed.ciphertext))
    groups = [items[i : i + load.together] for i in range(0, len(items), load.together)]
    return [block.encode_transaction(Transaction(log, group)) for group in groups]


def _one(log: bytes, made: bytes) -> bytes:
    return block.encode_transaction(Transaction(log, [Item(made, b"")]))
