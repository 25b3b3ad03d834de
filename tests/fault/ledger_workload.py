"""A writer of blocks, for `shim.sweep`: devices of two agencies send batches until all are acknowledged."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from ledger_world import START, Agency, Device, MemoryKeys

from securepc.ledger import chain, fsck
from securepc.ledger import genesis as geneses
from securepc.ledger.chain import Committed
from securepc.ledger.log import LogReader
from securepc.ledger.state import Refused
from securepc.ledger.store import Store, StoreError, create_store, open_store
from securepc.wire.signed import block

BLOCKS = 5
KEYS = MemoryKeys()
GENESIS = geneses.create(KEYS.block_key().public, START)
AGENCIES = [Agency(KEYS), Agency(KEYS)]
DEVICES = [Device(agency) for agency in AGENCIES for _ in range(2)]


def _plan() -> list[list[bytes]]:
    """The transactions of each block, made once, so that what is sent again is the same to the byte."""
    first = [agency.tx(agency.genesis()) for agency in AGENCIES]
    first += [device.agency.tx(device.registration()) for device in DEVICES]
    rest = [[d.agency.tx(*[d.seal(8) for _ in range(4)]) for d in DEVICES] for _ in range(BLOCKS)]
    return [first, *rest]


PLAN = _plan()


def prepare(folder: Path) -> None:
    create_store(folder / "chain.sqlite", GENESIS)
    store = open_store(folder / "chain.sqlite", floor=0)
    _append(store, PLAN[0], lambda _: None)
    store.close()


def work(folder: Path, acknowledge: Callable[[str], None]) -> None:
    """Open, write, close; after an error, once more from the start, as a service manager would."""
    for _ in range(2):
        try:
            store = open_store(folder / "chain.sqlite", floor=0)
        except (StoreError, OSError):
            continue
        try:
            # The WAL is emptied into the file between blocks too, not only as it is closed.
            store._db.execute("PRAGMA wal_autocheckpoint = 24")
            for transactions in PLAN[1:]:
                try:
                    _append(store, transactions, acknowledge)
                except StoreError:
                    _append(store, transactions, acknowledge)
        except StoreError:
            continue
        finally:
            store.close()
        return


def check(folder: Path, acknowledged: list[str]) -> None:
    path = folder / "chain.sqlite"
    _sound(path)
    store = open_store(path, floor=0)
    reader = LogReader(path)
    for promise in acknowledged:
        log, index, digest = promise.split()
        leaf = reader.leaf(bytes.fromhex(log), int(index))
        assert hashlib.sha256(leaf).hexdigest() == digest, f"another leaf at {index}"
    # Going on: everything is sent again, whether it was acknowledged or not.
    for transactions in PLAN[1:]:
        _append(store, transactions, lambda _: None)
    for agency in AGENCIES:
        leaves = [stored.leaf for stored in reader.leaves(agency.log, 0, 10_000)]
        sent = [sealed.leaf for d in DEVICES if d.agency is agency for sealed in d.sealed]
        assert len(leaves) == len(set(leaves)) == len(sent) + 3, "a leaf is lost or there twice"
        assert set(sent) < set(leaves)
    reader.close()
    store.close()
    _sound(path)


def _append(store: Store, transactions: list[bytes], acknowledge: Callable[[str], None]) -> None:
    for outcome, data in zip(chain.append(store, KEYS, transactions, START), transactions, strict=True):
        if isinstance(outcome, Refused):
            raise AssertionError(f"refused: {outcome}")
        assert isinstance(outcome, Committed)
        leaves = [item.leaf for item in block.parse_transaction(data).items]
        for leaf, index in zip(leaves, outcome.indexes, strict=True):
            digest = hashlib.sha256(leaf).hexdigest()
            acknowledge(f"{outcome.log.hex()} {index} {digest}")


def _sound(path: Path) -> None:
    report = fsck.check(path, trusted=GENESIS)
    assert report.sound, "; ".join(map(str, report.findings[:3]))
