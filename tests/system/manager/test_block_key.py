"""The key of blocks is changed: evidence of before and after verifies, and a kill changes nothing of it."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from killed_manager import Process
from running_manager import Running, make_home, wait_for
from tiny_device import Device

from securepc.ledger import fsck
from securepc.ledger.store import handovers
from securepc.manager.app import assemble
from securepc.manager.keyring import inventory
from securepc.manager.search.model import EntryId
from securepc.verify import __main__ as command
from securepc.verify import trust
from securepc.verify.check import check
from securepc.verify.verdict import NotValid
from securepc.wire import keys as signatures
from securepc.wire.event import Event, to_entry
from securepc.wire.signed import block, evidence, pack
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.pack import Reader


def rotate(home: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "securepc", "manager", "rotate-key", "--home", str(home), "block"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def entry(running: Running) -> EntryId:
    device: Device = running.device()
    device.send(device.seal_batch([to_entry(Event("file.create", 1, 1, "b" * 32))]))
    running.wait_judged(device.size - 1)
    return EntryId(device.handle, 1)


def packed(running: Running, *wanted: EntryId) -> bytes:
    stream = io.BytesIO()
    running.manager.evidence.of_entries(running.log, wanted, stream)
    return stream.getvalue()


def changes(home: Path) -> int:
    manager = assemble(home)
    try:
        assert manager.log.block_keys().last in (
            manager.keys.block_key().public,
            getattr(manager.keys.next_block_key(), "public", None),
        )
        return len(manager.log.block_keys().changes)
    finally:
        manager.close()


def rewritten(data: bytes, content: evidence.Evidence) -> bytes:
    """The same pack with another evidence.json."""
    reader = Reader(io.BytesIO(data))
    lines = list(reader.lines())
    batches = []
    while lines:
        batch = evidence.read_batch(lines.pop(0), lambda count: [lines.pop(0) for _ in range(count)])
        batches.append(evidence.encode_batch(batch))
    return pack.build(evidence.encode(content), reader.checkpoint, batches)


def test_evidence_of_before_and_after_follows_the_key(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make_home(home)
    with Running(home) as running:
        first = entry(running)
        before = packed(running, first)
    shutil.copytree(home / "trust", tmp_path / "old")
    for _ in range(2):
        rotate(home)
    with Running(home) as running:
        manager = running.manager
        second = entry(running)
        after = packed(running, first, second)
        assert manager.keys.staged() == []
        line = next(one for one in inventory.lines(manager, running.log) if one.name == "Blocks")
        assert line.command.endswith("rotate-key block")
        assert line.since > manager.log.genesis().created
        retired = manager.keys._generations("block", signatures.SigningKey)[-1]
    assert fsck.check(home / "ledger" / "chain.sqlite").sound
    old, new = trust.load(tmp_path / "old"), trust.load(home / "trust")
    assert (len(old.handovers), len(new.handovers)) == (0, 2)
    for given in (old, new):
        for data, entries in ((before, 1), (after, 2)):
            found = check(io.BytesIO(data), given, signatures.verify)
            assert (found.total, found.block_signed) == (entries, True)
    content = evidence.decode(Reader(io.BytesIO(after)).evidence)
    assert json.loads(Reader(io.BytesIO(after)).evidence)["format"] == "securepc/evidence/v9"
    assert len(content.handovers) == 2

    # Whoever got hold of the first key once it was no longer in use signs blocks in vain.
    forged = content._replace(
        block=leaves.frame(block.KIND, leaves.split(content.block).body, retired.sign), handovers=()
    )
    for wrong, given, code in (
        (forged, new, "handover-retired"),
        (content._replace(handovers=content.handovers[1:]), old, "handover"),
        (content._replace(handovers=content.handovers[:1]), old, "block-signature"),
        (content._replace(handovers=content.handovers[:1]), new, "handover-retired"),
        (content._replace(handovers=()), old, "block-signature"),
        (content._replace(block=content.handovers[0]), new, "handover"),
    ):
        with pytest.raises(NotValid) as refused:
            check(io.BytesIO(rewritten(after, wrong)), given, signatures.verify)
        assert (refused.value.code, refused.value.step) == (code, 4)
    file = tmp_path / "pack.zip"
    file.write_bytes(rewritten(after, forged))
    assert command.main([str(file), "--trust", str(home / "trust")]) != 0


def test_a_change_that_was_killed_anywhere_is_finished_at_the_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make_home(home)
    for step in range(3):
        manager = assemble(home)
        manager.keys.stage(["block"])
        coming = manager.keys.next_block_key()
        assert coming is not None
        if step >= 1:  # a block named it, and then the power went
            manager.keyring._order_successor("cli")
            manager.audit.start()
            manager.audit.close()
            assert manager.log.block_keys().last == coming.public
        if step >= 2:
            manager.keys.promote(["block"])
        manager.close()
        with Running(home) as running:
            entry(running)
            keys = running.manager.keys
            wait_for(lambda keys=keys, key=coming.public: keys.block_key().public == key, 60)
            assert keys.staged() == []
            assert running.manager.log.block_keys().last == coming.public
            assert len(running.manager.log.block_keys().changes) == step + 1
        assert len(trust.load(home / "trust").handovers) == step + 1
        assert fsck.check(home / "ledger" / "chain.sqlite").sound


@pytest.mark.timeout(600)
def test_killed_while_it_hands_over(tmp_path: Path) -> None:
    """SIGKILL right after the start that hands over, and again: one change is one change."""
    home = tmp_path / "home"
    make_home(home)
    for count in range(1, 4):
        manager = assemble(home)
        manager.keyring.rotate("block", b"", actor="cli")
        manager.close()
        for _ in range(2):
            process = Process(home)
            process.start()
            process.end()
        process = Process(home)
        process.start()
        wait_for(lambda count=count: len(fsck_changes(home)) == count, 60)
        process.end()
        assert changes(home) == count
        assert fsck.check(home / "ledger" / "chain.sqlite").sound


def fsck_changes(home: Path) -> list[int]:
    with closing(sqlite3.connect(f"file:{home}/ledger/chain.sqlite?mode=ro", uri=True)) as db:
        return handovers.heights(db)
