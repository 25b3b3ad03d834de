"""A manager that lives through years in minutes, in a process that is killed whenever somebody likes.

    python calendar_office.py HOME

reads a line of JSON a command, and answers each with one. Time is what the last command said, and goes on
from there; everything else is the manager as it is. PCs are keys and counters that the home remembers.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from securepc.ledger import merkle
from securepc.ledger.keys import batches as batch_keys
from securepc.manager import clock, setup
from securepc.manager.app import assemble
from securepc.manager.core import Manager
from securepc.manager.ingest.messages import Upload
from securepc.manager.ingest.model import MacChain
from securepc.manager.search import store as search_store
from securepc.manager.search.model import EntryId, Query
from securepc.wire import batch, chain, event
from securepc.wire.keys import SigningKey
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block, documents, leaf
from securepc.wire.signed.documents import b64encode

_real, _real_seconds = time.time_ns, time.time
_shift = 0


def set_time(moment: int) -> None:
    """Let it be this time (microseconds since 1970 UTC)."""
    global _shift
    _shift = moment * 1_000 - _real()


time.time_ns = lambda: _real() + _shift
time.time = lambda: _real_seconds() + _shift / 1e9


class Pc:
    """A registered PC that seals one batch at a time; its state is in a file, as an agent's is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state: dict[str, Any] = json.loads(path.read_text())

    @classmethod
    def enrol(cls, manager: Manager, log: bytes, path: Path) -> Pc:
        key, handle, first = SigningKey.generate(), secrets.token_bytes(16), secrets.token_bytes(32)
        proof = key.sign(documents.proof_message("register", log, handle, key.public))
        asked = {
            "log": log.hex(),
            "at": clock.now(),
            "device": handle.hex(),
            "key": b64encode(key.public),
            "proof": b64encode(proof),
        }
        made = leaf.frame(
            "register", documents.encode("register", asked), manager.keys.log(log).registrar.sign
        )
        wrapped = manager.keys.wrap(first, handle)
        with manager.database.write() as session:
            session.add(MacChain(device=handle, epoch=0, key=wrapped, seal=chain.NO_SEAL))
        manager.submit(log, made).result(60)
        state = {
            "log": log.hex(),
            "device": handle.hex(),
            "seed": key.seed.hex(),
            "mac": first.hex(),
            "seal": chain.NO_SEAL.hex(),
            "head": headers.message_hash(made).hex(),
            "epoch": 0,
            "sequence": 0,
        }
        path.write_text(json.dumps(state))
        return cls(path)

    def seal(self, manager: Manager, texts: list[str]) -> Upload:
        state = self.state
        log, device = bytes.fromhex(state["log"]), bytes.fromhex(state["device"])
        mac = chain.next_key(bytes.fromhex(state["mac"]))
        epoch = chain.Epoch(mac, state["epoch"] + 1, state["sequence"] + 1, bytes.fromhex(state["seal"]))
        now = clock.now()
        entries = [
            event.to_entry(
                event.Event("file.create", now + i, 1_000 + i, "ab" * 16, "suzuki", data={"path": text})
            )
            for i, text in enumerate(texts)
        ]
        for entry in entries:
            epoch.extend(entry)
        opening = batch.Opening(
            log, device, bytes(16), epoch.number, epoch.first, now, 1_000, bytes.fromhex(state["head"])
        )
        sealed = batch.seal(
            opening,
            entries,
            sealed_at=now,
            sealed_up=2_000,
            mac_seal=epoch.seal(),
            key=SigningKey(bytes.fromhex(state["seed"])),
            intake=manager.keys.log(log).intake.public,
            root_of=merkle.root,
        )
        state |= {
            "mac": mac.hex(),
            "seal": epoch.seal().hex(),
            "epoch": epoch.number,
            "sequence": state["sequence"] + len(entries),
            "head": headers.message_hash(sealed.leaf).hex(),
        }
        item = block.Item(sealed.leaf, sealed.ciphertext)
        transaction = block.encode_transaction(block.Transaction(log, [item]))
        return Upload(transaction, [sealed.leaf], [headers.of_leaf(sealed.leaf)], [sealed.sealed_key])

    def keep(self) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.state))
        new.replace(self.path)


class Killed:
    """Dies by SIGKILL just before or after the nth call of one of the steps that destroy."""

    STEPS: tuple[tuple[Any, str], ...] = (
        (batch_keys.BatchKeys, "rewrap"),
        (batch_keys.BatchKeys, "destroy_month"),
        (batch_keys.BatchKeys, "replace"),
        (batch_keys.BatchKeys, "drop_boxes"),
        (search_store.Store, "rewrite"),
        (search_store.Store, "replace"),
    )

    def arm(self, step: int, after: bool) -> None:
        owner, name = self.STEPS[step % len(self.STEPS)]
        original = getattr(owner, name)

        def die(*args: Any, **values: Any) -> Any:
            if not after:
                os.kill(os.getpid(), signal.SIGKILL)
            found = original(*args, **values)
            os.kill(os.getpid(), signal.SIGKILL)
            return found

        setattr(owner, name, die)


class World:
    def __init__(self, home: Path) -> None:
        Manager.block_interval = 0.01
        self.home = home
        self.manager: Manager = None  # type: ignore[assignment]

    def start(self, at: int) -> dict[str, Any]:
        set_time(at)
        self.manager = assemble(self.home)
        self.manager.start()
        return {"agencies": [log.hex() for log in self.manager.devices.agencies()]}

    def make(self, at: int, agencies: list[str], pcs: int) -> dict[str, Any]:
        set_time(at)
        setup.make_home(self.home)
        manager = assemble(self.home)
        (self.home / "pcs").mkdir()
        made: dict[str, list[str]] = {}
        for name in agencies:
            log = setup.add_agency(manager, name)
            made[log.hex()] = [
                Pc.enrol(manager, log, self.home / "pcs" / f"{log.hex()}-{i}").state["device"]
                for i in range(pcs)
            ]
        setup.publish_trust(manager)
        manager.close()
        return {"made": made}

    def work(self, at: int, text: str) -> dict[str, Any]:
        """Every PC seals two entries; waits until they are judged and can be found."""
        set_time(at)
        pcs = [Pc(path) for path in sorted((self.home / "pcs").iterdir()) if not path.suffix]
        uploads = [pc.seal(self.manager, [f"{text}-a", f"{text}-b"]) for pc in pcs]
        futures = [self.manager.uploads.order(upload) for upload in uploads]
        placed = {}
        for pc, future in zip(pcs, futures, strict=True):
            placed[pc.state["device"]] = [pc.state["sequence"], future.result(60).first_index]
            pc.keep()
        self._settled()
        return {"placed": placed}

    def round(self, at: int, kill: int | None = None, after: bool = False) -> dict[str, Any]:
        set_time(at)
        if kill is not None:
            Killed().arm(kill, after)
        # A step may find that something new is due; two rounds are what two minutes bring.
        for _ in range(2):
            self.manager.retention.round()
            self._settled()
        return {}

    def leap(self, at: int, log: str) -> dict[str, Any]:
        """It is years later, and an owner confirms it."""
        set_time(at)
        self.manager.retention.confirm_clock(bytes.fromhex(log), actor="yamada")
        return {}

    def contract(self, log: str, start: str, end: str) -> dict[str, Any]:
        self.manager.retention.set_contract(bytes.fromhex(log), start, end, actor="yamada")
        self.manager.retention.round()
        return {}

    def hold(self, log: str, device: str | None, start: int, stop: int) -> dict[str, Any]:
        requests = self.manager.retention.requests
        handle = bytes.fromhex(device) if device else None
        number = requests.ask_hold(bytes.fromhex(log), handle, start, stop, "架空の調査", actor="yamada")
        requests.approve(bytes.fromhex(log), number, actor="sato")
        self.manager.retention.round()
        row = next(row for row in requests.all(bytes.fromhex(log)) if row.id == number)
        assert row.hold is not None
        return {"hold": row.hold.hex()}

    def release(self, log: str, hold: str, kill: int | None = None, after: bool = False) -> dict[str, Any]:
        requests = self.manager.retention.requests
        number = requests.ask_release(bytes.fromhex(log), bytes.fromhex(hold), "調査の終了", actor="yamada")
        requests.approve(bytes.fromhex(log), number, actor="sato")
        if kill is not None:
            Killed().arm(kill, after)
        self.manager.retention.round()
        return {}

    def redact(
        self, log: str, device: str, sequence: int, kill: int | None = None, after: bool = False
    ) -> dict[str, Any]:
        requests = self.manager.retention.requests
        agency = bytes.fromhex(log)
        number = requests.ask_redaction(agency, bytes.fromhex(device), sequence, "架空の私物", actor="yamada")
        requests.approve(agency, number, actor="sato")
        if kill is not None:
            Killed().arm(kill, after)
        self.manager.retention.round()
        return {}

    def evidence(self, log: str, device: str, first: int, last: int) -> dict[str, Any]:
        import io

        from securepc.manager.errors import ApiError
        from securepc.wire.signed.evidence import Range

        stream = io.BytesIO()
        try:
            claim = Range(bytes.fromhex(device), first, last)
            self.manager.evidence.of_range(bytes.fromhex(log), claim, stream)
        except ApiError as error:
            return {"refused": error.code}
        return {"pack": base64.b64encode(stream.getvalue()).decode()}

    def look(self, log: str) -> dict[str, Any]:
        """What is there, by every door."""
        agency, manager = bytes.fromhex(log), self.manager
        manager.search.flush()
        size = manager.log.size(agency)
        bodies = {s.index for s in manager.log.leaves(agency, 0, size) if s.body}
        readable = []
        for index, data in manager.log.batch_leaves(agency, 0, size):
            try:
                manager.keys.batch_key(agency, headers.message_hash(data))
                readable.append(index)
            except KeyError:
                pass
        hits = manager.search.search(agency, Query())
        found = [[hit.device, hit.sequence, hit.leaf, hit.kind, hit.entry.decode()] for hit in hits]
        folder = self.home / "search" / "daily" / log
        months = manager.retention.months(agency)
        return {
            "bodies": sorted(bodies),
            "readable": readable,
            "found": found,
            "parquet": sorted({path.parent.name for path in folder.rglob("*.parquet")}),
            "keys": manager.keys.months(agency),
            "months": [[m.month, m.state, m.held] for m in months],
        }

    def entry(self, log: str, device: str, sequence: int) -> dict[str, Any]:
        hit = self.manager.search.entry(bytes.fromhex(log), EntryId(bytes.fromhex(device), sequence))
        return {"entry": hit.entry.decode() if hit else None}

    def stop(self) -> dict[str, Any]:
        self.manager.close()
        return {}

    def _settled(self) -> None:
        manager = self.manager
        until = time.monotonic() + 60
        for log in manager.devices.agencies():
            while manager.search.position(log) < manager.log.size(log):
                assert time.monotonic() < until, "the search does not catch up"
                time.sleep(0.005)


def main() -> None:
    world = World(Path(sys.argv[1]))
    for line in sys.stdin:
        asked = json.loads(line)
        call: Callable[..., dict[str, Any]] = getattr(world, asked.pop("do"))
        answer = call(**asked)
        print(json.dumps(answer, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
