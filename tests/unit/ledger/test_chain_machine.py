"""State, store and reader together: whatever is sent in whatever order, they agree with a simple model."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ledger_world import START, Agency, Device, MemoryKeys

from securepc.ledger import chain, checkpoint, fsck, merkle
from securepc.ledger import genesis as geneses
from securepc.ledger.chain import Committed
from securepc.ledger.log import LogReader
from securepc.ledger.state import Refused
from securepc.ledger.store import create_store, open_store
from securepc.wire import keys as signatures
from securepc.wire.keys import SigningKey
from securepc.wire.signed import batch, block
from securepc.wire.signed import leaf as leaves
from securepc.wire.signed.block import Item

PICK = st.integers(min_value=0, max_value=7)


class Chain(RuleBasedStateMachine):
    """The model: the leaves of each log, and what each device has sent."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "chain.sqlite"
        self.keys = MemoryKeys()
        self.genesis = geneses.create(self.keys.block_key().public, START)
        create_store(self.path, self.genesis)
        self.store = open_store(self.path, floor=0)
        self.reader = LogReader(self.path)
        self.model: dict[bytes, list[bytes]] = {}
        self.bodies: dict[bytes, bytes] = {}
        self.agencies: list[Agency] = []
        self.devices: list[Device] = []
        self.pending: list[bytes] = []
        self.sent: list[tuple[bytes, Committed]] = []
        self.now = START
        for _ in range(2):
            self.open_agency()
        for number in range(3):
            self.register(number)
        self.commit(1)

    @rule()
    def open_agency(self) -> None:
        if len(self.agencies) < 4:
            self.agencies.append(Agency(self.keys))
            self.send(self.agencies[-1], self.agencies[-1].genesis())

    @rule(pick=PICK)
    def register(self, pick: int) -> None:
        device = Device(self.agencies[pick % len(self.agencies)])
        self.devices.append(device)
        self.send(device.agency, device.registration())

    @rule(pick=PICK, sizes=st.lists(st.integers(min_value=0, max_value=4), min_size=1, max_size=4))
    def batches(self, pick: int, sizes: list[int]) -> None:
        device = self.devices[pick % len(self.devices)]
        self.send(device.agency, *[device.seal(size) for size in sizes])

    @rule(pick=PICK)
    def rotate(self, pick: int) -> None:
        device, key = self.devices[pick % len(self.devices)], SigningKey.generate()
        self.send(device.agency, device.agency.key_document("rotate", device.handle, key, signer=device.key))
        device.key = key

    @rule(pick=PICK)
    def again(self, pick: int) -> None:
        if self.sent:
            self.pending.append(self.sent[pick % len(self.sent)][0])

    @rule(pick=PICK)
    def refused(self, pick: int) -> None:
        """What must be refused, among what must not."""
        device = self.devices[pick % len(self.devices)]
        item = device.seal(1, advance=False)
        self.pending.append(device.agency.tx(Item(item.leaf, item.body + b"x")))
        self.pending.append(device.agency.tx(device.agency.genesis()))
        self.pending.append(b"securepc/tx/v1\n" + bytes(pick))

    @rule(seconds=st.integers(min_value=0, max_value=40 * 86_400))
    def commit(self, seconds: int) -> None:
        self.now += seconds * 1_000_000
        height = self.store.height
        outcomes = chain.append(self.store, self.keys, self.pending, self.now)
        new = 0
        for data, outcome in sorted(zip(self.pending, outcomes, strict=True), key=_log):
            if isinstance(outcome, Refused):
                continue
            transaction = block.parse_transaction(data)
            model = self.model.setdefault(transaction.log, [])
            for item, index in zip(transaction.items, outcome.indexes, strict=True):
                if index == len(model):
                    model.append(item.leaf)
                    self.bodies[item.leaf] = item.body
                    new += 1
                assert model[index] == item.leaf
            self.sent.append((data, outcome))
        assert self.store.height == height + (new > 0)
        # Nothing is refused but what `refused` made: everything else was sent in order.
        codes = {outcome.code for outcome in outcomes if isinstance(outcome, Refused)}
        assert codes <= {"body", "known-log", "malformed", "known-device", "signature", "used-key"}, codes
        self.pending = []

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.path, floor=0)

    @invariant()
    def reader_agrees(self) -> None:
        assert sorted(self.model) == self.reader.logs()
        for log, model in self.model.items():
            size = len(model)
            stored = list(self.reader.leaves(log, 0, size + 1))
            assert [leaf.leaf for leaf in stored] == model
            assert [leaf.body for leaf in stored] == [self.bodies[leaf] for leaf in model]
            root = merkle.root([merkle.leaf_hash(leaf) for leaf in model])
            note = self.reader.checkpoint(log)
            signed = checkpoint.verify(note, self.reader.key(log), signatures.verify)
            assert (signed.size, signed.root) == (size, root)
            assert self.reader.root(log, size // 2) == merkle.root(
                [merkle.leaf_hash(leaf) for leaf in model[: size // 2]]
            )

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            self.commit(1)
            report = fsck.check(self.path, trusted=self.genesis)
            assert report.sound, report.findings
            for log, model in self.model.items():
                snapshot = self.reader.snapshot(log)
                header = block.parse(leaves.split(snapshot.block).body)
                path = snapshot.state_path
                record = merkle.leaf_hash(snapshot.log_record)
                merkle.verify_inclusion(path.index, path.size, record, path.hashes, header.state)
                for index in {0, len(model) // 2, len(model) - 1}:
                    proof = self.reader.inclusion(log, index, len(model))
                    leaf = merkle.leaf_hash(model[index])
                    merkle.verify_inclusion(index, len(model), leaf, proof, snapshot.root)
            for device in self.devices:
                log = device.agency.log
                proven = self.reader.snapshot(log).device(device.handle)
                assert proven is not None
                registry = merkle.root([merkle.leaf_hash(r[2]) for r in self.reader.snapshot(log).registry])
                path = proven.path
                record = merkle.leaf_hash(proven.record)
                merkle.verify_inclusion(path.index, path.size, record, path.hashes, registry)
                found = self.reader.batches(log, device.handle, 1, 2**53)
                sent = [sealed.leaf for sealed in device.sealed if sealed.leaf in self.model[log]]
                held = [self.model[log].index(leaf) for leaf in sent]
                assert found == [i for i in held if _entries(self.model[log][i])]
        finally:
            self.reader.close()
            self.store.close()
            shutil.rmtree(self.folder)

    def send(self, agency: Agency, *items: Item | bytes) -> None:
        self.pending.append(agency.tx(*items))


def _log(pair: tuple[bytes, object]) -> bytes:
    """The order in which a block judges its transactions; what does not parse is first."""
    return pair[0][15:31]


def _entries(leaf: bytes) -> int:
    return batch.of_leaf(leaf).size


TestChain = Chain.TestCase
TestChain.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
