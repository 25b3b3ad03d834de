"""The application under CometBFT's questions, asked here by the test in CometBFT's place."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger_world import START, Agency, Device, MemoryKeys
from tiny_votes import Voters

from securepc.ledger import charter, fsck
from securepc.ledger import genesis as geneses
from securepc.ledger.abci import abci_pb2 as pb
from securepc.ledger.abci.app import ACCEPT, AHEAD, REJECT, Application
from securepc.wire.signed.block import Item
from securepc.wire.signed.documents import b64encode

SECOND = 1_000_000
YEARS = 11 * 366 * 86_400 * SECOND


class Node:
    """One application, and blocks that are decided as the test says."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "chain.sqlite"
        self.keys = MemoryKeys()
        self.clock = START + SECOND
        self.height = 0
        genesis = geneses.create(self.keys.block_key().public, START, Voters("a").validators)
        self.state = json.dumps({"genesis": b64encode(genesis.encode())}).encode()
        self.app = self.open()
        self.app.init_chain(pb.InitChain(app_state_bytes=self.state))
        self.agency = Agency(self.keys)
        self.device = Device(self.agency)
        leaf = self.agency.genesis()
        key = self.keys.log_key(self.agency.log).public
        self.block(self.agency.tx(Item(leaf, charter.write(leaf, key, self.keys.block_key().sign))))
        self.block(self.agency.tx(self.device.registration()))

    def open(self, **options: int | None) -> Application:
        return Application(self.path, now=lambda: self.clock, **options)  # type: ignore[arg-type]

    def proposed(self, *transactions: bytes, ahead: int = 0) -> int:
        time = moment(self.clock + ahead)
        asked = pb.ProcessProposal(txs=transactions, height=self.height + 1, time=time)
        return self.app.process_proposal(asked).status

    def block(self, *transactions: bytes) -> None:
        self.height += 1
        self.clock += SECOND
        time = moment(self.clock)
        done = self.app.finalize_block(pb.FinalizeBlock(txs=transactions, height=self.height, time=time))
        assert [one.code for one in done.tx_results] == [0] * len(transactions)
        self.app.commit()

    def bodies(self) -> int:
        with closing(sqlite3.connect(self.path)) as db:
            return int(db.execute("SELECT count(*) FROM bodies").fetchone()[0])


def moment(time: int) -> pb.Timestamp:
    return pb.Timestamp(seconds=time // SECOND, nanos=time % SECOND * 1_000)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.app.close()


def test_a_proposal_from_the_future_is_refused(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    batch = node.agency.tx(node.device.seal())
    assert node.proposed(batch) == ACCEPT
    assert node.proposed(batch, ahead=AHEAD) == ACCEPT
    assert node.proposed(batch, ahead=AHEAD + 1) == REJECT
    assert node.proposed(batch, ahead=YEARS) == REJECT
    assert "4026.0 days ahead of this clock" in caplog.text
    # An expiry that somebody wants to have early goes with it.
    assert (
        node.proposed(node.agency.tx(node.agency.document("expire", month="2026-11")), ahead=YEARS) == REJECT
    )
    node.app.close()
    node.app = node.open(ahead=None)
    assert node.proposed(batch, ahead=YEARS) == ACCEPT


def test_what_expired_is_dropped_and_the_audit_agrees(node: Node) -> None:
    for _ in range(3):
        node.block(node.agency.tx(node.device.seal(), node.device.seal()))
    assert (node.bodies(), node.app.drop_some()) == (6, False)
    node.clock += YEARS
    node.block(node.agency.tx(node.agency.document("expire", month="2026-11")))
    node.block(node.agency.tx(node.device.seal()))
    assert node.bodies() == 7
    # The power goes in between: what is left is dropped afterwards.
    node.app.close()
    node.app = node.open()
    while node.app.drop_some():
        pass
    assert node.bodies() == 1
    assert fsck.check(node.path).findings == []
    node.block(node.agency.tx(node.device.seal()))


def test_before_the_chain_has_begun_nothing_is_taken(tmp_path: Path) -> None:
    app = Application(tmp_path / "chain.sqlite")
    assert app.info().app_version == 1
    assert app.check_tx(pb.CheckTx(tx=b"x")).code != 0
    assert app.query(pb.Query(path="/snapshots")).code == 1
    assert app.drop_some() is False
    assert app.offer_snapshot(pb.OfferSnapshot()).status == 3
    assert app.apply_snapshot_chunk(pb.ApplySnapshotChunk()).result == 5
    assert app.load_snapshot_chunk(pb.LoadSnapshotChunk(height=1, format=1)).chunk == b""
