"""A fifth node joins a running chain of four by a snapshot."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_world import Device
from validators import Load, Node, Testnet, eventually, free_ports, results

from securepc.ledger import fsck
from securepc.ledger.log import LogReader

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def four(program: Path, tmp_path: Path) -> Iterator[Testnet]:
    """Two of them give false pieces to those who join; one of these is asked what to join by."""
    lying = ("lying_node.py",)
    with Testnet(tmp_path / "net", program, scripts={1: lying, 3: lying}) as net:
        yield net


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "securepc", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def prepared(net: Testnet, home: Path, program: Path) -> Node:
    """A node with keys, and no chain yet."""
    peer = free_ports(2)
    made = run(
        *("node", "prepare", "--home", home, "--name", "node4", "--address", f"127.0.0.1:{peer}"),
        *("--listen", "127.0.0.1", "--rpc", peer + 1, "--cometbft", program),
    )
    assert made.returncode == 0, made.stderr
    node = Node(home, f"http://127.0.0.1:{peer + 1}", program)
    net.nodes.append(node)
    return node


def join(net: Testnet, node: Node, *more: object) -> subprocess.CompletedProcess[str]:
    peers = [part for one in net.nodes[:4] for part in ("--peer", one.home / "node" / "card.json")]
    servers = ("--from", net.nodes[0].rpc, "--from", net.nodes[1].rpc)
    return run("node", "join", "--home", node.home, *servers, *peers, "--json", *more)


def change(net: Testnet, *more: object) -> subprocess.CompletedProcess[str]:
    authority = ("--authority", net.folder / "authority.key", "--json")
    return run("node", "validators", "--at", net.nodes[0].rpc, *authority, *more)


def voters(node: Node) -> int:
    return int(node.ask("validators")["total"])


def counted(reader: LogReader) -> int:
    """How many might vote for the newest block, as proven from the genesis on; 0 where it is not yet."""
    proof = reader.votes(reader.height())
    return len(proof[-1].validators) if proof else 0


def fill(net: Testnet, size: int) -> None:
    """So many bytes of batches that a snapshot has several pieces."""
    sequencer = net.sequencer()
    try:
        agency = net.agency(sequencer)
        device = Device(agency)
        sequencer.submit(agency.tx(device.registration())).result(60)
        sent = []
        while size > 0:
            items = [device.seal(1, text=secrets.token_hex(15_000)) for _ in range(30)]
            size -= sum(len(item.body) for item in items)
            sent.append(sequencer.submit(agency.tx(*items)))
        results(sent, 120)
    finally:
        sequencer.close()


def test_a_fifth_joins_an_idle_chain_and_follows_it_while_it_works(
    four: Testnet, program: Path, tmp_path: Path
) -> None:
    fill(four, 20_000_000)
    # Who votes changes before it joins: it has to learn that from the others.
    changed = change(four, "--remove", four.nodes[3].home / "node" / "card.json")
    assert json.loads(changed.stdout) == {"before": 4, "after": 3}, changed.stderr
    fill(four, 30_000)
    eventually(lambda: voters(four.nodes[2]) == 3, 60)
    fifth = prepared(four, tmp_path / "fifth", program)
    # Nothing happens: there is a snapshot, and blocks after it, as soon as somebody asks.
    joined = join(four, fifth)
    assert joined.returncode == 0, joined.stderr
    assert not joined.stderr, "they could show how validators followed each other"
    agreed = json.loads((fifth.home / "node" / "join.json").read_bytes())
    # Those who give true pieces are restarted, and still have them.
    for node in four.nodes[:2]:
        node.kill()
    for node in four.nodes[:2]:
        node.start()
    for node in four.nodes[:2]:
        eventually(lambda node=node: node.height() > 0, 90)
    load = Load(four)
    try:
        fifth.start()
        # In the middle of it the power goes: nothing half is left, and it begins again.
        eventually(lambda: "joining: 1 of" in fifth.said, 90)
        fifth.kill()
        assert not fifth.store.exists()
        fifth.start()
        eventually(fifth.store.exists, 90)
        eventually(lambda: "joined: the node follows the chain" in fifth.said, 90)
        assert not (fifth.home / "node" / "join.json").exists()
        before = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) >= before + 10)
        # The holder of the chain's key lets it vote.
        changed = change(four, "--add", fifth.home / "node" / "card.json")
        assert json.loads(changed.stdout) == {"before": 3, "after": 4}, changed.stderr
        eventually(lambda: voters(four.nodes[2]) == 4, 60)
        assert change(four, "--add", fifth.home / "node" / "card.json").returncode == 2
        # It counts: with one of the old ones away, three of four are still more than two thirds.
        four.nodes[1].kill()
        before = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) >= before + 10, 90)
        four.nodes[1].start()
    finally:
        load.stop()
    load.check()
    print(f"{fifth.said.count('is another one')} false pieces were asked for again")
    first = int(fifth.ask("status")["sync_info"]["earliest_block_height"])
    assert first > agreed["height"], "CometBFT has no blocks from before: the store came out of the snapshot"
    roots = four.roots()
    assert len(roots) == fsck.check(fifth.store).blocks
    # It was killed, and goes on by itself.
    fifth.kill()
    fifth.start()
    eventually(lambda: fifth.height() >= four.nodes[0].height(), 60)
    # All four vote for a block, and evidence can say so: from the genesis' validators on, also at the fifth.
    reader = fifth.reader()
    for node in four.nodes:
        eventually(lambda node=node: counted(node.reader()) == 4, 60)
    assert counted(reader) == 4
    refused = join(four, fifth)
    assert refused.returncode == 2
    assert "already" in refused.stderr or "すでに" in refused.stderr
