"""The store: one writer, whole blocks or none, and a clear word when the disk is full or the file damaged."""

from __future__ import annotations

import random
import secrets
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest
from ledger_world import START, Agency, Device, World

from securepc.ledger import chain, fsck, merkle, store
from securepc.ledger.chain import Committed
from securepc.ledger.log import LogReader
from securepc.ledger.snapshot import Snapshot
from securepc.ledger.state import Refused
from securepc.ledger.store import (
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    create_store,
    open_store,
)
from securepc.wire.signed import block
from securepc.wire.signed import leaf as leaves

HERE = Path(__file__).parent


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.agency = Agency(world.keys)
    world.device = Device(world.agency)
    append(world, world.agency.genesis())
    append(world, world.device.registration())
    return world


def append(world: World, *items: block.Item | bytes, now: int = START) -> Committed:
    (outcome,) = chain.append(world.store, world.keys, [world.agency.tx(*items)], now)
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


def test_a_store_is_made_once_and_only_its_owner_may_read_it(world: World, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        create_store(world.path, world.store.genesis)
    assert world.path.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.new*"))
    with pytest.raises(StoreError):
        open_store(tmp_path / "absent")
    (tmp_path / "other").write_bytes(b"SQLite format 3\x00" + bytes(4080))
    with pytest.raises(StoreError):
        open_store(tmp_path / "other")
    empty = sqlite3.connect(tmp_path / "empty")
    empty.execute("CREATE TABLE x (y)")
    empty.close()
    with pytest.raises(StoreError, match="format"):
        open_store(tmp_path / "empty")


def test_one_writer_at_a_time(world: World) -> None:
    with pytest.raises(StoreLocked):
        open_store(world.path)
    script = "import sys; from pathlib import Path; from securepc.ledger.store import *; "
    script += "open_store(Path(sys.argv[1]))"
    command = [sys.executable, "-c", script, str(world.path)]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    other = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert "StoreLocked" in other.stderr
    world.reopen()
    append(world, world.device.seal())


def test_opening_checks_that_head_state_and_roots_fit(world: World, tmp_path: Path) -> None:
    append(world, world.device.seal())
    world.store.close()
    whole = world.path.read_bytes()
    for sql in (
        "UPDATE records SET record = CAST(replace(record, '\"epoch\":1', '\"epoch\":0') AS BLOB)",
        "UPDATE logs SET size = 2",
        "UPDATE logs SET root = zeroblob(32)",
        "DELETE FROM tiles",
        "DELETE FROM blocks WHERE height = 3",
        "UPDATE meta SET value = zeroblob(32) WHERE name = 'head'",
    ):
        damaged = tmp_path / "damaged.sqlite"
        damaged.write_bytes(whole)
        db = sqlite3.connect(damaged)
        db.execute(sql)
        db.commit()
        db.close()
        with pytest.raises(StoreDamaged):
            open_store(damaged)


def test_no_block_is_begun_without_room_for_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    room = [store.FLOOR - 1]
    world.store.close()
    world.store = open_store(world.path)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage(2**40, 0, room[0]))
    item = world.device.seal()
    with pytest.raises(StoreFull):
        append(world, item)
    assert world.store.height == 2
    room[0] = 2 * store.FLOOR
    assert append(world, item).indexes == (2,)


def test_a_disk_that_fills_up_during_a_block_leaves_nothing_of_it(world: World) -> None:
    db = world.store._db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages + 1}")
    big = [world.device.seal(text=secrets.token_hex(8_000)) for _ in range(10)]
    before = world.store.state.root()
    for _ in range(2):
        with pytest.raises(StoreFull):
            append(world, *big)
    assert (world.store.height, world.store.state.root()) == (2, before)
    assert world.reader.height() == 2
    assert fsck.check(world.path).sound
    db.execute("PRAGMA max_page_count = 1000000")
    assert append(world, *big).indexes == tuple(range(2, 12))
    world.reopen()
    assert fsck.check(world.path).sound


def test_a_block_on_another_head_is_not_written(world: World) -> None:
    item = world.device.seal()
    world.store.head = bytes(32)
    with pytest.raises(StoreDamaged):
        append(world, item)
    world.reopen()
    append(world, item)


def test_bodies_of_expired_months_are_dropped_and_proofs_stay(world: World) -> None:
    append(world, *[world.device.seal() for _ in range(8)])  # 2 to 9, November 2026
    later = START + 40 * 86_400_000_000
    append(world, world.device.seal(), now=later)  # 10, December
    hold = {"hold": "ab" * 16, "device": None, "from": 4, "to": 6, "ground": "調査", "approver": "佐藤"}
    append(world, world.agency.document("hold", **hold))
    eleven_years = START + 11 * 366 * 86_400_000_000
    append(world, world.agency.document("expire", month="2026-11"), now=eleven_years)
    # Nothing goes before the block is durable, and a restart in between forgets nothing.
    world.reopen()
    assert world.store.dropping
    while world.store.dropping:
        world.store.drop_some()

    def missing() -> list[int]:
        return [leaf.index for leaf in world.reader.leaves(world.agency.log, 0, 99) if leaf.body is None]

    assert missing() == [2, 3, 6, 7, 8, 9]
    report = fsck.check(world.path)
    assert report.sound, report.findings
    assert report.dropped == 6
    size = world.reader.size(world.agency.log)
    proof = world.reader.inclusion(world.agency.log, 3, size)
    leaf = merkle.leaf_hash(world.reader.leaf(world.agency.log, 3))
    merkle.verify_inclusion(3, size, leaf, proof, world.reader.root(world.agency.log, size))
    release = {"hold": "ab" * 16, "ground": "終了", "approver": "佐藤"}
    append(world, world.agency.document("release", **release), now=eleven_years)
    while world.store.dropping:
        world.store.drop_some()
    assert missing() == list(range(2, 10))
    assert fsck.check(world.path).sound
    # What was sent long ago and is sent again still gets its place, without its body being stored again.
    again = block.Item(world.device.sealed[0].leaf, world.device.sealed[0].ciphertext)
    assert append(world, again).indexes == (2,)
    assert missing() == list(range(2, 10))


def test_readers_see_one_moment_while_blocks_are_written(world: World) -> None:
    stop, errors, seen = threading.Event(), [], []

    def read() -> None:
        try:
            while not stop.is_set():
                snapshot = world.reader.snapshot(world.agency.log)
                _check_snapshot(world.reader, snapshot)
                seen.append(snapshot.size)
        except Exception as error:
            errors.append(error)
        finally:
            world.reader.close()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(60):
        append(world, world.device.seal(), world.device.seal())
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert len(set(seen)) > 2


def _check_snapshot(reader: LogReader, snapshot: Snapshot) -> None:
    header = block.parse(leaves.split(snapshot.block).body)
    path = snapshot.state_path
    merkle.verify_inclusion(
        path.index, path.size, merkle.leaf_hash(snapshot.log_record), path.hashes, header.state
    )
    last = snapshot.size - 1
    leaf = merkle.leaf_hash(reader.leaf(snapshot.log, last))
    proof = reader.inclusion(snapshot.log, last, snapshot.size)
    merkle.verify_inclusion(last, snapshot.size, leaf, proof, snapshot.root)
    assert f"\n{snapshot.size}\n".encode() in snapshot.checkpoint


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from ledger_world import *
from securepc.ledger import chain
world = World(Path(sys.argv[1]))
agency = Agency(world.keys)
device = Device(agency)
for leaf in (agency.genesis(), device.registration()):
    chain.append(world.store, world.keys, [agency.tx(leaf)], START)
while True:
    outcome = chain.append(world.store, world.keys, [agency.tx(device.seal(), device.seal())], START)[0]
    print(agency.log.hex(), *outcome.indexes, sha256(device.sealed[-1].leaf).hex(), flush=True)
"""


@pytest.mark.parametrize("seed", range(5))
def test_what_was_acknowledged_before_a_kill_is_there(tmp_path: Path, seed: int) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(HERE)]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        promised = [writer.stdout.readline().split()]
        timer = threading.Timer(random.Random(seed).random() / 4, writer.send_signal, [signal.SIGKILL])
        timer.start()
        promised += [line.split() for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -signal.SIGKILL
    reader = LogReader(tmp_path / "chain.sqlite")
    for log, _, index, digest in promised:
        leaf = reader.leaf(bytes.fromhex(log), int(index))
        assert merkle.hashlib.sha256(leaf).hexdigest() == digest
    reader.close()
    open_store(tmp_path / "chain.sqlite", floor=0).close()
    assert fsck.check(tmp_path / "chain.sqlite").sound
