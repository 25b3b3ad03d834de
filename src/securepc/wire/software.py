"""What software a PC has, as agent and manager say it to each other, and what the rules say of a program
(docs/formats/software.md).

A whole inventory is `software.inventory` entries, one a part; what happens after it are `software.installed`,
`software.removed` and `software.updated`; `software.state` then says what the list must have become.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from securepc.wire.doors import Software, SoftwareRule

PART = 20_000
"""Bytes of rows in one entry, at the most; entries have 32 KiB."""
MAX_PROGRAMS = 20_000
MAX_PARTS = 400
_LONGEST = (20, 200, 20, 120, 200, 200)


class Program(NamedTuple):
    """Something installed. `source`: who keeps it (`dpkg`, `flatpak`, `snap`, `rpm`, `appimage`, `loose`; on
    Windows `msi`, `uninstall`, `appx`). `name` is the source's own, `title` what people call it where that
    is known. `auto`: brought along by another. (source, name, arch) is unique on a PC."""

    source: str
    name: str
    arch: str = ""
    version: str = ""
    publisher: str = ""
    title: str = ""
    auto: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same program in another version."""
        return self.source, self.name, self.arch


def row(program: Program) -> list[str | int]:
    """As an entry carries it: six texts, cut where they are too long, and 0 or 1."""
    texts = [text[:limit] for text, limit in zip(program[:6], _LONGEST, strict=True)]
    return [*texts, int(program.auto)]


def read_row(value: object) -> Program | None:
    """The program of a row; None where it is none."""
    if not isinstance(value, list) or len(value) != 7:
        return None
    texts, auto = value[:6], value[6]
    if not all(isinstance(t, str) and len(t) <= n for t, n in zip(texts, _LONGEST, strict=True)):
        return None
    if auto not in (0, 1) or not texts[0] or not texts[1]:
        return None
    source, name, arch, version, publisher, title = texts
    return Program(source, name, arch, version, publisher, title, bool(auto))


def digest(programs: Iterable[Program]) -> str:
    """SHA-256 (hex) of the sorted rows without titles, publishers and `auto`, a line of JSON each: the name
    of this very set of programs and versions."""
    lines = sorted(
        json.dumps([*_row[:4]], ensure_ascii=False, separators=(",", ":")) for _row in map(row, programs)
    )
    return hashlib.sha256("\n".join(lines).encode("utf-8", "backslashreplace")).hexdigest()


def parts(programs: Sequence[Program]) -> Iterator[list[list[str | int]]]:
    """The rows in as few parts as fit; one empty part where there are none."""
    part: list[list[str | int]] = []
    size = 0
    for program in programs[:MAX_PROGRAMS]:
        one = row(program)
        length = len(json.dumps(one, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        if part and size + length > PART:
            yield part
            part, size = [], 0
        part.append(one)
        size += length
    yield part


class Verdict(NamedTuple):
    """What the rules say of a program. `rule`: the pattern that said so, empty where none fits."""

    verdict: Literal["allowed", "denied", "unapproved"]
    rule: str = ""
    reason: str = ""


ALLOWED = Verdict("allowed")


def judge(
    rules: Software, program: Program, baseline: frozenset[tuple[str, str]], needed: bool = False
) -> Verdict:
    """Deny wins over allow; with an allow list, or where everything new is to be approved, what is on neither
    list must have been there before (`baseline`: source and name) or be needed by another program."""
    for rule in rules.deny:
        if fits(rule, program):
            return Verdict("denied", rule.name or rule.publisher, rule.reason)
    if not restrictive(rules) or any(fits(rule, program) for rule in rules.allow):
        return ALLOWED
    if rules.baseline and (program.source, program.name) in baseline:
        return ALLOWED
    return ALLOWED if needed else Verdict("unapproved")


def restrictive(rules: Software) -> bool:
    """Whether what is on no list is not allowed."""
    return bool(rules.allow) or rules.approve


def fits(rule: SoftwareRule, program: Program) -> bool:
    """Whether a rule is about a program. `*` stands for anything; case does not matter. A rule without name
    and publisher is about nothing."""
    if not rule.name and not rule.publisher:
        return False
    named = not rule.name or _like(rule.name, program.name) or _like(rule.name, program.title)
    return named and (not rule.publisher or _like(rule.publisher, program.publisher))


def _like(pattern: str, text: str) -> bool:
    # Only `*` is special: names hold brackets and question marks.
    plain = "".join(f"[{c}]" if c in "?[" else c for c in pattern.casefold())
    return bool(text) and fnmatchcase(text.casefold(), plain)
