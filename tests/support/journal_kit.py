"""A journal's device, and a manager's eye on what it sealed: for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from securepc.agent import files, queue
from securepc.agent.journal import ChainKey, Identity
from securepc.agent.journal.store import JournalStore
from securepc.agent.queue import Queue
from securepc.ledger import merkle
from securepc.wire import batch as batches
from securepc.wire import chain, keys
from securepc.wire.event import Event, from_entry, to_entry
from securepc.wire.signed import batch as headers
from securepc.wire.signed import leaf as leaves

K0 = bytes(range(32))
REGISTRATION = b"r" * 32
DEVICE_KEY = keys.SigningKey(b"d" * 32)
INTAKE = keys.BoxKey(b"i" * 32)
IDENTITY = Identity(b"L" * 16, b"D" * 16, DEVICE_KEY, INTAKE.public)


class FakeClock:
    """A PC's clocks, moved by hand."""

    def __init__(self, at: int = 1_795_000_000_000_000) -> None:
        self.boot = b"\x01" * 16
        self.now = at
        self.uptime = 1_000_000_000

    def at(self) -> int:
        return self.now

    def up(self) -> int:
        return self.uptime

    def pass_time(self, seconds: float) -> None:
        self.now += int(seconds * 1e6)
        self.uptime += int(seconds * 1e6)

    def reboot(self) -> None:
        self.boot = bytes([self.boot[0] + 1]) * 16
        self.uptime = 5_000_000


def new_device(home: Path) -> None:
    files.make_folder(home)
    ChainKey.create(home, K0, REGISTRATION)


def open_store(home: Path, clock: FakeClock) -> JournalStore:
    return JournalStore(home, Queue(home / "queue"), ChainKey(home), IDENTITY, clock)


def note_maker(clock: FakeClock) -> Any:
    def make(kind: str, data: dict[str, Any]) -> bytes:
        return to_entry(Event(kind, clock.at(), clock.up(), clock.boot.hex(), data=data))

    return make


class Opened:
    """Everything a manager learns from a queue: entries in order, and which seals are right."""

    def __init__(self, home: Path) -> None:
        self.headers: list[headers.BatchHeader] = []
        self.entries: list[bytes] = []
        self.bad_seals: list[int] = []
        # Read only: the journal may be writing, and a `Queue` of our own would clear its temporary files.
        waiting = {int(path.stem): path for path in (home / "queue").glob("*.batch")}
        verifier, previous, first = chain.Verifier(K0), REGISTRATION, 1
        for epoch, path in sorted(waiting.items()):
            batch = queue.unpack(path.read_bytes())
            message = leaves.split(batch.leaf)
            assert keys.verify(DEVICE_KEY.public, message.message, message.signature)
            header = headers.of_leaf(batch.leaf)
            assert (header.epoch, header.first) == (len(self.headers) + 1, first), "a gap"
            assert header.previous == previous, "a fork"
            secret = INTAKE.unseal(batch.sealed_key)
            entries = batches.open_payload(header, batch.ciphertext, secret, root_of=merkle.root)
            key, before = verifier.take(header.epoch, header.seal)
            fresh = chain.Epoch(key, header.epoch, header.first, before)
            if not chain.judge(fresh, entries, header.seal).seal:
                self.bad_seals.append(epoch)
            self.headers.append(header)
            self.entries += entries
            previous, first = headers.message_hash(batch.leaf), header.last + 1

    def kinds(self) -> list[str]:
        return [event.kind if (event := from_entry(entry)) else "" for entry in self.entries]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [e.data for entry in self.entries if (e := from_entry(entry)) and e.kind == kind]
