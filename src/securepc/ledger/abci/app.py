"""The application: transactions judged by the state's rules, blocks kept in the store. No sockets or threads.

Every call of CometBFT (https://docs.cometbft.com/v0.38/spec/abci) is a method; the caller lets in one at a
time. What is proposed and judged runs on scratch copies; only `commit` changes the store, in one SQLite
transaction.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

from securepc import __version__
from securepc.ledger import block
from securepc.ledger.abci import abci_pb2 as pb
from securepc.ledger.abci import changes
from securepc.ledger.abci.judge import Judge, acceptable
from securepc.ledger.abci.nobody import Nobody
from securepc.ledger.abci.pool import Held, Pool
from securepc.ledger.genesis import Genesis, parse
from securepc.ledger.state import Refused
from securepc.ledger.state.refused import SENTENCES
from securepc.ledger.statesync import snapshot
from securepc.ledger.statesync.joining import Joining, Took, listed
from securepc.ledger.statesync.offers import Offers
from securepc.ledger.store import Store, StoreError, create_store, open_store
from securepc.ledger.votes import handovers
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.documents import b64decode

_log = logging.getLogger(__name__)
CODES = {name: number for number, name in enumerate(sorted(SENTENCES), 1)}
"""Refusals as ABCI's result codes; 0 is none. Appended to, never renumbered, while a chain lives."""
UNKNOWN, LATER = 999, 998
"""A refusal without a number; and no refusal: to be asked about again after the next block."""
NEW, AGAIN = 0, 1
"""Kinds of CheckTx."""
ACCEPT, REJECT = 1, 2
OFFER_ACCEPT, OFFER_REJECT = 1, 3
PIECE_ACCEPT, PIECE_RETRY, PIECE_REJECT_SNAPSHOT = 1, 3, 5
ASKED_NOW = b"now"
AHEAD = 3_600_000_000
"""Microseconds by which a proposal may be ahead of this machine's clock. Block time never falls again, and
months expire by it: with as many wrong clocks as it takes to mislead the others, the chain stands still."""


class Application:
    """Over the store at a path, which CometBFT's first block creates."""

    def __init__(
        self,
        path: Path,
        *,
        on_block: Callable[[int], None] = lambda height: None,
        offers: Offers | None = None,
        joining: Joining | None = None,
        ahead: int | None = AHEAD,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        """Raises StoreError where the store is there and cannot be used.

        `offers`: snapshots for others; `joining`: for a node that is made of one; `ahead`: microseconds by
        which a proposal may be ahead of `now`, None for no limit.
        """
        self._ahead = ahead
        self._now = now
        self._path = path
        self._on_block = on_block
        self._offers = offers
        self._joining = joining
        self._store: Store | None = None
        self._pool: Pool | None = None
        self._pick_up()
        self._pending: block.Block | None = None
        self._signers = Nobody()
        self._validators = b""
        """The hash of the set that votes next, once a block has told it."""

    def close(self) -> None:
        """Close the store, and give up a snapshot that is not whole."""
        if self._joining is not None:
            self._joining.close()
        self._let_go()

    @property
    def store(self) -> Store:
        """The store; there is one after the chain was begun."""
        assert self._store is not None, "the chain has begun"
        return self._store

    @property
    def pool(self) -> Pool:
        """What waits here; there is one after the chain was begun."""
        assert self._pool is not None, "the chain has begun"
        return self._pool

    def info(self) -> pb.InfoAnswer:
        """Where the application stands. Blocks without transactions are not kept: CometBFT replays them."""
        if self._store is None:
            return pb.InfoAnswer(data="securepc", version=__version__, app_version=1)
        # Blocks from before validators voted are none of CometBFT's.
        height = self.store.height if self.store.height > self.store.genesis.signed else 0
        root = self.store.state.root() if height else b""
        return pb.InfoAnswer(
            data="securepc",
            version=__version__,
            app_version=1,
            last_block_height=height,
            last_block_app_hash=root,
        )

    def init_chain(self, asked: pb.InitChain) -> pb.InitChainAnswer:
        """Begin the chain with the genesis that stands in CometBFT's own; may come again before a block."""
        genesis = genesis_in(asked.app_state_bytes)
        if self._store is None:
            if genesis.continues is not None:
                raise StoreError("the ledger that this chain continues is not here: securepc node begin")
            create_store(self._path, genesis)
            self._pick_up()
        if self.store.genesis != genesis or self.store.height != genesis.signed:
            raise StoreError("the store is of another chain, or not empty")
        return pb.InitChainAnswer(app_hash=self.store.state.root())

    def check_tx(self, asked: pb.CheckTx) -> pb.TxResult:
        """Whether a transaction may wait for a block, or may go on waiting."""
        if self._pool is None:
            return pb.TxResult(code=UNKNOWN, log="this node has not joined the chain yet")
        if changes.is_change(asked.tx):
            return self._check_change(asked.tx)
        try:
            held = self.pool.take_again(asked.tx) if asked.type == AGAIN else self.pool.take(asked.tx)
        except Refused as refused:
            return pb.TxResult(code=CODES.get(refused.code, UNKNOWN), log=_said(refused))
        return pb.TxResult(code=LATER if held is Held.LATER else 0)

    def prepare_proposal(self, asked: pb.PrepareProposal) -> pb.Transactions:
        """A block of what waits: in order, and nothing that the rules refuse."""
        judge = self._judge(_micros(asked.time), asked.next_validators_hash)
        return pb.Transactions(txs=acceptable(judge, asked.txs, asked.max_tx_bytes))

    def process_proposal(self, asked: pb.ProcessProposal) -> pb.Verdict:
        """Reject a block that has anything in it which the rules refuse: an honest proposer makes none; and
        one from the future."""
        ahead = _micros(asked.time) - self._now()
        if self._ahead is not None and ahead > self._ahead:
            days = ahead / 86_400_000_000
            _log.error("a proposal at height %d is %.1f days ahead of this clock", asked.height, days)
            return pb.Verdict(status=REJECT)
        judge = self._judge(_micros(asked.time), asked.next_validators_hash)
        try:
            for data in asked.txs:
                judge.take(data)
        except Refused as refused:
            _log.warning("a proposal at height %d is refused: %s", asked.height, refused)
            return pb.Verdict(status=REJECT)
        return pb.Verdict(status=ACCEPT)

    def finalize_block(self, asked: pb.FinalizeBlock) -> pb.FinalizeBlockAnswer:
        """Carry out a decided block, without storing it."""
        store, moment = self.store, max(_micros(asked.time), self.store.time + 1)
        judge = self._judge(moment, asked.next_validators_hash)
        results = [self._carry_out(judge, data) for data in asked.txs]
        self._pending = None
        if judge.taken:
            self._signers.know({one.transaction.log: one.opened for one in judge.taken if one.opened})
            self._pending = block.build(
                store.genesis.chain,
                store.head,
                asked.height,
                moment,
                [one.transaction for one in judge.taken],
                judge.state,
                self._signers,
            )
        change = judge.change
        self._validators = asked.next_validators_hash if change is None else change.makes
        if change is not None:
            _log.warning("after block %d there are %d validators", asked.height + 1, len(change.after))
        updates = [
            pb.ValidatorUpdate(pub_key=pb.PublicKey(ed25519=one.key), power=one.power)
            for one in (change.updates() if change is not None else ())
        ]
        return pb.FinalizeBlockAnswer(
            tx_results=results, app_hash=judge.state.root(), validator_updates=updates
        )

    def commit(self) -> pb.CommitAnswer:
        """Make the block durable. CometBFT keeps its own blocks: nothing is to be pruned."""
        if self._joining is not None:
            self._joining.joined()
            self._joining = None
        if self._pending is not None:
            before = self.store.time
            self.store.write(self._pending)
            self._pending = None
            self._on_block(self.store.height)
            if self._offers is not None:
                self._offers.block(self.store, before)
        self.pool.next_block()
        return pb.CommitAnswer()

    def drop_some(self) -> bool:
        """Drop some of the bodies that no month and no hold keeps any more; whether there may be more.

        Raises:
            StoreError: none were dropped.
        """
        if self._store is None or not self._store.dropping:
            return False
        self._store.drop_some()
        return self._store.dropping

    def query(self, asked: pb.Query) -> pb.QueryAnswer:
        """`/expect`: a transaction of this SHA-256 comes from the sequencer beside us; the answer is 01 if it
        waits here already, 00 if not. `/judge`: what the rules say of a transaction now. `/snapshots`: what
        others may join by; with the word `now` one is taken of a chain that is idle. `/handovers`: the votes
        that lead from the first validators to those of today. `/root`: the state root as of the last block,
        for people who look."""
        if self._store is None:
            return pb.QueryAnswer(code=1, log="the chain has not begun")
        match asked.path:
            case "/expect" if len(asked.data) == 32:
                return pb.QueryAnswer(value=bytes([self.pool.expect(asked.data)]), height=self.store.height)
            case "/judge":
                try:
                    self.pool.judge(asked.data)
                except Refused as refused:
                    return pb.QueryAnswer(code=CODES.get(refused.code, UNKNOWN), log=_said(refused))
                return pb.QueryAnswer(height=self.store.height)
            case "/handovers":
                return pb.QueryAnswer(value=handovers.listed(self._path), height=self.store.height)
            case "/snapshots":
                if asked.data == ASKED_NOW and self._offers is not None and self.store.height:
                    self._offers.ask(self.store, self._now())
                offered = self._offers.all() if self._offers is not None else []
                return pb.QueryAnswer(value=listed(offered), height=self.store.height)
            case "/root":
                return pb.QueryAnswer(value=self.store.state.root(), height=self.store.height)
            case _:
                return pb.QueryAnswer(code=1, log="unknown")

    def list_snapshots(self) -> pb.ListSnapshotsAnswer:
        """What others may join by."""
        offered = self._offers.all() if self._offers is not None else []
        return pb.ListSnapshotsAnswer(
            snapshots=[
                pb.Snapshot(
                    height=one.height,
                    format=snapshot.NUMBER,
                    chunks=len(one.pieces),
                    hash=one.hash,
                    metadata=one.encode(),
                )
                for one in offered
            ]
        )

    def load_snapshot_chunk(self, asked: pb.LoadSnapshotChunk) -> pb.Chunk:
        """One piece of those; empty where it cannot be had."""
        if self._offers is None or asked.format != snapshot.NUMBER:
            return pb.Chunk()
        return pb.Chunk(chunk=self._offers.piece(asked.height, asked.chunk))

    def offer_snapshot(self, asked: pb.OfferSnapshot) -> pb.Verdict:
        """Begin to be made of a snapshot: only of the one that the operator trusts."""
        joining, found = self._joining, asked.snapshot
        if joining is None or not joining.pending() or found.format != snapshot.NUMBER:
            return pb.Verdict(status=OFFER_REJECT)
        has = self._store.head if self._store is not None else None
        self._let_go()
        begun = joining.offered(found.metadata, found.height, asked.app_hash, has)
        self._pick_up()
        return pb.Verdict(status=OFFER_ACCEPT if begun else OFFER_REJECT)

    def apply_snapshot_chunk(self, asked: pb.ApplySnapshotChunk) -> pb.ApplySnapshotChunkAnswer:
        """The next piece. A false one is fetched again, from somebody else."""
        took = self._joining.take(asked.index, asked.chunk) if self._joining is not None else Took.REFUSED
        match took:
            case Took.AGAIN:
                return pb.ApplySnapshotChunkAnswer(
                    result=PIECE_RETRY, refetch_chunks=[asked.index], reject_senders=[asked.sender]
                )
            case Took.REFUSED:
                return pb.ApplySnapshotChunkAnswer(result=PIECE_REJECT_SNAPSHOT)
            case Took.DONE:
                self._let_go()
                self._pick_up()
        return pb.ApplySnapshotChunkAnswer(result=PIECE_ACCEPT)

    def _let_go(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store, self._pool = None, None

    def _pick_up(self) -> None:
        if self._path.exists():
            self._store = open_store(self._path)
            self._pool = Pool(self._store)

    def _carry_out(self, judge: Judge, data: bytes) -> pb.TxResult:
        try:
            judge.take(data)
        except Refused as refused:
            return pb.TxResult(code=CODES.get(refused.code, UNKNOWN))
        return pb.TxResult()

    def _check_change(self, data: bytes) -> pb.TxResult:
        """It may wait as long as it fits the validators of the last block."""
        try:
            change = changes.read(data, self.store.genesis.chain, self.store.block_keys.last)
        except Malformed as error:
            return pb.TxResult(code=UNKNOWN, log=_said(Refused("malformed", str(error))))
        if change.until < self._now() or (self._validators and change.changes != self._validators):
            refused = Refused("malformed", "a change of other validators, or too late")
            return pb.TxResult(code=UNKNOWN, log=_said(refused))
        return pb.TxResult()

    def _judge(self, moment: int, validators: bytes) -> Judge:
        store, time = self.store, max(moment, self.store.time + 1)
        return Judge(store.state, store.genesis, time, validators, store.block_keys.last)


def genesis_in(app_state: bytes) -> Genesis:
    """Our genesis inside CometBFT's genesis.json, `{"genesis": base64}`.

    Raises:
        StoreError: there is none.
    """
    try:
        return parse(b64decode(json.loads(app_state)["genesis"]))
    except (ValueError, KeyError, TypeError, Malformed) as error:
        raise StoreError(f"CometBFT's genesis.json has no genesis of ours: {error}") from None


def genesis_of(home: Path) -> Genesis:
    """The genesis of the chain that CometBFT's folder is for.

    Raises:
        StoreError: see `genesis_in`.
    """
    document = json.loads((home / "config" / "genesis.json").read_bytes())
    return genesis_in(json.dumps(document.get("app_state")).encode("utf-8"))


def _micros(moment: pb.Timestamp) -> int:
    return int(moment.seconds) * 1_000_000 + int(moment.nanos) // 1_000


def _said(refused: Refused) -> str:
    expected = refused.expected
    more = expected and {
        "epoch": expected.epoch,
        "sequence": expected.sequence,
        "head": expected.head.hex(),
    }
    said = {"code": refused.code, "detail": refused.detail, "expected": more, "known": list(refused.known)}
    return json.dumps(said)
