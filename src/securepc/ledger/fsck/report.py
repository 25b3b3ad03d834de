"""What an audit found."""

from __future__ import annotations

from dataclasses import dataclass, field

from securepc.ledger.fsck.sentences import SENTENCES

MAX_FINDINGS = 100


class TooMany(Exception):
    """More findings would tell nothing new."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: where (block, log, leaf, place, table), and what, as a word of `SENTENCES`."""

    where: str
    code: str
    detail: str = ""

    @property
    def ja(self) -> str:
        """What is wrong, in Japanese."""
        return SENTENCES[self.code][0].format(detail=self.detail)

    @property
    def en(self) -> str:
        """What is wrong, in English."""
        return SENTENCES[self.code][1].format(detail=self.detail)

    def __str__(self) -> str:
        return f"{self.where}: {self.en}"


@dataclass(slots=True)
class Report:
    """The outcome of an audit: what was counted, what is wrong, and what nobody looked at (`UNCHECKED`)."""

    findings: list[Finding] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    blocks: int = 0
    transactions: int = 0
    leaves: int = 0
    bodies: int = 0
    dropped: int = 0
    logs: int = 0
    checkpoints: int = 0
    votes: int = 0
    tiles: int = 0
    keys: int = 0
    unreadable_keys: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def wrong(self, where: str, code: str, detail: str = "") -> None:
        """Note something wrong.

        Raises:
            TooMany: that is enough.
        """
        self.findings.append(Finding(where, code, detail))
        if len(self.findings) >= MAX_FINDINGS:
            raise TooMany

    def expect(self, found: object, wanted: object, where: str, code: str, detail: str = "") -> bool:
        """Note what is wrong unless both are the same value of the same type."""
        same = type(found) is type(wanted) and found == wanted
        if not same:
            self.wrong(where, code, detail)
        return same
