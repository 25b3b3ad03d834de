"""When a month of a log may expire: min(month + 10 years, contract end + 5 years).

Days and months are UTC. A period of whole years after a day ends as that day's successor begins: a contract
that ends on 2030-03-31 keeps its log until 2035-04-01T00:00Z, November 2026 expires on 2036-12-01T00:00Z.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from securepc.ledger.state.records import ContractRecord, HoldRecord, MonthRecord, RedactionRecord
from securepc.ledger.state.registry import Registry

YEARS_AFTER_MONTH = 10
YEARS_AFTER_CONTRACT = 5
_MICROSECONDS = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = 2**63 - 1


def day(text: str) -> date | None:
    """A calendar day, None where there is no such day (2026-02-31)."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def day_of(time: int) -> date:
    """The UTC day of a time in microseconds."""
    return datetime.fromtimestamp(time // 1_000_000, UTC).date()


def month_end(month: str) -> date:
    """The day after a month's last."""
    year, number = int(month[:4]), int(month[5:])
    return date(year + number // 12, number % 12 + 1, 1)


def expires(month: str, contract: ContractRecord | None) -> int:
    """From when, in microseconds since 1970, a month may expire; never before it is over."""
    over = month_end(month)
    moment = _start(_after_years(over, YEARS_AFTER_MONTH))
    if contract is not None and contract.end is not None:
        end = date.fromisoformat(contract.end)
        if end < date.max:
            moment = min(moment, _start(_after_years(end + timedelta(days=1), YEARS_AFTER_CONTRACT)))
    return max(moment, _start(over))


class Remembered(Protocol):
    """A log as its records tell of it: a `LogState`, or what a reader read."""

    @property
    def registry(self) -> Registry:
        """Its records."""

    @property
    def size(self) -> int:
        """How many leaves it has."""


def leaves_of(log: Remembered, month: MonthRecord) -> range:
    """The indexes of a month's leaves: block time only rises, so they stand together."""
    for other in log.registry.all(MonthRecord):
        if other.month > month.month:
            return range(month.first, other.first)
    return range(month.first, log.size)


def droppable(log: Remembered) -> list[range]:
    """The leaves whose bodies may be gone, under no hold: of expired months, and batches of which an entry
    was redacted. Ascending, without overlaps."""
    free = expired(log)
    redacted = {record.batch for record in log.registry.all(RedactionRecord)}
    free += [range(batch, batch + 1) for batch in redacted if not any(batch in part for part in free)]
    return sorted(free, key=lambda part: part.start)


def expired(log: Remembered) -> list[range]:
    """The leaves of expired months that no hold in force covers. Ascending."""
    held = sorted((hold.start, hold.stop) for hold in in_force(log))
    free: list[range] = []
    for month in log.registry.all(MonthRecord):
        if month.expired is not None:
            free += _without(leaves_of(log, month), held)
    return free


def in_force(log: Remembered) -> list[HoldRecord]:
    """The holds that are not released."""
    return [hold for hold in log.registry.all(HoldRecord) if hold.released is None]


def covers(hold: HoldRecord, index: int, device: bytes) -> bool:
    """Whether a hold keeps a device's batch readable."""
    return hold.start <= index < hold.stop and hold.device in (None, device)


def is_held(log: Remembered, index: int, device: bytes) -> bool:
    """Whether any hold in force keeps a device's batch readable."""
    return any(covers(hold, index, device) for hold in in_force(log))


class Spent:
    """Which batches are past their time: their month expired, and no hold keeps them readable."""

    def __init__(self, log: Remembered) -> None:
        self._months = log.registry.all(MonthRecord)
        self._firsts = [month.first for month in self._months]
        self._held = in_force(log)

    def month(self, index: int, device: bytes) -> MonthRecord | None:
        """The expired month that a device's batch went with; None while it is kept."""
        found = self.of_leaf(index)
        if found is None or found.expired is None:
            return None
        return None if any(covers(hold, index, device) for hold in self._held) else found

    def of_leaf(self, index: int) -> MonthRecord | None:
        """The month of a leaf; None before the first."""
        place = bisect_right(self._firsts, index)
        return self._months[place - 1] if place else None


def _without(whole: range, holes: list[tuple[int, int]]) -> list[range]:
    parts, start = [], whole.start
    for low, high in holes:
        if start < low:
            parts.append(range(start, min(low, whole.stop)))
        start = max(start, high)
        if start >= whole.stop:
            return [part for part in parts if part]
    return [part for part in [*parts, range(start, whole.stop)] if part]


def _after_years(start: date, years: int) -> date | None:
    year = start.year + years
    if year > date.max.year:
        return None
    try:
        return start.replace(year=year)
    except ValueError:  # 29 February
        return date(year, 3, 1)


def _start(first: date | None) -> int:
    if first is None:
        return NEVER
    moment = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECONDS
