"""Setting up a key store and a ledger store, and the life of batch keys, for `shim.sweep`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import sqlite3

from ledger_world import START, sha256

from securepc.ledger import fsck
from securepc.ledger import genesis as geneses
from securepc.ledger.keys import KekError, KeyStore, create_keys, open_keys
from securepc.ledger.store import create_store, open_store
from securepc.wire.keys import SigningKey, seal_to

LOG = bytes(range(16))
GENESIS = geneses.create(SigningKey(bytes(32)).public, START)
HEADERS = [sha256(bytes([n])) for n in range(40)]


def prepare(folder: Path) -> None:
    pass


def work(folder: Path, acknowledge: Callable[[str], None]) -> None:
    for _ in range(2):
        try:
            _work(folder, acknowledge)
        except (OSError, sqlite3.Error, KekError):
            continue
        return


def check(folder: Path, acknowledged: list[str]) -> None:
    store, keys = folder / "chain.sqlite", folder / "keys.sqlite"
    if "store" in acknowledged:
        open_store(store, floor=0).close()
        assert fsck.check(store, trusted=GENESIS).sound
    said: list[str] = []
    if "keys" in acknowledged:
        _promised(open_keys(keys, environ={}), acknowledged)
    # Going on is safe from wherever it stopped.
    _work(folder, said.append)
    _promised(open_keys(keys, environ={}), [*acknowledged, *said])
    assert fsck.check(store, trusted=GENESIS).sound


def _work(folder: Path, acknowledge: Callable[[str], None]) -> None:
    if not (folder / "chain.sqlite").exists():
        create_store(folder / "chain.sqlite", GENESIS)
    acknowledge("store")
    path = folder / "keys.sqlite"
    keys = open_keys(path, environ={}) if path.exists() else create_keys(path, environ={})
    try:
        acknowledge("keys")
        acknowledge(f"identity {keys.identity.public.hex()}")
        intake = keys.create_log(LOG).intake.public
        acknowledge(f"intake {intake.hex()}")
        keys.put_boxes(LOG, [(header, seal_to(intake, header)) for header in HEADERS])
        acknowledge("boxes")
        if "2026-10" in keys.months(LOG) or "2026-11" not in keys.months(LOG):
            keys.rewrap(LOG, "2026-10", HEADERS[:20])
            keys.rewrap(LOG, "2026-11", HEADERS[20:])
        acknowledge("rewrapped")
        keys.destroy_month(LOG, "2026-10")
        acknowledge("destroyed")
    finally:
        keys.close()


def _promised(keys: KeyStore, acknowledged: list[str]) -> None:
    for promise in acknowledged:
        what, _, value = promise.partition(" ")
        if what == "identity":
            assert keys.identity.public.hex() == value
        elif what == "intake":
            assert keys.log(LOG).intake.public.hex() == value
        elif what == "boxes":
            for header in HEADERS[20:]:
                assert keys.batch_key(LOG, header) == header, "a batch's key is lost"
    if "destroyed" in acknowledged:
        assert "2026-10" not in keys.months(LOG), "a destroyed month came back"
    keys.close()
