"""How an agency's log stands, from its records on the ledger alone: nobody's word but the rules'."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from securepc.ledger.log import LogReader
from securepc.ledger.state import Registry, retention
from securepc.ledger.state.records import ContractRecord, HoldRecord, MonthRecord, RedactionRecord


class Standing(NamedTuple):
    """A `ledger.state.retention.Remembered`, as a reader read it."""

    registry: Registry
    size: int

    @property
    def contract(self) -> ContractRecord | None:
        """The contract in force."""
        return self.registry.get(ContractRecord)

    @property
    def months(self) -> list[MonthRecord]:
        """The months with leaves, the oldest first."""
        return self.registry.all(MonthRecord)

    @property
    def expired(self) -> list[MonthRecord]:
        """The months that expired."""
        return [month for month in self.months if month.expired is not None]

    @property
    def holds(self) -> list[HoldRecord]:
        """All holds, released ones too."""
        return self.registry.all(HoldRecord)

    def leaves(self, month: MonthRecord) -> range:
        """A month's leaves."""
        return retention.leaves_of(self, month)

    def redactions(self) -> Counter[int]:
        """How many entries were redacted, by batch."""
        return Counter(record.batch for record in self.registry.all(RedactionRecord))

    def redacted(self, batch: int) -> list[int]:
        """The sequence numbers of a batch's redacted entries."""
        return [r.sequence for r in self.registry.all(RedactionRecord) if r.batch == batch]

    def holder(self, index: int, device: bytes) -> HoldRecord | None:
        """The hold in force that keeps a batch readable; of several always the same one."""
        return next((h for h in retention.in_force(self) if retention.covers(h, index, device)), None)


def standing(reader: LogReader, log: bytes) -> Standing:
    """A log's records and size. KeyError where there is no such log."""
    size = reader.size(log)
    return Standing(Registry(reader.records(log)), size)
