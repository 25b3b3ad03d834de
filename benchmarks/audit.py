"""`audit_full`, `audit_office`: `securepc ledger fsck` over ten million entries, in batches of 500 and of 16.

Ten million entries take a quarter of an hour to seal, so these are measured where they are named. The store
is made with the embedded sequencer, by invented PCs; every batch is sealed and signed as an agent does it.
"""

from __future__ import annotations

import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import ledger
from benchmarks.ledger import Load
from securepc.ledger import genesis
from securepc.ledger.keys import create_keys
from securepc.ledger.sequencer.solo import SoloSequencer
from securepc.ledger.store import create_store, open_store
from securepc.wire.keys import SigningKey
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block, documents, leaf
from securepc.wire.signed.block import Item, Transaction
from securepc.wire.signed.documents import b64encode

LOADS = {"audit_full": Load(40, 500, 500, 20), "audit_office": Load(250, 2_500, 16, 1)}


def figures(names: list[str]) -> Iterator[tuple[str, float]]:
    """Entries a second of the command itself, from its start to its verdict."""
    for name, load in LOADS.items():
        if name in names:
            with tempfile.TemporaryDirectory() as folder:
                make(Path(folder), load)
                yield name, _audit(name, Path(folder), load)


def make(home: Path, load: Load) -> None:
    """A home with a ledger of `load` in it."""
    (home / "manager").mkdir()
    (home / "ledger").mkdir()
    keys = create_keys(home / "manager" / "keys.sqlite", environ={})
    path = home / "ledger" / "chain.sqlite"
    create_store(path, genesis.create(keys.block_key().public, ledger.NOW))
    log = secrets.token_bytes(16)
    opening, _ = ledger._plan(keys, log, load._replace(devices=0))
    mine = keys.log(log)
    sequencer = SoloSequencer(open_store(path), keys, interval=0)
    for transaction in opening:
        sequencer.submit(transaction).result()
    for number in range(load.devices):
        device, key = secrets.token_bytes(16), SigningKey.generate()
        proof = b64encode(key.sign(documents.proof_message("register", log, device, key.public)))
        fields = {"device": device.hex(), "key": b64encode(key.public), "proof": proof}
        body = documents.encode("register", {"log": log.hex(), "at": ledger.NOW, **fields})
        made = leaf.frame("register", body, mine.registrar.sign)
        sequencer.submit(block.encode_transaction(Transaction(log, [Item(made, b"")]))).result()
        head, intake = headers.message_hash(made), mine.intake.public
        sealed = ledger._batches(number, log, device, key, head, intake, load)
        for future in [sequencer.submit(transaction) for transaction in sealed]:
            future.result()
    sequencer.close()


def _audit(name: str, home: Path, load: Load) -> float:
    entries = load.devices * load.batches * load.entries
    command = [sys.executable, "-m", "securepc", "ledger", "fsck", "--home", str(home), "--no-keys"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{name}: {entries:,} entries in {load.devices * load.batches:,} batches, {seconds:.1f} s, "
        f"{worked:.1f} s of processor, at most {after.ru_maxrss / 1024:.0f} MB in a process\n{said}",
        file=sys.stderr,
    )
    return entries / seconds
