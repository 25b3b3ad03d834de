"""`securepc ledger`: blocks, checkpoint, fsck, as a person and as a program see them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ledger_world import START, Agency, Device, World

from securepc.ledger import chain, checkpoint, note
from securepc.wire import keys as signatures
from securepc.wire.signed import batch


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as `manager init` makes it, with one log and two batches."""
    home = tmp_path_factory.mktemp("home")
    world = World(home)
    agency = Agency(world.keys)
    device = Device(agency)
    for items in ([agency.genesis()], [device.registration()], [device.seal(), device.seal()]):
        chain.append(world.store, world.keys, [agency.tx(*items)], START)
    boxes = [(batch.message_hash(sealed.leaf), sealed.sealed_key) for sealed in device.sealed]
    world.keys.put_boxes(agency.log, boxes)
    key, genesis = world.keys.verifier_key(agency.log), world.store.genesis
    world.close()
    for folder in ("ledger", "manager", "trust"):
        (home / folder).mkdir()
    shutil.move(home / "chain.sqlite", home / "ledger" / "chain.sqlite")
    for name in ("keys.sqlite", "kek"):
        shutil.move(home / name, home / "manager" / name)
    (home / "trust" / "genesis.json").write_bytes(genesis.encode())
    (home / "trust" / "policy").write_text(f"log {key}\nquorum none\n")
    return home


def run(home: Path, *arguments: str, language: str = "en") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "securepc", "ledger", *arguments, "--home", str(home)]
    environment = {"PYTHONPATH": ":".join(sys.path), "SECUREPC_LANG": language, "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_blocks_and_checkpoint_show_what_there_is(home: Path) -> None:
    rows = [json.loads(line) for line in run(home, "blocks", "--json").stdout.splitlines()]
    assert [row["height"] for row in rows] == [3, 2, 1]
    assert [sum(row["leaves"].values()) for row in rows] == [2, 1, 1]
    assert rows[0]["previous"] == rows[1]["hash"]
    assert "2 leaves" in run(home, "blocks", "--last", "1").stdout
    shown = run(home, "checkpoint", "--json")
    value = json.loads(shown.stdout)
    signed = checkpoint.verify(value["checkpoint"].encode(), note.parse_key(value["key"]), signatures.verify)
    assert signed.size == value["size"] == 4
    assert run(home, "checkpoint", "--log", value["log"]).stdout == value["checkpoint"]
    missing = run(home, "checkpoint", "--log", "00" * 16)
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)


def test_fsck_says_what_it_checked_and_what_not(home: Path) -> None:
    sound = run(home, "fsck")
    assert sound.returncode == 0, sound.stderr
    assert "The ledger is sound." in sound.stdout
    assert "not checked" not in sound.stdout
    assert "台帳に異常はありません。" in run(home, "fsck", language="ja").stdout
    value = json.loads(run(home, "fsck", "--json", "--no-keys").stdout)
    assert (value["sound"], value["not_checked"], value["counts"]["leaves"]) == (True, ["keys"], 4)


def test_fsck_leaves_with_1_and_names_what_is_wrong(home: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(home, tmp_path / "home")
    path = broken / "ledger" / "chain.sqlite"
    data = path.read_bytes()
    place = data.index(b"securepc/register/v1") + 60
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    done = run(broken, "fsck")
    assert done.returncode == 1
    assert "block 2: " in done.stdout
    assert done.stderr.count("\n") == 1
    assert json.loads(run(broken, "fsck", "--json").stdout)["findings"][0]["where"] == "block 2"
    path.write_bytes(b"SQLite format 3\x00" + bytes(4080))
    for command in ("blocks", "checkpoint"):
        unreadable = run(broken, command)
        assert (unreadable.returncode, unreadable.stderr.count("\n")) == (2, 1), unreadable.stderr
    assert run(broken, "fsck").returncode == 1
    path.unlink()
    for command in ("blocks", "checkpoint", "fsck"):
        absent = run(broken, command)
        assert (absent.returncode, absent.stderr.count("\n")) == (2, 1), absent.stderr
