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
from securepc.ledger.abci import changes
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


def test_who_votes_is_changed_by_the_chains_key_once_and_in_time(node: Node) -> None:
    four, five = Voters("a"), Voters("a", "b")
    sign, chain = node.keys.block_key().sign, node.app.store.genesis.chain
    until = node.clock + 100 * SECOND
    change = changes.write(chain, four.validators, five.validators, until, sign)
    batch = node.agency.tx(node.device.seal())

    def verdict(*transactions: bytes, validators: Voters = four, late: int = 0) -> int:
        time = moment(node.clock + late)
        asked = pb.ProcessProposal(txs=transactions, time=time, next_validators_hash=validators.hash)
        return node.app.process_proposal(asked).status

    assert verdict(change) == verdict(change, batch) == ACCEPT
    assert verdict(change, validators=five) == REJECT
    assert verdict(change, late=101 * SECOND) == REJECT
    assert verdict(batch, change) == verdict(change, change) == REJECT
    stranger = MemoryKeys().block_key().sign
    wrong = (
        change[:-1] + bytes([change[-1] ^ 1]),
        changes.write(chain, four.validators, five.validators, until, stranger),
        changes.write(bytes(16), four.validators, five.validators, until, sign),
        changes.write(chain, four.validators, four.validators, until, sign),
        changes.write(chain, four.validators, (), until, sign),
    )
    for other in wrong:
        assert verdict(other) == REJECT
        assert node.app.check_tx(pb.CheckTx(tx=other)).code != 0
        prepared = pb.PrepareProposal(txs=[other], max_tx_bytes=10**6, next_validators_hash=four.hash)
        assert list(node.app.prepare_proposal(prepared).txs) == []
    assert node.app.check_tx(pb.CheckTx(tx=change)).code == 0
    prepared = pb.PrepareProposal(
        txs=[batch, change], max_tx_bytes=10**6, next_validators_hash=four.hash, time=moment(node.clock)
    )
    assert list(node.app.prepare_proposal(prepared).txs) == [change, batch]

    node.height += 1
    asked = pb.FinalizeBlock(
        txs=[change, batch], height=node.height, time=moment(node.clock), next_validators_hash=four.hash
    )
    for _ in range(2):  # the power went before it was committed: the same again
        done = node.app.finalize_block(asked)
        assert [(one.pub_key.ed25519, one.power) for one in done.validator_updates] == [
            (one.key, one.power) for one in five.validators if one not in four.validators
        ]
    node.app.commit()
    assert node.app.check_tx(pb.CheckTx(tx=change, type=1)).code != 0, "it waits no more"
    back = changes.write(chain, five.validators, four.validators, until, sign)
    asked = pb.FinalizeBlock(txs=[back], height=node.height + 1, time=asked.time)
    asked.next_validators_hash = five.hash
    assert [one.power for one in node.app.finalize_block(asked).validator_updates] == [0]


def test_validators_adopt_no_log(node: Node) -> None:
    """What an adoption brings is in no transaction: the others could not have it."""
    agency = Agency(node.keys)
    data = agency.tx(Item(b"securepc/adopt/v1\n{}" + bytes(64), b"proof"))
    assert node.proposed(data) == REJECT
    assert "adopt no logs" in node.app.check_tx(pb.CheckTx(tx=data)).log


def test_before_the_chain_has_begun_nothing_is_taken(tmp_path: Path) -> None:
    app = Application(tmp_path / "chain.sqlite")
    assert app.info().app_version == 1
    assert app.check_tx(pb.CheckTx(tx=b"x")).code != 0
    assert app.query(pb.Query(path="/snapshots")).code == 1
    assert app.drop_some() is False
    assert app.offer_snapshot(pb.OfferSnapshot()).status == 3
    assert app.apply_snapshot_chunk(pb.ApplySnapshotChunk()).result == 5
    assert app.load_snapshot_chunk(pb.LoadSnapshotChunk(height=1, format=1)).chunk == b""
