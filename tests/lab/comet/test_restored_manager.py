"""The manager's disk and its validator's are gone. A backup, other validators and the PC have all of it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from killed_pair import Pair, securepc
from msgspec import convert
from validators import Testnet, eventually

from securepc.agent import voted
from securepc.ledger.keys import open_keys
from securepc.ledger.log import LogReader
from securepc.manager.backup.target import Folder
from securepc.manager.backup.vault import unlock_vault
from securepc.wire.policy import Validators
from securepc.wire.recovery import RecoveryKey
from securepc.wire.signed.batch import of_leaf
from securepc.wire.signed.votes import write_validators

pytestmark = pytest.mark.timeout(900)
SETTINGS = """
[backup]
folder = "{nas}"
minutes = 1000
test_minutes = 1000
"""


def backed_up(nas: Path, recovery: RecoveryKey) -> dict[str, int]:
    """The sizes of the logs in the newest snapshot."""
    if not (nas / "vault.json").exists():
        return {}
    vault, _ = unlock_vault(Folder(nas), recovery.box)
    numbers = vault.numbers()
    return {log: one.size for log, one in vault.get_snapshot(numbers[-1]).logs.items()} if numbers else {}


def test_a_restored_manager_reads_on_from_another_validator(net: Testnet, tmp_path: Path) -> None:
    folder, nas = tmp_path / "pair", tmp_path / "nas"
    folder.mkdir()
    nas.mkdir()
    recovery, sheet = RecoveryKey.generate(), tmp_path / "sheet.txt"
    sheet.write_text(" ".join(recovery.groups()))
    pair = Pair(folder, validator=net.nodes[0].home, authority=net.folder / "authority.key")
    try:
        pair.manager.end()
        keys = open_keys(pair.manager.home / "manager" / "keys.sqlite")
        keys.set_recovery(recovery.public)
        keys.close()
        with (pair.manager.home / "manager" / "config.toml").open("a") as file:
            file.write(SETTINGS.format(nas=nas))
        pair.manager.start()
        pair.load.start()
        eventually(lambda: bool(backed_up(nas, recovery)), 90)
        ((log, kept),) = backed_up(nas, recovery).items()
        reader = LogReader(net.nodes[1].store)
        eventually(lambda: reader.size(bytes.fromhex(log)) > kept + 12, 120)

        # A fire: the manager and the validator beside it.
        pair.manager.end()
        net.nodes[0].kill()
        shutil.rmtree(pair.manager.home)
        shutil.rmtree(net.nodes[0].home)
        lost = reader.size(bytes.fromhex(log))
        home = folder / "restored"
        restore = ("manager", "restore", str(nas), "--home", str(home), "--sheet", str(sheet), "--to-file")
        refused = securepc(*restore)
        assert refused.returncode == 2
        assert "no validator" in refused.stderr, "the one of the settings burned, too"
        assert not home.exists()
        done = securepc(*restore, "--validator", str(net.nodes[1].home))
        assert done.returncode == 0, done.stderr

        pair.manager.home = home
        pair.manager.start()
        before = pair.agent.status()["acknowledged"]
        eventually(lambda: pair.agent.status()["acknowledged"] > before + 5, 420)
        pair.load.end()
        last = pair.settle(180)
        eventually(lambda: len(pair.entries()) >= last, 120)
        entries = pair.entries()
        numbers = Counter(int(entry["entry"].partition(".")[2]) for entry in entries)
        assert sorted(numbers) == list(range(1, last + 1)), "nothing acknowledged is missing"
        assert set(numbers.values()) == {1}, "nothing twice"
        assert all(entry["sealed"] for entry in entries)
        assert "alarm.unreadable" not in {entry["kind"] for entry in entries}
        print(f"{last} entries; {lost - kept} leaves came after the backup")

        # The PC was shown what three of four voted for, and its policy pins these four.
        with closing(sqlite3.connect(pair.agent.folder / "state.sqlite")) as db:
            (shown,) = db.execute("SELECT value FROM value WHERE name = 'voted'").fetchone()
        genesis = reader.genesis()
        pinned = convert(
            {
                "chain": genesis.chain.hex(),
                "height": 1,
                "validators": write_validators(genesis.validators),
            },
            Validators,
        )
        assert voted.size(voted.parse(shown), bytes.fromhex(log), pinned) > lost

        # The same log goes on: no other tree, and the old evidence's keys.
        assert len(reader.origins(bytes.fromhex(log))) == 1
        pack = tmp_path / "all.zip"
        made = securepc(
            "evidence", "--home", str(home), "--range", pair.device, "1", str(last), "-o", str(pack)
        )
        assert made.returncode == 0, made.stderr
        verified = securepc("verify", str(pack), "--trust", str(home / "trust"), "--json")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert json.loads(verified.stdout)["block"]["votes"]["given"] == 3
        checked = securepc("ledger", "fsck", "--home", str(home), "--json")
        # Only what the manager's own device sealed after the backup stays closed, and fsck names it.
        for finding in json.loads(checked.stdout)["findings"]:
            assert finding["code"] == "key-missing", finding
            index = int(finding["where"].split()[-1])
            assert index >= kept
            assert of_leaf(reader.leaf(bytes.fromhex(log), index)).device.hex() != pair.device
    finally:
        pair.stop()
