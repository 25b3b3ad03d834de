"""Four validators that vote for real."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ledger_world import Device
from validators import Load, Testnet, eventually, results

from securepc.ledger.state import Refused

pytestmark = pytest.mark.timeout(900)


def test_what_one_node_takes_all_have(shared: Testnet) -> None:
    net = shared
    sequencer = net.sequencer()
    try:
        agency = net.agency(sequencer)
        device = Device(agency)
        sequencer.submit(agency.tx(device.registration())).result(60)
        begin = time.monotonic()
        for _ in range(3):
            done = sequencer.submit(agency.tx(*(device.seal() for _ in range(20)))).result(60)
            assert done.count == 20
        print(f"3 transactions one after the other: {time.monotonic() - begin:.1f} s")
        with pytest.raises(Refused) as refused:
            sequencer.submit(agency.tx(Device(agency).seal())).result(60)
        assert refused.value.code == "unknown-device"
        again = sequencer.submit(agency.tx(device.registration()))
        with pytest.raises(Refused) as known:
            again.result(60)
        assert known.value.code in ("known-device", "duplicate")
    finally:
        sequencer.close()
    size = net.nodes[0].reader().size(agency.log)
    assert size == 62
    for node in net.nodes:
        eventually(lambda node=node: node.reader().size(agency.log) == size)
    assert all(len(found) == 1 for found in net.roots().values())


def test_neighbours_that_are_a_block_behind_do_not_lose_what_they_hear_of_early(
    program: Path, tmp_path: Path
) -> None:
    """They hear of a batch before they have carried out the block that it builds on, and only once."""
    late = ("late_node.py", "1.5")
    with Testnet(tmp_path / "net", program, scripts={1: late, 2: late, 3: late}) as net:
        sequencer = net.sequencer()
        try:
            agency = net.agency(sequencer)
            device = Device(agency)
            sequencer.submit(agency.tx(device.registration())).result(30)
            for _ in range(7):
                sequencer.submit(agency.tx(device.seal())).result(60)
        finally:
            sequencer.close()


def test_what_the_neighbours_missed_reaches_them_in_another_spelling(program: Path, tmp_path: Path) -> None:
    deaf = ("deaf_node.py",)
    with Testnet(tmp_path / "net", program, scripts={1: deaf, 2: deaf, 3: deaf}) as net:
        sequencer = net.sequencer(again=1.0)
        try:
            agency = net.agency(sequencer)
            device = Device(agency)
            sequencer.submit(agency.tx(device.registration())).result(60)
            for _ in range(3):
                sequencer.submit(agency.tx(device.seal())).result(60)
        finally:
            sequencer.close()


def test_batches_that_follow_each_other_may_all_be_on_their_way(shared: Testnet) -> None:
    net = shared
    sequencer = net.sequencer()
    try:
        agency = net.agency(sequencer)
        device = Device(agency)
        transactions = [agency.tx(device.registration())]
        transactions += [agency.tx(device.seal(), device.seal()) for _ in range(20)]
        placed = results([sequencer.submit(data) for data in transactions])
        assert [index for one in placed for index in one.indexes] == list(range(1, 42))
        # The same again, at once: in part in the ledger, in part on its way.
        more = [device.seal() for _ in range(4)]
        longer = [sequencer.submit(agency.tx(*more[:count])) for count in (2, 3, 4)]
        assert [one.indexes for one in results(longer)] == [(42, 43), (42, 43, 44), (42, 43, 44, 45)]
        missing = device.seal()
        begin = time.monotonic()
        with pytest.raises(Refused, match="gap") as refused:
            sequencer.submit(agency.tx(device.seal())).result(30)
        assert refused.value.expected is not None
        assert refused.value.expected.epoch == 45
        print(f"a gap is refused after {time.monotonic() - begin:.2f} s")
        assert sequencer.submit(agency.tx(missing)).result(60).indexes == (46,)
    finally:
        sequencer.close()


def test_one_dies_and_the_others_go_on_two_die_and_all_wait(net: Testnet) -> None:
    load = Load(net)
    try:
        eventually(lambda: len(load.acknowledged) >= 10)
        net.nodes[3].kill()
        before = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) >= before + 15, 90)
        net.nodes[2].kill()
        time.sleep(4)  # what was on its way may still arrive
        before = len(load.acknowledged)
        time.sleep(5)
        assert len(load.acknowledged) == before, "two of four are no two thirds"
        net.nodes[2].start()
        net.nodes[3].start()
        eventually(lambda: len(load.acknowledged) >= before + 10, 120)
    finally:
        load.stop()
    load.check()


def killed_again_and_again(net: Testnet, times: int) -> None:
    load, chance = Load(net), random.Random(times)
    try:
        for _ in range(times):
            before = len(load.acknowledged)
            eventually(lambda before=before: len(load.acknowledged) > before, 120)
            time.sleep(chance.random() * 2)
            for node in net.nodes:
                node.kill()
            for node in net.nodes:
                node.start()
        before = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) >= before + 10, 120)
    finally:
        load.stop()
    load.check()


def test_all_are_killed_at_random_moments_beside_a_chain_that_is_idle(
    net: Testnet, program: Path, tmp_path: Path
) -> None:
    """About a minute: the one loses nothing, the other makes no block."""
    with Testnet(tmp_path / "idle", program) as idle, no_blocks(idle):
        killed_again_and_again(net, 10)


@pytest.mark.soak
def test_all_are_killed_a_hundred_times(net: Testnet) -> None:
    killed_again_and_again(net, 100)


def test_a_store_that_somebody_edited_is_found_and_the_others_go_on(net: Testnet) -> None:
    load = Load(net)
    try:
        eventually(lambda: len(load.acknowledged) >= 10)
        victim = net.nodes[3]
        victim.stop()
        with sqlite3.connect(victim.store) as db:
            (leaf,) = db.execute("SELECT leaf FROM leaves WHERE place = 4").fetchone()
            db.execute("UPDATE leaves SET leaf = ? WHERE place = 4", (leaf[:-1] + bytes([leaf[-1] ^ 1]),))
        db.close()
        victim.start()
        assert victim.process is not None
        assert victim.process.wait(60) == 1
        assert "the store was altered" in victim.said
        before = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) >= before + 10)
    finally:
        load.stop()


@contextmanager
def no_blocks(net: Testnet) -> Iterator[None]:
    """A chain with a log in it makes none in the meantime, and afterwards takes the next transaction."""
    sequencer = net.sequencer()
    try:
        net.agency(sequencer)
    finally:
        sequencer.close()
    time.sleep(4)  # the block after the last one carries its state root
    heights = [node.height() for node in net.nodes]
    yield
    assert [node.height() for node in net.nodes] == heights
    sequencer = net.sequencer(1)
    try:
        net.agency(sequencer)
    finally:
        sequencer.close()
    assert all(len(found) == 1 for found in net.roots().values())


@pytest.mark.soak
def test_without_transactions_there_are_no_blocks_for_ten_minutes(net: Testnet) -> None:
    with no_blocks(net):
        time.sleep(600)
