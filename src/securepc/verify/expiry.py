"""What expired: the log says that a month did, its registry which leaves those were, and what is held.

The registry is a tree of records sorted by type and id, so that two records next to each other in it prove
that there is none between them. Of a month that expired the next month's record tells where it ends; the
records before the first hold and after the last one tell that no hold was left out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from securepc.verify.members import Registrars, Tree, read_signed, require_inclusion
from securepc.verify.verdict import NotValid
from securepc.wire.signed import canonical, documents
from securepc.wire.signed.canonical import Malformed
from securepc.wire.signed.expiry import Expiry
from securepc.wire.signed.leaf import CheckSignature
from securepc.wire.signed.proofs import MAX_RECORD, Placed

_WHERE = "evidence.json: expiry"
_MONTH, _HOLD = "month", "hold"
_RECORDS = {
    _MONTH: documents.record(
        {
            "type": documents.text(20),
            "month": documents.month,
            "first": documents.integer,
            "expired": documents.optional(documents.integer),
        }
    ),
    _HOLD: documents.record(
        {
            "type": documents.text(20),
            "hold": documents.handle,
            "device": documents.optional(documents.handle),
            "from": documents.integer,
            "to": documents.integer,
            "placed": documents.integer,
            "released": documents.optional(documents.integer),
        }
    ),
}


class Lapsed(NamedTuple):
    """A month that expired. `leaves`: those whose block's time was in it; `on`: the day (UTC) on which the
    registrar said so, by its clock."""

    month: str
    leaves: range
    on: str


class Expiries:
    """The months that the pack shows as expired, by the index of the leaf that says so.

    Raises:
        NotValid: not what the log and its registry say, or a hold may have been left out.
    """

    def __init__(
        self, shown: Expiry | None, registry: bytes, tree: Tree, registrars: Registrars, check: CheckSignature
    ) -> None:
        self._months: dict[int, Lapsed] = {}
        self._holds: list[dict[str, Any]] = []
        if shown is None:
            return
        records = _records(shown.records, registry)
        self._holds = [hold for hold in _all_holds(records) if hold["released"] is None]
        for place in shown.leaves:
            leaf = read_signed(place, ("expire",), tree, _WHERE)
            leaf.require_signature(registrars.at(leaf.leaf_index), check)
            month = leaf.fields["month"]
            leaves = _leaves_of(month, leaf.leaf_index, records)
            self._months[leaf.leaf_index] = Lapsed(month, leaves, _day(leaf.fields["at"]))

    def __getitem__(self, said: int) -> Lapsed:
        """The month that leaf `said` says has expired; only for what `require` let through."""
        return self._months[said]

    def unused(self, used: set[int]) -> int | None:
        """The first of the leaves here with which no batch expired."""
        return next((said for said in self._months if said not in used), None)

    def require(self, index: int, device: bytes, said: int, where: str) -> None:
        """Refuse a batch without content that did not expire with the month that leaf `said` is about.

        Raises:
            NotValid: nothing here says so, or a hold keeps it.
        """
        lapsed = self._months.get(said)
        if lapsed is None or index not in lapsed.leaves:
            raise NotValid("not-expired", where, index=index)
        for hold in self._holds:
            if hold["from"] <= index < hold["to"] and hold["device"] in (None, device.hex()):
                raise NotValid("held", where, index=index, hold=hold["hold"])


def _records(placed: tuple[Placed, ...], registry: bytes) -> dict[int, dict[str, Any]]:
    """The records by their rank; of other types than are needed only the type is looked at."""
    found: dict[int, dict[str, Any]] = {}
    for one in placed:
        where = f"{_WHERE}: record {one.rank}"
        require_inclusion("record-not-in-registry", one.rank, one.size, one.record, one.path, registry, where)
        try:
            value = canonical.decode(one.record, limit=MAX_RECORD * 4)
        except Malformed as error:
            raise NotValid("malformed", where, detail=str(error)) from None
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str) or (kind in _RECORDS and not _RECORDS[kind](value)):
            raise NotValid("malformed", where, detail="not a record of this kind")
        found[one.rank] = value
    # Ranks are only worth something in one and the same tree.
    if len({one.size for one in placed}) != 1:
        raise NotValid("malformed", _WHERE, detail="records of one registry, of several sizes")
    types = [value["type"] for value in found.values()]
    if types != sorted(types):
        raise NotValid("malformed", _WHERE, detail="records that are not in the order of the registry")
    return found


def _all_holds(records: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """All holds of the registry: those between the last record before them and the first one after."""
    before = [rank for rank, value in records.items() if value["type"] < _HOLD]
    after = [rank for rank, value in records.items() if value["type"] > _HOLD]
    holds = {rank: value for rank, value in records.items() if value["type"] == _HOLD}
    start = before[-1] + 1 if before else 0
    if not after or list(holds) != list(range(start, after[0])):
        raise NotValid("holds", _WHERE)
    return list(holds.values())


def _leaves_of(month: str, said: int, records: dict[int, dict[str, Any]]) -> range:
    """The leaves of a month that the registry has as expired by leaf `said`: up to the next month's first."""
    for rank, value in records.items():
        if value["type"] == _MONTH and (value["month"], value["expired"]) == (month, said):
            after = records.get(rank + 1)
            # A month expires when a later one has leaves: the one that says so, if there is no other.
            if after is not None and after["type"] == _MONTH:
                return range(value["first"], after["first"])
    raise NotValid("not-expired", f"{_WHERE} (leaf {said})", index=said)


def _day(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).date().isoformat()
