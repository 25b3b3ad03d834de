"""A ledger of one machine handed over to four real validators: the same chain, evidence old and new."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import go_tools
import pytest
from ledger_world import Agency, Device, World
from packed import pack_of, trust_in
from validators import Node, eventually, free_ports, results

import securepc
from securepc.ledger import chain, fsck, merkle
from securepc.ledger.log import LogReader
from securepc.ledger.sequencer.cometbft import CometSequencer

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def program() -> Path:
    return go_tools.build(Path(__file__).parent, "github.com/cometbft/cometbft/cmd/cometbft") / "cometbft"


@pytest.fixture
def nodes(program: Path, tmp_path: Path) -> Iterator[list[Node]]:
    """Four validators with keys, cards and settings, and no chain yet."""
    first = free_ports(8)
    made = []
    for number in range(4):
        home = tmp_path / f"node{number}"
        peer, rpc = first + 2 * number, first + 2 * number + 1
        run(
            *("node", "prepare", "--home", home, "--name", f"node{number}", "--address", f"127.0.0.1:{peer}"),
            *("--listen", "127.0.0.1", "--rpc", rpc, "--cometbft", program),
        )
        made.append(Node(home, f"http://127.0.0.1:{rpc}", program))
    yield made
    for node in made:
        if node.process is not None and node.process.poll() is None:
            node.kill()


def run(*arguments: object) -> str:
    command = [sys.executable, "-m", "securepc", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def judged(folder: Path, data: bytes, trust: Path) -> dict[str, Any]:
    file = folder / "evidence.zip"
    file.write_bytes(data)
    command = [sys.executable, "-S", "-m", "securepc.verify", str(file), "--trust", str(trust), "--json"]
    source = Path(securepc.__file__).parents[1]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(source)}, capture_output=True)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return dict(json.loads(done.stdout))


def test_one_machine_hands_over_to_four(nodes: list[Node], tmp_path: Path) -> None:
    home = tmp_path / "manager"
    (home / "ledger").mkdir(parents=True)
    world = World(home / "ledger")
    try:
        agency = Agency(world.keys)
        device = Device(agency)
        for leaf in (agency.genesis(), device.registration(), device.seal(), device.seal()):
            chain.append(world.store, world.keys, [agency.tx(leaf)], world.store.time + 1)
        trust = trust_in(home / "trust", world.store.genesis.encode(), agency)
        old_evidence, height = pack_of(world.reader, agency, [device]), world.store.height
        old = world.reader.snapshot(agency.log)
        assert height == old.size == 4
        world.store.close()

        cards = [part for node in nodes for part in ("--validator", node.home / "node" / "card.json")]
        for _ in range(2):  # again, nothing changes
            said = json.loads(run("ledger", "migrate", "--home", home, *cards, "--yes", "--json"))
            assert said["height"] == height
        for node in nodes:
            run("node", "begin", said["folder"], "--home", node.home)
            node.start()

        reader = LogReader(nodes[0].store, lambda log, text: world.keys.log_key(log).sign(text))
        eventually(lambda: nodes[0].height() > height, 90)
        sequencer = CometSequencer(nodes[0].rpc, reader)
        try:
            results([sequencer.submit(agency.tx(device.seal())) for _ in range(3)])
        finally:
            sequencer.close()

        # For agents: the log only grew.
        new = reader.snapshot(agency.log)
        assert new.size == 7
        proof = reader.consistency(agency.log, old.size, new.size)
        merkle.verify_consistency(old.size, new.size, old.root, new.root, proof)

        # For auditors, with the genesis that the migration put in place.
        assert judged(tmp_path, old_evidence, trust)["level"] == "self-consistent"
        eventually(lambda: reader.votes(reader.height()) is not None, 30)
        verdict = judged(tmp_path, pack_of(reader, agency, [device]), trust)
        assert verdict["level"] == "vouched"
        assert verdict["block"]["votes"]["of"] == 4

        # The key that signed the blocks before lets one of them go; it follows the others all the same.
        gone = ("--remove", nodes[3].home / "node" / "card.json")
        keys = ("--keys", home / "ledger" / "keys.sqlite")
        said = json.loads(run("node", "validators", "--at", nodes[0].rpc, *gone, *keys, "--json"))
        assert said == {"before": 4, "after": 3}
        sequencer = CometSequencer(nodes[0].rpc, reader)
        try:
            for _ in range(3):
                results([sequencer.submit(agency.tx(device.seal()))])
        finally:
            sequencer.close()
        eventually(lambda: reader.votes(reader.height()) is not None, 30)
        verdict = judged(tmp_path, pack_of(reader, agency, [device]), trust)
        assert verdict["level"] == "vouched"
        assert verdict["block"]["votes"]["of"] == 3

        # One is killed and goes on where it was.
        nodes[3].kill()
        nodes[3].start()
        late = LogReader(nodes[3].store)
        eventually(lambda: late.height() == reader.height(), 90)
        for node in nodes:
            report = fsck.check(node.store)
            assert report.findings == []
            assert report.blocks > height
    finally:
        world.close()
