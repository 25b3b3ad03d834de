"""This project's ledger: embedded, served over HTTP by a manager, and ordered by four validators."""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import ledger, pipeline
from benchmarks.peers.measured import PCS, Measured, events, folder_size
from securepc.ledger import genesis
from securepc.ledger.keys import create_keys
from securepc.ledger.sequencer.solo import SoloSequencer
from securepc.ledger.store import create_store, open_store
from securepc.manager.core import Manager
from securepc.manager.search.model import EntryId
from securepc.verify import trust
from securepc.verify.check import check
from securepc.wire import keys as signatures

sys.path.append(str(Path(__file__).parents[2] / "tests" / "support"))
sys.path.append(str(Path(__file__).parents[2] / "tests" / "lab" / "comet"))
import go_tools
from running_manager import Running, make_home, wait_for

COMET = Path(__file__).parents[2] / "tests" / "lab" / "comet"
ASKED = 20
"""Entries whose evidence is asked for."""
FULL = 500


def embedded(folder: Path, entries: int) -> Measured:
    """The ledger as a library, given what PCs have sealed: rules, signatures, hashes, block, fsync."""
    path = folder / "chain.sqlite"
    keys = create_keys(folder / "keys.sqlite", environ={})
    create_store(path, genesis.create(keys.block_key().public, ledger.NOW))
    load = ledger.Load(PCS, entries // PCS // FULL, FULL, 20)
    opening, plan = ledger._plan(keys, bytes(15) + b"\x01", load)
    sequencer = SoloSequencer(open_store(path), keys, interval=0)
    for transaction in opening:
        sequencer.submit(transaction).result()
    started = time.perf_counter()
    for future in [sequencer.submit(transaction) for transaction in plan]:
        future.result()
    seconds = time.perf_counter() - started
    sequencer.close()
    name = "securepc solo, embedded, batches of 500 sealed before"
    return Measured(name, seconds, folder_size(folder), None, None, remark="no server, no search")


def served(folder: Path, entries: int) -> Measured:
    """A manager behind HTTP, PCs with real uploaders in the same process; the search comes afterwards."""
    logging.disable(logging.WARNING)
    home, desks_in = folder / "home", folder / "pcs"
    make_home(home, "架空商事")
    loads = [pipeline._full(day) for day in events(entries)]
    held = threading.Event()
    with Running(home, lambda manager: _hold(manager, held)) as running:
        running.manager.sequencer._interval = 0.0  # type: ignore[attr-defined]
        token = running.token(uses=PCS)
        desks = [pipeline.Desk(desks_in / f"{number}", token, number) for number in range(PCS)]
        before = _size(home)
        started = time.perf_counter()
        for desk, load in zip(desks, loads, strict=True):
            desk.record(load)
        sealing = time.perf_counter() - started
        seconds = _at_once([desk.send for desk in desks])
        size = _size(home) - before
        held.set()
        log, search = running.log, running.manager.search
        wait_for(lambda: search.position(log) == running.manager.log.size(log), 600)
        search.flush()
        searched = time.perf_counter() - started - sealing
        proof, verify = _proofs(running.manager, log, home, desks)
    pipeline._close_days(home / "search")
    searched_size = _size(home) - before
    name = "securepc solo, served over HTTP, batches of 500"
    remark = f"journal and seals of all {PCS} PCs before that: {sealing:.2f} s"
    return Measured(name, seconds, size, proof, verify, searched, searched_size, remark)


def validators(folder: Path, entries: int) -> Measured:
    """Four validators on this machine, eight processes, through the sequencer of one."""
    from ledger_world import Agency, Device
    from validators import Testnet

    tools = go_tools.build(COMET, "github.com/cometbft/cometbft/cmd/cometbft")
    with Testnet(folder / "net", tools / "cometbft") as net:
        sequencer = net.sequencer()
        agency: Agency = net.agency(sequencer)
        load = ledger.Load(PCS, entries // PCS // FULL, FULL, 20)
        queues = []
        for number in range(PCS):
            device = Device(agency)
            registration = device.registration()
            sequencer.submit(agency.tx(registration)).result(60)
            queues.append(
                ledger._batches(
                    number,
                    agency.log,
                    device.handle,
                    device.key,
                    ledger.headers.message_hash(registration),
                    agency.keys.intake.public,
                    load,
                )
            )
        before = [folder_size(node.home) for node in net.nodes]
        started = time.perf_counter()
        turns = [transaction for turn in zip(*queues, strict=True) for transaction in turn]
        for future in [sequencer.submit(transaction) for transaction in turns]:
            future.result(600)
        seconds = time.perf_counter() - started
        sequencer.close()
        grown = max(folder_size(node.home) - was for node, was in zip(net.nodes, before, strict=True))
    name = "securepc, four validators, batches of 500 sealed before"
    return Measured(
        name, seconds, grown, None, None, remark="bytes of one validator, CometBFT's own included"
    )


def _size(home: Path) -> int:
    return sum(pipeline._size(home).values())


def _hold(manager: Manager, held: threading.Event) -> None:
    """Keep the opener, and with it the search, from looking before it is its turn."""
    run = manager.opener._run

    def later() -> None:
        held.wait()
        run()

    manager.opener._thread = threading.Thread(target=later, daemon=True)


def _at_once(calls: list[Callable[[], None]]) -> float:
    started = time.perf_counter()
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def _proofs(manager: Manager, log: bytes, home: Path, desks: list[pipeline.Desk]) -> tuple[float, float]:
    """Seconds to make, and to judge, the evidence of one entry: a whole pack, from its block to its entry."""
    trusted = trust.load(home / "trust")
    proof = verify = 0.0
    for number in range(ASKED):
        device = desks[number % PCS].uploader._config.device
        stream = io.BytesIO()
        started = time.perf_counter()
        manager.evidence.of_entries(log, [EntryId(device, 1 + number * 7)], stream)
        proof += time.perf_counter() - started
        started = time.perf_counter()
        assert check(stream, trusted, signatures.verify).total == 1
        verify += time.perf_counter() - started
    return proof / ASKED, verify / ASKED
