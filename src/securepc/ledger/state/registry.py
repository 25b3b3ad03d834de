"""A log's registry: records sorted by (type, id) under an RFC 6962 tree, cheap to copy and to change."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import TypeVar

from securepc.ledger import merkle
from securepc.ledger.state import records
from securepc.ledger.state.records import Record

Key = tuple[str, str]
R = TypeVar("R", bound=Record)


class Registry:
    """Records by (type, id). Hashes are kept: a root costs one tree, and only what changed is encoded."""

    __slots__ = ("_changed", "_hashes", "_keys", "_records", "_stale")

    def __init__(self, known: Iterable[Record] = ()) -> None:
        self._records: dict[Key, Record] = {(r.TYPE, r.id): r for r in known}
        self._keys = sorted(self._records)
        self._hashes: dict[Key, bytes] = {}
        self._changed: dict[Key, bytes] = {}
        self._stale = dict.fromkeys(self._keys)

    def copy(self) -> Registry:
        """An independent copy."""
        self._refresh()
        other = Registry()
        other._records = dict(self._records)
        other._keys = list(self._keys)
        other._hashes = dict(self._hashes)
        other._changed = dict(self._changed)
        return other

    def get(self, kind: type[R], identity: str = "") -> R | None:
        """The record of this kind and id, None where there is none."""
        record = self._records.get((kind.TYPE, identity))
        return record if isinstance(record, kind) else None

    def all(self, kind: type[R]) -> list[R]:
        """All records of a kind, sorted by id."""
        start = bisect_left(self._keys, (kind.TYPE, ""))
        found: list[R] = []
        for key in self._keys[start:]:
            record = self._records[key]
            if not isinstance(record, kind):
                break
            found.append(record)
        return found

    def put(self, record: Record) -> None:
        """Add or replace a record."""
        key = (record.TYPE, record.id)
        if key not in self._records:
            insort(self._keys, key)
        self._records[key] = record
        self._stale[key] = None

    def __len__(self) -> int:
        return len(self._keys)

    def encoded(self) -> list[tuple[str, str, bytes]]:
        """(type, id, canonical JSON) of all records, in the order of the tree."""
        return [(*key, records.encode(self._records[key])) for key in self._keys]

    def root(self) -> bytes:
        """RFC 6962 head over all records."""
        self._refresh()
        return merkle.root([self._hashes[key] for key in self._keys])

    def changed(self) -> dict[Key, bytes]:
        """The encoded records that were put since `settle`."""
        self._refresh()
        return self._changed

    def settle(self) -> None:
        """Forget what changed: it has been stored."""
        self._refresh()
        self._changed = {}

    def _refresh(self) -> None:
        for key in self._stale:
            data = records.encode(self._records[key])
            self._hashes[key] = merkle.leaf_hash(data)
            self._changed[key] = data
        self._stale = {}
