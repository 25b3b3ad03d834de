"""What is asked and what is found."""

from __future__ import annotations

import re
from typing import NamedTuple

from securepc.wire.signed.batch import MAX_TIME
from securepc.wire.signed.canonical import MAX_INTEGER

_ENTRY = re.compile(r"([0-9a-f]{32})\.(0|[1-9][0-9]{0,15})")
_CURSOR = re.compile(r"(0|[1-9][0-9]{0,17})\.([0-9a-f]{32})\.(0|[1-9][0-9]{0,15})(?:\.(0|[1-9][0-9]{0,15}))?")


class Invalid(ValueError):
    """A question that can't be answered; `ja` and `en` say why."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja = ja
        self.en = en


class EntryId(NamedTuple):
    """Names an entry for ever: its device and its number there. Written `<device hex>.<sequence>`."""

    device: bytes
    sequence: int

    def __str__(self) -> str:
        return f"{self.device.hex()}.{self.sequence}"

    @classmethod
    def parse(cls, text: str) -> EntryId:
        """Read an id.

        Raises:
            Invalid: it is not one.
        """
        match = _ENTRY.fullmatch(text)
        if match is None or int(match[2]) > MAX_INTEGER:
            raise Invalid(
                "記録の番号は <PC>.<連番> の形で指定してください",
                "an entry is named <device>.<number>",
            )
        return cls(bytes.fromhex(match[1]), int(match[2]))


class Cursor(NamedTuple):
    """Where a page ended: the last row's time, device, number and leaf (-1 while provisional).

    Written `<at>.<entry>.<leaf>`; the leaf may be left out.
    """

    happened: int
    device: str
    sequence: int
    leaf: int

    def __str__(self) -> str:
        tail = "" if self.leaf < 0 else f".{self.leaf}"
        return f"{self.happened}.{self.device}.{self.sequence}{tail}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor.

        Raises:
            Invalid: it is not one.
        """
        match = _CURSOR.fullmatch(text)
        if match is None or int(match[1]) > MAX_TIME:
            raise Invalid("before の値が正しくありません", "before is not a place in the results")
        return cls(int(match[1]), match[2], int(match[3]), -1 if match[4] is None else int(match[4]))


class Query(NamedTuple):
    """What to look for; None and () stand for no limit. Times are µs since 1970 UTC by the PCs' clocks.

    `kinds` are names (`file.create`) or families (`file.*`). The words of `text` are found anywhere in an
    entry's values, without regard to case and width (`texts`); without kinds, records of searches are left
    out.
    """

    start: int | None = None  # inclusive
    end: int | None = None  # exclusive
    devices: tuple[str, ...] = ()  # hex
    user: str | None = None
    kinds: tuple[str, ...] = ()
    text: str | None = None
    result: str | None = None
    limit: int | None = None
    before: Cursor | None = None


class Place(NamedTuple):
    """Where an entry that was found is; `leaf` is None while provisional. See `Hit.is_entry`."""

    device: str  # hex
    sequence: int
    leaf: int | None
    is_entry: bool


class Hit(NamedTuple):
    """A row that was found."""

    device: str  # hex
    sequence: int
    epoch: int
    leaf: int | None  # None while provisional
    happened: int  # µs since 1970 UTC, by the PC's clock
    received: int  # µs since 1970 UTC: block time; when it arrived while provisional
    up: int  # µs of the PC's boot-time clock
    boot: str
    kind: str
    user: str
    policy: str
    result: str
    sealed: bool
    data: str  # JSON text of its data; "null" for an entry that is not an event in our spelling
    entry: bytes  # its exact bytes; empty for a row that stands for a batch that can't be read

    @property
    def is_entry(self) -> bool:
        """Whether this is an entry, not the row that says that a batch can't be read."""
        return bool(self.entry)

    @property
    def id(self) -> str:
        """`<device hex>.<sequence>`."""
        return f"{self.device}.{self.sequence}"

    @property
    def cursor(self) -> Cursor:
        """`before` for what comes after this one."""
        return Cursor(self.happened, self.device, self.sequence, -1 if self.leaf is None else self.leaf)
