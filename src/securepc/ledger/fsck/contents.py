"""What a replay must find beside blocks and leaves: checkpoints, tiles, indexes, bodies, records, keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping

from securepc.ledger.checkpoint import Checkpoint
from securepc.ledger.fsck.report import Report
from securepc.ledger.genesis import Genesis
from securepc.ledger.keys import KeyStore
from securepc.ledger.state import LogState, RedactionRecord, State, retention
from securepc.ledger.state.moves import is_adoption
from securepc.ledger.store import handovers, is_batch, queries, retired
from securepc.ledger.store.queries import LogRow
from securepc.ledger.store.tiles import WIDTH
from securepc.wire import keys as signatures
from securepc.wire.signed import batch as headers


class Contents:
    """Compares as the replay goes, and counts, so that rows too many are found at the end."""

    def __init__(
        self,
        db: sqlite3.Connection,
        report: Report,
        logs: dict[int, LogRow],
        log_keys: Mapping[bytes, Collection[bytes]] | None,
        keys: KeyStore | None,
    ) -> None:
        self._db = db
        self._report = report
        self.genesis: Genesis | None = None
        self._rows = {row.log: row for row in logs.values()}
        self._log_keys = log_keys
        self._keys = keys
        self._devices: dict[tuple[int, bytes], int] = {}
        self._tiles: dict[tuple[int, int, int], bytearray] = {}
        self._dropped: list[list[int]] = []  # [start, stop) of places without their body
        self._keyless: list[tuple[bytes, int, bytes]] = []
        self._own: dict[bytes, bool] = {}
        self._batches = 0
        self._proofs = 0
        self._brought_blocks = self._brought_leaves = 0

    def _signed(self, height: int, key: bytes, text: str, signature: bytes) -> bool:
        """Where validators vote, a checkpoint is signed when somebody asks for it, and zeros are stored."""
        assert self.genesis is not None
        if self.genesis.is_signed(height):
            return signatures.verify(key, text.encode(), signature)
        return not any(signature)

    def leaf(self, place: int, leaf: bytes, body: bytes | None) -> None:
        """A leaf with its body, before the rules judge them: that a body may be missing is judged last."""
        self._report.leaves += 1
        if not is_batch(leaf):
            if is_adoption(leaf):
                self._proofs += 1
            elif body is not None:
                self._report.wrong(f"place {place}", "stray-body")
        elif body is None:
            self._report.dropped += 1
            if self._dropped and self._dropped[-1][1] == place:
                self._dropped[-1][1] += 1
            else:
                self._dropped.append([place, place + 1])
        else:
            self._report.bodies += 1

    def brought(self, leaves: int) -> None:
        """A block of another chain, with so many leaves of a log that came from there."""
        self._brought_blocks += 1
        self._brought_leaves += leaves

    def log(self, log: LogState, height: int, shift: int) -> None:
        """A log after a block that touched it."""
        row = self._rows[log.log]
        where = f"log {log.log.hex()} size {log.size}"
        sql = "SELECT height, shift, signature FROM checkpoints WHERE log = ? AND size = ?"
        found = self._db.execute(sql, (row.no, log.size)).fetchone()
        if found is None:
            self._report.wrong(where, "checkpoint-missing")
        else:
            self._report.checkpoints += 1
            self._report.expect(found[0], height, where, "checkpoint", "height")
            self._report.expect(found[1], shift, where, "checkpoint", "shift")
            text = Checkpoint(log.origin, log.size, log.frontier.root()).text
            if not isinstance(found[2], bytes) or not self._signed(
                height, retired.key_at(self._db, row, log.size), text, found[2]
            ):
                self._report.wrong(where, "signature")
        self._grow(log, row.no)
        for (device, epoch), (index, leaf) in log.recent.items():
            self._batch(row, device, epoch, index, leaf)

    def finish(self, state: State, head: bytes, places: int) -> None:
        """After the last block."""
        report = self._report
        values = dict(self._db.execute("SELECT name, value FROM meta"))
        report.expect(
            sorted(values.keys() - {retired.NAME, handovers.NAME}),
            ["genesis", "head"],
            "table meta",
            "values",
        )
        report.expect(values.get("head"), head, "table meta", "head")
        for log in state.logs():
            self._final(log)
        for (no, level, n), hashes in self._tiles.items():
            self._compare_tile(no, level, n, hashes)
        self._check_dropped(state)
        report.logs = len(state.logs())
        counts = {
            "blocks": report.blocks + self._brought_blocks,
            "leaves": places + self._brought_leaves,
            "bodies": report.bodies + self._proofs,
            "logs": report.logs,
            "tiles": report.tiles,
            "checkpoints": report.checkpoints,
            "devices": len(self._devices),
            "batches": self._batches,
            "records": sum(len(log.registry) for log in state.logs()),
            "meta": 2 + (retired.NAME in values) + (handovers.NAME in values),
        }
        for table, count in counts.items():
            found = self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our names
            report.expect(found, count, f"table {table}", "count", f"{found} rows ≠ {count}")

    def _final(self, log: LogState) -> None:
        row, where = self._rows[log.log], f"log {log.log.hex()}"
        self._report.expect(row.size, log.size, where, "log", "size")
        self._report.expect(row.root, log.frontier.root(), where, "log", "root")
        self._report.expect(row.registry, log.registry.root(), where, "log", "registry")
        found = {(kind, name): data for kind, name, data in queries.records(self._db, row.no)}
        for kind, name, data in log.registry.encoded():
            self._report.expect(found.get((kind, name)), data, where, "record", f"{kind} {name}".rstrip())
        if self._log_keys is not None and self._is_own(log.log):
            given = self._log_keys.get(log.log, ())
            for key in (row.key, *(key for key, _ in retired.keys_of(self._db, row))):
                self._report.expect(key in given, True, where, "log-key")

    def _grow(self, log: LogState, no: int) -> None:
        for level, index, head in log.grown:
            key = (no, level, index // WIDTH)
            tile = self._tiles.setdefault(key, bytearray())
            tile += head
            if index % WIDTH == WIDTH - 1:
                self._compare_tile(*key, tile)
                del self._tiles[key]

    def _compare_tile(self, no: int, level: int, n: int, hashes: bytearray) -> None:
        found = queries.tile(self._db, no, level, n)
        where = f"log number {no} tile {level}/{n}"
        self._report.expect(found, bytes(hashes), where, "tile")
        self._report.tiles += 1

    def _batch(self, row: LogRow, device: bytes, epoch: int, index: int, leaf: bytes) -> None:
        where = f"log {row.log.hex()} leaf {index}"
        number = self._devices.get((row.no, device))
        if number is None:
            number = queries.device(self._db, row.no, device)
            if number is None:
                self._report.wrong(where, "index")
                return
            self._devices[row.no, device] = number
        sql = "SELECT leaf FROM batches WHERE device = ? AND epoch = ?"
        found = self._db.execute(sql, (number, epoch)).fetchone()
        self._report.expect(found, (index,), where, "index")
        self._batches += 1
        if self._keys is not None and self._is_own(row.log):
            self._check_key(self._keys, row.log, index, leaf)

    def _is_own(self, log: bytes) -> bool:
        """Among validators there are logs of other managers, too: nobody here has their keys."""
        assert self.genesis is not None
        if log not in self._own:
            known = self._log_keys is not None and log in self._log_keys
            held = self._keys is not None and self._keys.has_log(log)
            self._own[log] = not self.genesis.voted or known or held
        return self._own[log]

    def _check_key(self, keys: KeyStore, log: bytes, index: int, leaf: bytes) -> None:
        try:
            key = keys.batch_key(log, headers.message_hash(leaf))
            if headers.key_hash(key) == headers.of_leaf(leaf).key_hash:
                self._report.keys += 1
                return
        except KeyError:
            self._keyless.append((log, index, headers.of_leaf(leaf).device))
            return
        except ValueError:
            pass
        self._report.unreadable_keys += 1  # as its device sent it: a verdict says so

    def _check_dropped(self, state: State) -> None:
        """A body or key may only be missing where the month has expired and no hold keeps it, or where
        an entry was redacted."""
        free: list[tuple[int, int]] = []
        for log in state.logs():
            parts = retention.droppable(log)
            spent = retention.Spent(log)
            redacted = {record.batch for record in log.registry.all(RedactionRecord)}
            for handle, index, device in self._keyless:
                if handle == log.log and index not in redacted and spent.month(index, device) is None:
                    self._report.wrong(f"log {handle.hex()} leaf {index}", "key-missing")
            for part in parts:
                runs = queries.runs(self._db, self._rows[log.log].no, part.start, part.stop)
                free += [(run.start + run.shift, run.stop + run.shift) for run in runs]
        for place in _outside(sorted(self._dropped), sorted(free)):
            self._report.wrong(f"place {place}", "body-missing")


def _outside(parts: list[list[int]], allowed: list[tuple[int, int]]) -> Iterator[int]:
    """The first number of each part that no allowed range covers; all ascending."""
    at = 0
    for start, stop in parts:
        while start < stop:
            while at < len(allowed) and allowed[at][1] <= start:
                at += 1
            if at == len(allowed) or start < allowed[at][0]:
                yield start
                break
            start = allowed[at][1]
