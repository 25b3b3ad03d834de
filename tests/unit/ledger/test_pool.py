"""What may wait at a validator for a block, and what is refused there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_world import START, Agency, Device, World, sha256

from securepc.ledger import chain
from securepc.ledger.abci import again, onward
from securepc.ledger.abci.judge import Judge, acceptable
from securepc.ledger.abci.pool import BLOCKS, Held, Pool
from securepc.ledger.state import Refused


class Node:
    """A store with an agency and a device in it, and the pool over it."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.agency = Agency(self.world.keys)
        self.device = Device(self.agency)
        self.clock = START
        self.pool = Pool(self.world.store, lambda: self.clock)
        self.block(self.agency.tx(self.agency.genesis()), self.agency.tx(self.device.registration()))

    def block(self, *transactions: bytes) -> None:
        """Carry out a block, empty or not."""
        self.clock += 1_000_000
        outcomes = chain.append(self.world.store, self.world.keys, transactions, self.clock)
        assert not [one for one in outcomes if isinstance(one, Refused)]
        self.pool.next_block()

    def ours(self, data: bytes) -> Held:
        self.pool.expect(sha256(data))
        return self.pool.take(data)

    def seal(self) -> bytes:
        return self.agency.tx(self.device.seal())


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.world.close()


def test_ours_may_build_on_what_waits_and_a_gap_is_refused_at_once(node: Node) -> None:
    first, second, missing, fourth = (node.seal() for _ in range(4))
    assert node.ours(first) is Held.TAKEN
    assert node.ours(second) is Held.TAKEN
    with pytest.raises(Refused) as refused:
        node.ours(fourth)
    assert refused.value.code == "gap"
    assert refused.value.expected is not None
    assert refused.value.expected.epoch == 3
    assert node.pool.expect(sha256(second))
    assert not node.pool.expect(sha256(fourth))
    assert node.ours(missing) is Held.TAKEN
    assert node.ours(fourth) is Held.TAKEN


def test_an_answer_about_ours_names_only_places_that_are_in_the_store(node: Node) -> None:
    items = [node.device.seal() for _ in range(3)]
    assert node.ours(node.agency.tx(*items[:2])) is Held.TAKEN
    longer = node.agency.tx(*items)
    assert node.ours(longer) is Held.LATER
    assert not node.pool.expect(sha256(longer)), "it was not kept"
    node.block(node.agency.tx(*items[:2]))
    with pytest.raises(Refused) as refused:
        node.ours(longer)
    assert refused.value.known == (2, 3)
    fork = node.agency.tx(node.device.seal(advance=False))
    assert node.ours(node.agency.tx(items[2])) is Held.TAKEN
    assert node.ours(node.agency.tx(node.device.seal(advance=False))) is Held.TAKEN
    assert node.ours(fork) is Held.LATER, "the other is in no block yet"


def test_what_others_pass_on_too_early_is_kept_for_some_blocks(node: Node) -> None:
    first, second = node.seal(), node.seal()
    assert node.pool.take(second) is Held.DOUBTED
    node.block(first)
    assert node.pool.take_again(second) is Held.TAKEN
    node.seal()
    never = node.seal()
    assert node.pool.take(never) is Held.DOUBTED
    for _ in range(BLOCKS - 1):
        node.block()
        assert node.pool.take_again(never) is Held.DOUBTED
    node.block()
    with pytest.raises(Refused, match="gap"):
        node.pool.take_again(never)
    assert not node.pool.expect(sha256(never))
    stranger = Agency(node.world.keys)
    assert node.pool.take(stranger.tx(Device(stranger).registration())) is Held.DOUBTED


def test_for_one_more_block_there_is_something_that_no_block_holds(node: Node) -> None:
    asked = onward.make()
    assert asked != onward.make()
    assert node.pool.take(asked) is Held.DOUBTED
    judge = Judge(node.world.store.state, node.world.store.genesis, node.clock + 1)
    assert acceptable(judge, [asked], 1_000_000) == []
    with pytest.raises(Refused, match="malformed"):
        judge.take(asked)
    node.block()
    with pytest.raises(Refused):
        node.pool.take_again(asked)
    for other in (asked + b"x", asked[:-1]):
        with pytest.raises(Refused, match="malformed"):
            node.pool.take(other)


def test_what_no_block_can_make_good_is_refused_whoever_sends_it(node: Node) -> None:
    data = node.seal()
    for broken in (b"", data[:-1], data + b"\0", again.spell(again.spell(data))):
        with pytest.raises(Refused, match="malformed"):
            node.pool.take(broken)
    node.block(data)
    with pytest.raises(Refused, match="duplicate"):
        node.pool.take(data)
    device = Device(node.agency)
    node.block(node.agency.tx(device.registration()))
    item = device.seal(advance=False)
    swapped = item._replace(body=item.body[:-1] + bytes([item.body[-1] ^ 1]))
    with pytest.raises(Refused, match="body"):
        node.pool.take(node.agency.tx(swapped))


def test_another_spelling_waits_beside_the_first_and_goes_with_it(node: Node) -> None:
    data = node.seal()
    spelled = again.spell(data)
    assert spelled != again.spell(data)
    assert node.ours(data) is Held.TAKEN
    assert node.pool.take(spelled) is Held.DOUBTED
    node.block(data)
    with pytest.raises(Refused, match="duplicate"):
        node.pool.take_again(spelled)


def test_a_proposer_puts_what_came_in_disorder_in_order(node: Node) -> None:
    transactions = [node.seal() for _ in range(4)]
    store = node.world.store

    def judge() -> Judge:
        return Judge(store.state, store.genesis, node.clock)

    assert acceptable(judge(), transactions[::-1], 1 << 20) == transactions
    both = [transactions[0], again.spell(transactions[0])]
    assert acceptable(judge(), both, 1 << 20) == both[:1]
    size = len(transactions[0]) + 4
    assert acceptable(judge(), transactions, size) == transactions[:1]
