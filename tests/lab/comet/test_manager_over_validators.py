"""A real manager and a real agent over four validators: nothing is different."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from killed_pair import Pair, securepc
from ledger_world import Device
from validators import Testnet, eventually

from securepc.manager import setup

ADDRESS = "https://other.example.jp"
pytestmark = pytest.mark.timeout(900)


def test_manager_and_agent_work_over_validators_while_one_of_them_and_the_manager_die(
    net: Testnet, tmp_path: Path
) -> None:
    folder = tmp_path / "pair"
    folder.mkdir()
    batches_of_another_manager(net)
    pair = Pair(folder, validator=net.nodes[0].home, authority=net.folder / "authority.key")
    home = ("--home", str(pair.manager.home))
    try:
        pair.load.start()
        eventually(lambda: pair.agent.status().get("acknowledged", 0) >= 3)  # batches
        net.nodes[3].kill()
        time.sleep(random.random())
        pair.manager.end()
        pair.manager.start()
        before = pair.agent.status()["acknowledged"]
        eventually(lambda: pair.agent.status()["acknowledged"] > before, 90)
        net.nodes[3].start()
        # The manager's own validator, without which it can hand in nothing.
        net.nodes[0].kill()
        time.sleep(2)
        net.nodes[0].start()
        before = pair.agent.status()["acknowledged"]
        eventually(lambda: pair.agent.status()["acknowledged"] > before + 3, 90)
        pair.load.end()
        last = pair.settle()

        entries = pair.entries()
        numbers = Counter(int(entry["entry"].partition(".")[2]) for entry in entries)
        assert sorted(numbers) == list(range(1, last + 1)), "all found by the search, and nothing lost"
        assert set(numbers.values()) == {1}, "nothing twice"
        assert all(entry["sealed"] for entry in entries)
        print(f"{pair.load.made} files, {last} entries")

        checked = securepc("ledger", "fsck", *home, "--json")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        pack = tmp_path / "all.zip"
        made = securepc("evidence", *home, "--range", pair.device, "1", str(last), "-o", str(pack))
        assert made.returncode == 0, made.stderr
        with closing(sqlite3.connect(pair.manager.home / "manager" / "manager.sqlite")) as db:
            assert db.execute("SELECT count(*) FROM openings").fetchone() == (1,), "only its own log"
            assert db.execute("SELECT count(*) FROM faults").fetchone() == (0,)
        verified = securepc("verify", str(pack), "--trust", str(pair.manager.home / "trust"), "--json")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert json.loads(verified.stdout)["block"]["votes"]["given"] >= 3
    finally:
        pair.stop()
    for node in net.nodes:
        eventually(lambda node=node: node.reader().height() == net.nodes[0].reader().height())
    assert all(len(found) == 1 for found in net.roots().values())


def batches_of_another_manager(net: Testnet) -> None:
    """On the same chain: this one has no keys for them, and leaves them alone."""
    sequencer = net.sequencer(2)
    try:
        agency = net.agency(sequencer)
        device = Device(agency)
        sequencer.submit(agency.tx(device.registration())).result(60)
        sequencer.submit(agency.tx(*(device.seal() for _ in range(3)))).result(60)
    finally:
        sequencer.close()


def test_a_log_is_let_in_by_the_holder_of_the_chains_key(net: Testnet, tmp_path: Path) -> None:
    """The manager does not have that key: it asks, and goes on once it is answered."""
    arguments = ("manager", "init", "--home", str(tmp_path / "home"), "--agency", "架空商事")
    asked = securepc(*arguments, "--validator", str(net.nodes[1].home))
    assert asked.returncode == 2, asked.stdout
    (request,) = (tmp_path / "home" / "ledger").glob("charter-*.json")
    assert str(request) in asked.stderr
    authority = ("--authority", str(net.folder / "authority.key"))
    assert securepc("node", "charter", str(request), *authority).returncode == 0
    done = securepc(*arguments)
    assert done.returncode == 0, done.stderr
    (log,) = net.nodes[1].reader().logs()
    assert request.name == f"charter-{log.hex()}.json"
    # No agency moves to validators or away from them, and nothing has changed by asking.
    setup.make_home(tmp_path / "other")
    card, here = tmp_path / "card", ("--home", str(tmp_path / "home"))
    other = securepc("agency", "card", "--home", str(tmp_path / "other"), "--address", ADDRESS, str(card))
    assert other.returncode == 0, other.stderr
    size = net.nodes[1].reader().size(log)
    for asked in (
        ("card", *here, "--address", ADDRESS, str(tmp_path / "mine")),
        ("export", *here, "--to", str(card), "--yes", str(tmp_path / "moved")),
        ("import", *here, "--yes", str(card), str(tmp_path / "receipt")),
    ):
        refused = securepc("agency", *asked)
        assert refused.returncode == 2
        assert "where validators order blocks, no agency can move" in refused.stderr
    assert net.nodes[1].reader().size(log) == size
    assert not {"mine", "moved", "receipt"} & {path.name for path in tmp_path.iterdir()}
