"""The application: transactions judged by the state's rules, blocks kept in the store. No sockets or threads.

Every call of CometBFT (https://docs.cometbft.com/v0.38/spec/abci) is a method; the caller lets in one at a
time. What is proposed and judged runs on scratch copies; only `commit` changes the store, in one SQLite
transaction.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

from securepc import __version__
from securepc.ledger import block
from securepc.ledger.abci import abci_pb2 as pb
from securepc.ledger.abci.judge import Judge, acceptable
from securepc.ledger.abci.nobody import Nobody
from securepc.ledger.abci.pool import Held, Pool
from securepc.ledger.genesis import Genesis, parse
from securepc.ledger.state import Refused
from securepc.ledger.state.refused import SENTENCES
from securepc.ledger.store import Store, StoreError, create_store, open_store
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


class Application:
    """Over the store at a path, which CometBFT's first block creates."""

    def __init__(self, path: Path, *, on_block: Callable[[int], None] = lambda height: None) -> None:
        """Raises StoreError where the store is there and cannot be used."""
        self._path = path
        self._on_block = on_block
        self._store: Store | None = open_store(path) if path.exists() else None
        self._pool: Pool | None = Pool(self._store) if self._store else None
        self._pending: block.Block | None = None
        self._signers = Nobody()

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()

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
            return pb.InfoAnswer(data="securepc", version=__version__)
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
            self._store = open_store(self._path)
            self._pool = Pool(self._store)
        if self.store.genesis != genesis or self.store.height != genesis.signed:
            raise StoreError("the store is of another chain, or not empty")
        return pb.InitChainAnswer(app_hash=self.store.state.root())

    def check_tx(self, asked: pb.CheckTx) -> pb.TxResult:
        """Whether a transaction may wait for a block, or may go on waiting."""
        try:
            held = self.pool.take_again(asked.tx) if asked.type == AGAIN else self.pool.take(asked.tx)
        except Refused as refused:
            return pb.TxResult(code=CODES.get(refused.code, UNKNOWN), log=_said(refused))
        return pb.TxResult(code=LATER if held is Held.LATER else 0)

    def prepare_proposal(self, asked: pb.PrepareProposal) -> pb.Transactions:
        """A block of what waits: in order, and nothing that the rules refuse."""
        judge = self._judge(_micros(asked.time))
        return pb.Transactions(txs=acceptable(judge, asked.txs, asked.max_tx_bytes))

    def process_proposal(self, asked: pb.ProcessProposal) -> pb.Verdict:
        """Reject a block that has anything in it which the rules refuse: an honest proposer makes none."""
        judge = self._judge(_micros(asked.time))
        try:
            for data in asked.txs:
                judge.take(data)
        except Refused as refused:
            _log.warning("a proposal at height %d is refused: %s", asked.height, refused)
            return pb.Verdict(status=REJECT)
        return pb.Verdict(status=ACCEPT)

    def finalize_block(self, asked: pb.FinalizeBlock) -> pb.FinalizeBlockAnswer:
        """Carry out a decided block, without storing it."""
        store, time = self.store, max(_micros(asked.time), self.store.time + 1)
        judge = self._judge(time)
        results = [self._carry_out(judge, data) for data in asked.txs]
        self._pending = None
        if judge.taken:
            self._signers.know({one.transaction.log: one.opened for one in judge.taken if one.opened})
            self._pending = block.build(
                store.genesis.chain,
                store.head,
                asked.height,
                time,
                [one.transaction for one in judge.taken],
                judge.state,
                self._signers,
            )
        return pb.FinalizeBlockAnswer(tx_results=results, app_hash=judge.state.root())

    def commit(self) -> pb.CommitAnswer:
        """Make the block durable. CometBFT keeps its own blocks: nothing is to be pruned."""
        if self._pending is not None:
            self.store.write(self._pending)
            self._pending = None
            self._on_block(self.store.height)
        self.pool.next_block()
        return pb.CommitAnswer()

    def query(self, asked: pb.Query) -> pb.QueryAnswer:
        """`/expect`: a transaction of this SHA-256 comes from the sequencer beside us; the answer is 01 if it
        waits here already, 00 if not. `/judge`: what the rules say of a transaction now. `/root`: the state
        root as of the last block, for people who look."""
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
            case "/root":
                return pb.QueryAnswer(value=self.store.state.root(), height=self.store.height)
            case _:
                return pb.QueryAnswer(code=1, log="unknown")

    def _carry_out(self, judge: Judge, data: bytes) -> pb.TxResult:
        try:
            judge.take(data)
        except Refused as refused:
            return pb.TxResult(code=CODES.get(refused.code, UNKNOWN))
        return pb.TxResult()

    def _judge(self, time: int) -> Judge:
        return Judge(self.store.state, self.store.genesis.key, max(time, self.store.time + 1))


def genesis_in(app_state: bytes) -> Genesis:
    """Our genesis inside CometBFT's genesis.json, `{"genesis": base64}`.

    Raises:
        StoreError: there is none.
    """
    try:
        return parse(b64decode(json.loads(app_state)["genesis"]))
    except (ValueError, KeyError, TypeError, Malformed) as error:
        raise StoreError(f"CometBFT's genesis.json has no genesis of ours: {error}") from None


def _micros(time: pb.Timestamp) -> int:
    return int(time.seconds) * 1_000_000 + int(time.nanos) // 1_000


def _said(refused: Refused) -> str:
    expected = refused.expected
    more = expected and {
        "epoch": expected.epoch,
        "sequence": expected.sequence,
        "head": expected.head.hex(),
    }
    said = {"code": refused.code, "detail": refused.detail, "expected": more, "known": list(refused.known)}
    return json.dumps(said)
