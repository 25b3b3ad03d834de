"""Real validators on this machine: CometBFT and our application, each node two processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ledger_world import Agency, Device, MemoryKeys
from running_manager import wait_for

from securepc.ledger import charter, fsck
from securepc.ledger.chain import Committed
from securepc.ledger.log import LogReader
from securepc.ledger.sequencer.cometbft import AGAIN, CometSequencer
from securepc.ledger.store import StoreError
from securepc.wire.keys import SigningKey
from securepc.wire.signed.block import Item


class Node:
    """One validator. `kill` takes both of its processes at once, as a power cut would."""

    def __init__(self, home: Path, rpc: str, program: Path) -> None:
        self.home, self.rpc, self._program = home, rpc, program
        self.script: tuple[str, ...] = ("-m", "securepc")
        """What runs in the place of our program, for nodes that are to be late or to cheat."""
        self.options: tuple[str, ...] = ()
        """Further options of `node run`."""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, *self.script, "node", "run", "--home", str(self.home)]
        log = (self.home / "log").open("ab")
        self.process = subprocess.Popen(
            [*command, *self.options, "--cometbft", str(self._program)],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)

    @property
    def store(self) -> Path:
        return self.home / "node" / "chain.sqlite"

    def reader(self) -> LogReader:
        wait_for(self.store.exists, 60)
        return LogReader(self.store)

    def ask(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.rpc}/{path}", timeout=5) as answer:
            return dict(json.load(answer)["result"])

    def height(self) -> int:
        """CometBFT's; 0 while it does not answer."""
        try:
            return int(self.ask("status")["sync_info"]["latest_block_height"])
        except OSError:
            return 0

    @property
    def said(self) -> str:
        return (self.home / "log").read_text("utf-8", "replace")


class Testnet:
    """Some validators; use as a context manager."""

    __test__ = False

    def __init__(
        self,
        folder: Path,
        program: Path,
        count: int = 4,
        scripts: Mapping[int, tuple[str, ...]] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        command = [sys.executable, "-m", "securepc", "node", "testnet", str(folder), "--json"]
        more = ["--validators", str(count), "--port", str(free_ports(2 * count)), "--cometbft", str(program)]
        made = json.loads(subprocess.check_output([*command, *more]))
        self.folder = folder
        self.keys = MemoryKeys()
        self.nodes = [
            Node(Path(home), rpc, program) for home, rpc in zip(made["homes"], made["rpc"], strict=True)
        ]
        for node in self.nodes:
            node.options = options
        for number, script in (scripts or {}).items():
            self.nodes[number].script = (str(Path(__file__).with_name(script[0])), *script[1:])
        self.authority = SigningKey(bytes.fromhex((folder / "authority.key").read_text().strip()))

    def __enter__(self) -> Testnet:
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            wait_for(lambda node=node: node.height() >= 1, 90)
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.kill()

    def sequencer(self, number: int = 0, again: float = AGAIN) -> CometSequencer:
        node = self.nodes[number]
        return CometSequencer(node.rpc, node.reader(), again=again)

    def charter(self, agency: Agency) -> Item:
        leaf = agency.genesis()
        key = self.keys.log_key(agency.log).public
        return Item(leaf, charter.write(leaf, key, self.authority.sign))

    def agency(self, sequencer: CometSequencer) -> Agency:
        """A new agency whose log is on the chain."""
        agency = Agency(self.keys)
        sequencer.submit(agency.tx(self.charter(agency))).result(60)
        return agency

    def roots(self) -> dict[int, set[bytes]]:
        """The state roots that each store has for a height."""
        found: dict[int, set[bytes]] = {}
        for node in self.nodes:
            for height, root in state_roots(node.store):
                found.setdefault(height, set()).add(root)
        return found


class Load:
    """Sends batches of one device without a pause, and remembers what was acknowledged."""

    def __init__(self, net: Testnet, number: int = 0) -> None:
        self.net = net
        self.sequencer = net.sequencer(number)
        self.agency = net.agency(self.sequencer)
        self.device = Device(self.agency)
        self.sequencer.submit(self.agency.tx(self.device.registration())).result(60)
        self.acknowledged: list[tuple[int, bytes]] = []
        self.waiting: Future[Committed] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            items = [self.device.seal() for _ in range(5)]
            data = self.agency.tx(*items)
            while not self._stop.is_set():
                try:
                    done = self.sequencer.submit(data).result(90)
                except StoreError:
                    continue  # sending the same bytes again is always safe
                self.acknowledged += zip(done.indexes, (item.leaf for item in items), strict=True)
                break

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(100)
        self.sequencer.close()

    def check(self) -> None:
        """What was acknowledged stands at its place, in every store; and all stores agree at every height."""
        assert self.acknowledged
        last = max(index for index, _ in self.acknowledged)
        for node in self.net.nodes:
            reader = node.reader()
            eventually(lambda reader=reader: reader.size(self.agency.log) > last)
            for index, leaf in self.acknowledged:
                assert reader.leaf(self.agency.log, index) == leaf
            assert fsck.check(node.store).findings == []
        assert all(len(found) == 1 for found in self.net.roots().values())


def state_roots(path: Path) -> list[tuple[int, bytes]]:
    import sqlite3

    from securepc.wire.signed import block as blocks
    from securepc.wire.signed import leaf as leaves

    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT height, leaf FROM blocks ORDER BY height").fetchall()
    db.close()
    return [(height, blocks.parse(leaves.split(leaf).body).state) for height, leaf in rows]


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    for first in range(26_600, 32_000, count):
        listeners = []
        try:
            listeners += [socket.create_server(("127.0.0.1", first + n)) for n in range(count)]
            return first
        except OSError:
            continue
        finally:
            for one in listeners:
                one.close()
    raise AssertionError("no free ports")


def results(futures: list[Future[Committed]], seconds: float = 60) -> list[Committed]:
    until = time.monotonic() + seconds
    return [one.result(max(0.1, until - time.monotonic())) for one in futures]


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    wait_for(condition, seconds)
