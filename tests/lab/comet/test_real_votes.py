"""Evidence under the votes of four real validators, and what CometBFT itself says of them."""

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
from ledger_world import Device
from packed import pack_of, trust_in
from validators import Node, Testnet, eventually

import securepc
from securepc.ledger import fsck, merkle
from securepc.ledger.log import LogReader
from securepc.ledger.rpc import Rpc
from securepc.ledger.votes.asked import Votes
from securepc.wire.signed import votes

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def program() -> Path:
    return go_tools.build(Path(__file__).parent, "github.com/cometbft/cometbft/cmd/cometbft") / "cometbft"


@pytest.fixture
def net(program: Path, tmp_path: Path) -> Iterator[Testnet]:
    with Testnet(tmp_path / "net", program) as net:
        yield net


def judged(folder: Path, data: bytes, trust: Path) -> dict[str, Any]:
    """What the auditor's tool says, in a Python that has the standard library only."""
    file = folder / "evidence.zip"
    file.write_bytes(data)
    command = [sys.executable, "-S", "-m", "securepc.verify", str(file), "--trust", str(trust), "--json"]
    source = Path(securepc.__file__).parents[1]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(source)}, capture_output=True)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return dict(json.loads(done.stdout))


def reader_of(net: Testnet, node: Node) -> LogReader:
    return LogReader(node.store, lambda log, text: net.keys.log_key(log).sign(text))


def test_evidence_says_how_many_voted(net: Testnet, tmp_path: Path) -> None:
    sequencer = net.sequencer()
    try:
        agency = net.agency(sequencer)
        device = Device(agency)
        sequencer.submit(agency.tx(device.registration())).result(60)
        sequencer.submit(agency.tx(*(device.seal() for _ in range(4)))).result(60)
        trust = trust_in(tmp_path / "trust", (net.folder / "genesis.json").read_bytes(), agency)
        for node in net.nodes:
            reader = reader_of(net, node)
            eventually(lambda reader=reader: reader.size(agency.log) == 6, 30)
            eventually(lambda reader=reader: reader.votes(reader.height()) is not None, 30)
            verdict = judged(tmp_path, pack_of(reader, agency, [device]), trust)
            assert verdict["level"] == "vouched"
            given = verdict["block"]["votes"]
            assert given["given"] in (3, 4)
            assert given["of"] == 4
            assert len(verdict["entries"]) == 12

        # One is away: three vote, and when it comes back it asks for what it missed.
        away = net.nodes[3]
        away.kill()
        sequencer.submit(agency.tx(device.seal())).result(60)
        reader = reader_of(net, net.nodes[0])
        eventually(lambda: reader.votes(reader.height()) is not None, 30)
        verdict = judged(tmp_path, pack_of(reader, agency, [device]), trust)
        assert verdict["block"]["votes"] == {"given": 3, "of": 4}
        away.start()
        late = reader_of(net, away)
        eventually(lambda: late.height() == reader.height(), 60)
        eventually(lambda: late.votes(late.height()) is not None, 30)
        assert judged(tmp_path, pack_of(late, agency, [device]), trust)["level"] == "vouched"
    finally:
        sequencer.close()
    for node in net.nodes:
        report = fsck.check(node.store)
        assert report.findings == []
        assert report.votes == report.blocks == 4
        assert "votes" not in report.not_checked


def test_our_hashes_are_comets_at_every_height(net: Testnet) -> None:
    sequencer = net.sequencer()
    try:
        net.agency(sequencer)
    finally:
        sequencer.close()
    node = net.nodes[1]
    rpc = Votes(Rpc(node.rpc))
    eventually(lambda: rpc.heights()[1] >= 3)
    first, last = rpc.heights()
    assert first == 1
    for height in range(first, last + 1):
        said = node.ask(f"commit?height={height}")["signed_header"]["commit"]
        voted = rpc.voted(height)
        assert votes.header_hash(voted.header, merkle.root_of).hex().upper() == said["block_id"]["hash"]
        assert votes.validators_hash(voted.validators, merkle.root_of) == voted.header.validators
