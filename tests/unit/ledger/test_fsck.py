"""`fsck` finds whatever was changed in a store, and what it passes over has no meaning."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_world import START, Agency, Device, World

from securepc.ledger import chain, fsck
from securepc.ledger import genesis as geneses
from securepc.ledger.chain import Committed
from securepc.ledger.fsck import ahead
from securepc.ledger.store import schema
from securepc.wire import keys
from securepc.wire.keys import SigningKey
from securepc.wire.signed import batch

FLIPS = 200


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A closed store with every kind of record, several logs, full tiles, dropped bodies and free pages."""
    world = World(tmp_path_factory.mktemp("fsck"))
    clock = [START]

    def append(*transactions: bytes, days: int = 0) -> None:
        clock[0] += days * 86_400_000_000 + 1
        for outcome in chain.append(world.store, world.keys, transactions, clock[0]):
            assert isinstance(outcome, Committed), outcome

    agencies = [Agency(world.keys) for _ in range(2)]
    devices = [Device(agency) for agency in agencies for _ in range(2)]
    world.main, world.device = agencies[0], devices[0]
    append(*[agency.tx(agency.genesis()) for agency in agencies])
    append(*[device.agency.tx(device.registration()) for device in devices])
    for number in range(40):
        busy = [devices[0].seal(2) for _ in range(8 if number % 4 else 1)]
        append(agencies[0].tx(*busy), *[device.agency.tx(device.seal(2)) for device in devices[1:]])
    agency, device = agencies[0], devices[0]
    hold = {"hold": "ab" * 16, "device": None, "from": 20, "to": 30, "ground": "調査", "approver": "佐藤"}
    verdict = {"from": 0, "to": 50, "opened": 48, "unreadable": [{"leaf": 7, "reason": "zstd"}]}
    append(agency.tx(agency.document("contract", start="2026-04-01", end="2026-12-31")))
    append(agency.tx(agency.document("hold", **hold)), agency.tx(agency.document("verdict", **verdict)))
    append(
        agency.tx(
            agency.document("redact", leaf=40, sequence=_first(world, 40), ground="私物", approver="佐藤")
        )
    )
    key = SigningKey.generate()
    append(agency.tx(agency.key_document("rotate", device.handle, key, signer=device.key)))
    append(agency.tx(agency.document("revoke", device=devices[1].handle.hex(), reason="返却")))
    append(agency.tx(agency.document("expire", month="2026-11")), days=6 * 366)
    while world.store.dropping:
        world.store.drop_some()
    world.close()
    with sqlite3.connect(world.path) as db:
        assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        assert db.execute("PRAGMA freelist_count").fetchone()[0] > 0
    db.close()
    yield world


def _first(world: World, index: int) -> int:
    return batch.of_leaf(world.reader.leaf(world.main.log, index)).first


def content(path: Path) -> object:
    """All that SQL can see of a store, with its types."""
    db = sqlite3.connect(path)
    try:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {t: [[(type(v), v) for v in row] for row in db.execute(f"SELECT * FROM {t}")] for t in tables}
        return rows, db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    except sqlite3.Error as error:
        return str(error)
    finally:
        db.close()


def test_a_whole_store_is_sound_and_counted(world: World) -> None:
    report = fsck.check(world.path, trusted=world.store.genesis, log_keys=_keys(world))
    assert report.sound, report.findings
    assert report.not_checked == ["keys"]
    assert report.dropped == 250 + 40 - 10
    assert report.bodies == 2 * 40 + 10
    assert (report.logs, report.blocks, report.tiles) == (2, 48, 4)
    assert report.leaves == report.bodies + report.dropped + 2 + 4 + 7


def test_200_flipped_bytes_are_found_or_without_meaning(world: World, tmp_path: Path) -> None:
    data = world.path.read_bytes()
    before = content(world.path)
    assert isinstance(before, tuple)
    chance = random.Random(20261106)
    copy = tmp_path / "chain.sqlite"
    outcomes: Counter[str] = Counter()
    for _ in range(FLIPS):
        place = chance.randrange(len(data))
        changed = bytearray(data)
        changed[place] ^= chance.randrange(1, 256)
        copy.write_bytes(changed)
        for leftover in tmp_path.glob("chain.sqlite-*"):
            leftover.unlink()
        report = fsck.check(copy, trusted=world.store.genesis)
        if report.sound:
            assert content(copy) == before, f"byte {place} is not what it was, and nobody noticed"
            outcomes[f"passed over, {where(data, place)}"] += 1
        else:
            outcomes["found"] += 1
    print(f"\n{FLIPS} flipped bytes of {len(data)}:", dict(outcomes))
    meaningless = {"free page", "unused space of a page", "end of an overflow page", "counter of the header"}
    assert {name.removeprefix("passed over, ") for name in outcomes} <= meaningless | {"found"}
    assert outcomes["found"] > FLIPS / 4


def where(data: bytes, place: int) -> str:
    """What a byte of an SQLite file is for (file format, sections 1.3 and 1.6)."""
    if 24 <= place < 32 or 36 <= place < 52 or 92 <= place < 100:
        return "counter of the header"  # change counters, sizes, the version that wrote the file
    number = place // schema.PAGE_SIZE
    if number + 1 in _free_pages(data):
        return "free page"
    page = data[number * schema.PAGE_SIZE : (number + 1) * schema.PAGE_SIZE]
    start = 100 if number == 0 else 0
    offset = place % schema.PAGE_SIZE
    if page[start] not in (2, 5, 10, 13):
        return "end of an overflow page"
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    end = start + (12 if page[start] in (2, 5) else 8) + 2 * cells
    if end <= offset < (int.from_bytes(page[start + 5 : start + 7], "big") or 65_536):
        return "unused space of a page"
    free = int.from_bytes(page[start + 1 : start + 3], "big")
    while free:
        if free + 4 <= offset < free + int.from_bytes(page[free + 2 : free + 4], "big"):
            return "unused space of a page"
        free = int.from_bytes(page[free : free + 2], "big")
    return f"page {number + 1}, byte {offset}"


def _free_pages(data: bytes) -> set[int]:
    def word(offset: int) -> int:
        return int.from_bytes(data[offset : offset + 4], "big")

    pages, trunk = set(), word(32)
    while trunk:
        start = (trunk - 1) * schema.PAGE_SIZE
        leaves = [word(start + 8 + 4 * i) for i in range(word(start + 4))]
        pages |= {trunk, *leaves}
        trunk = word(start)
    return pages


def _keys(world: World) -> dict[bytes, list[bytes]]:
    db = sqlite3.connect(world.path)
    found = dict(db.execute("SELECT log, key FROM logs"))
    db.close()
    return found


EDITS: dict[str, tuple[str, str]] = {
    "a leaf": (
        "refused",
        "UPDATE leaves SET leaf = CAST(substr(leaf, 1, 100) || x'00' || substr(leaf, 102) AS BLOB)",
    ),
    "a missing leaf": ("leaves", "DELETE FROM leaves WHERE place = 60"),
    "a leaf too many": ("count", "INSERT INTO leaves VALUES (100000, x'00')"),
    "a leaf that is text": ("leaves", "UPDATE leaves SET leaf = 'x' WHERE place = 50"),
    "a body": ("refused", "UPDATE bodies SET body = x'00' WHERE place = (SELECT max(place) FROM bodies)"),
    "a missing body": ("body-missing", "DELETE FROM bodies WHERE place = (SELECT max(place) FROM bodies)"),
    "a body of a document": ("stray-body", "INSERT INTO bodies VALUES (0, x'')"),
    "a held body": ("body-missing", "DELETE FROM bodies WHERE place = (SELECT min(place) FROM bodies)"),
    "a missing block": ("block-missing", "DELETE FROM blocks WHERE height = 9"),
    "the last block": ("head", "DELETE FROM blocks WHERE height = 48"),
    "a layout": (
        "layout",
        "UPDATE blocks SET layout = CAST(x'8100' || substr(layout, 2) AS BLOB) WHERE height = 5",
    ),
    "a start": ("first", "UPDATE blocks SET first = first + 1 WHERE height = 5"),
    "a signature": (
        "block",
        "UPDATE blocks SET leaf = CAST(substr(leaf, 1, 209) || x'ff' AS BLOB) WHERE height = 5",
    ),
    "the head": ("head", "UPDATE meta SET value = zeroblob(32) WHERE name = 'head'"),
    "a value": ("values", "INSERT INTO meta VALUES ('more', x'00')"),
    "a checkpoint": ("signature", "UPDATE checkpoints SET signature = zeroblob(64) WHERE size = 3"),
    "a missing checkpoint": ("checkpoint-missing", "DELETE FROM checkpoints WHERE size = 3"),
    "a checkpoint's block": ("checkpoint", "UPDATE checkpoints SET height = height + 1 WHERE size = 3"),
    "a shift": ("checkpoint", "UPDATE checkpoints SET shift = shift + 1 WHERE size = 3"),
    "a tile": ("tile", "UPDATE tiles SET hashes = zeroblob(length(hashes)) WHERE level = 0 AND n = 0"),
    "a tile too many": ("count", "INSERT INTO tiles VALUES (1, 5, 0, zeroblob(32))"),
    "a log's key": ("signature", "UPDATE logs SET key = zeroblob(32) WHERE no = 1"),
    "a log's root": ("log", "UPDATE logs SET root = zeroblob(32) WHERE no = 1"),
    "a log's size": ("log", "UPDATE logs SET size = size - 1 WHERE no = 1"),
    "a log too many": (
        "count",
        "INSERT INTO logs (log, key, size, root, registry) VALUES (x'00', x'', 0, x'', x'')",
    ),
    "the index": ("index", "UPDATE batches SET leaf = leaf + 1 WHERE epoch = 3"),
    "a device's number": ("index", "UPDATE devices SET no = 77 WHERE no = 1"),
    "a record": ("record", "UPDATE records SET record = x'7b7d' WHERE type = 'device'"),
    "a record too many": ("count", "INSERT INTO records VALUES (1, 'device', 'zz', x'7b7d')"),
    "the genesis": ("genesis", "UPDATE meta SET value = x'7b7d' WHERE name = 'genesis'"),
    "a table": ("tables", "CREATE TABLE more (x)"),
    "a version": ("header", "PRAGMA user_version = 2"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_by_sql_is_named(world: World, tmp_path: Path, name: str) -> None:
    code, sql = EDITS[name]
    copy = tmp_path / "chain.sqlite"
    shutil.copy(world.path, copy)
    db = sqlite3.connect(copy)
    db.execute(sql)
    db.commit()
    db.close()
    report = fsck.check(copy, trusted=world.store.genesis)
    assert code in {finding.code for finding in report.findings}, report.findings
    for finding in report.findings:
        assert finding.where
        assert finding.ja.endswith("。")
        assert finding.en.endswith(".")


def test_another_chain_or_another_key_is_not_the_one_that_is_trusted(world: World) -> None:
    other = geneses.create(world.keys.block_key().public, START)
    assert [f.code for f in fsck.check(world.path, trusted=other).findings] == ["other-chain"]
    keys = {log: [bytes(32)] for log in _keys(world)}
    assert {f.code for f in fsck.check(world.path, log_keys=keys).findings} == {"log-key"}


def test_keys_of_batches_are_looked_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    agency = Agency(world.keys)
    device = Device(agency)
    for items in ([agency.genesis()], [device.registration()], [device.seal(), device.seal()]):
        chain.append(world.store, world.keys, [agency.tx(*items)], START)
    boxes = [(batch.message_hash(sealed.leaf), sealed.sealed_key) for sealed in device.sealed]
    world.keys.put_boxes(agency.log, boxes[:1])
    report = fsck.check(world.path, keys=world.keys)
    assert [(f.code, f.where) for f in report.findings] == [("key-missing", f"log {agency.log.hex()} leaf 3")]
    world.keys.put_boxes(agency.log, [(boxes[1][0], bytes(80))])
    world.keys.rewrap(agency.log, "2026-11", [boxes[0][0]])
    report = fsck.check(world.path, keys=world.keys)
    assert report.sound
    assert (report.keys, report.unreadable_keys) == (1, 1)
    world.close()


@pytest.mark.parametrize(
    "edit",
    [
        None,
        "UPDATE leaves SET leaf = substr(leaf, 1, 357) || x'ff' WHERE place = 60",  # not even text
        "UPDATE leaves SET leaf = CAST(substr(leaf, 1, 357) || x'ff' AS BLOB) WHERE place = 60",
        # (A signature never ends in ff: its last byte is below 0x11.)
        "UPDATE records SET record = x'7b7d' WHERE type = 'device'",
        "UPDATE leaves SET leaf = 7 WHERE place = 61",
    ],
)
def test_other_processes_find_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: str | None
) -> None:
    """And where all is sound they take the batches' signatures off this one."""
    copy = tmp_path / "chain.sqlite"
    shutil.copy(world.path, copy)
    if edit is not None:
        db = sqlite3.connect(copy)
        db.execute(edit)
        db.commit()
        db.close()
    alone = fsck.check(copy, trusted=world.store.genesis)
    assert alone.sound == (edit is None)
    checked: list[bytes] = []
    verify = keys.verify

    def watched(key: bytes, message: bytes, signature: bytes) -> bool:
        checked.append(message)
        return verify(key, message, signature)

    monkeypatch.setattr(ahead, "WORTH_IT", 0)
    monkeypatch.setattr(keys, "verify", watched)
    assert fsck.check(copy, trusted=world.store.genesis, workers=2) == alone
    # What is not in the records, or not valid, this process judges itself.
    assert edit is not None or not [message for message in checked if batch.is_batch(message)]


def test_a_killed_process_is_replaced_by_this_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "WORTH_IT", 0)
    monkeypatch.setattr(ahead, "_check", _die)
    report = fsck.check(world.path, trusted=world.store.genesis, workers=2)
    assert report.sound, report.findings


def _die(sent: list[ahead.Signed]) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


@pytest.mark.parametrize("edit", [None, "UPDATE leaves SET leaf = 7 WHERE place = 61"])
@pytest.mark.parametrize("error", [ImportError, NotImplementedError, PermissionError])
def test_a_system_without_semaphores_finds_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: str | None, error: type[Exception]
) -> None:
    copy = tmp_path / "chain.sqlite"
    shutil.copy(world.path, copy)
    if edit is not None:
        db = sqlite3.connect(copy)
        db.execute(edit)
        db.commit()
        db.close()
    alone = fsck.check(copy, trusted=world.store.genesis)
    assert alone.sound == (edit is None)
    refusals: list[object] = []

    def refused(*arguments: object) -> None:
        refusals.append(arguments)
        raise error

    monkeypatch.setattr(ahead, "WORTH_IT", 0)
    monkeypatch.setattr(ahead, "ProcessPoolExecutor", refused)
    assert fsck.check(copy, trusted=world.store.genesis, workers=2) == alone
    assert len(refusals) == 1
