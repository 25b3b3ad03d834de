"""Noise: what the policy says is not worth an entry each. Pure and fast; time comes with the events.

Nothing is dropped silently: what a rule keeps out is counted by rule and the counts are entries
(`collect.suppressed`, hourly and at shutdown), and `wire.unrecorded` says the rules in sentences. Only
files, programs, web pages and windows can be noise: no policy can silence the rest, nor anything urgent.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from securepc.agent.collect.bursts import Bursts
from securepc.wire import kinds, policy
from securepc.wire.event import Event

FAMILIES = frozenset({"file", "process", "web", "output"})
"""What can be noise at all."""
OWN = "own-files"
"""The rule that keeps out the product's own folders; it holds whatever the policy says."""

_PATHS = ("path", "from", "to")


class Noise:
    """The noise rules of one policy. Not thread-safe."""

    def __init__(
        self, rules: policy.Noise, *, homes: Sequence[str], own: Sequence[str] = (), separator: str = "/"
    ) -> None:
        """`homes`: what `~` stands for. `own`: the product's own folders."""
        always = policy.NoiseRule(name=OWN, kinds=("file",), paths=tuple(own))
        self._rules = [_Rule(rule, homes, separator) for rule in ((always,) if own else ()) + rules.rules]
        self._by_kind: dict[str, list[_Rule]] = {}
        self._bursts = Bursts(rules.burst, homes, separator)
        self._every = rules.report_seconds * 1_000_000
        self._counts: Counter[str] = Counter()
        self._first = self._last = 0
        self._reported: int | None = None

    def keeps(self, event: Event) -> bool:
        """Whether an event is to be recorded by itself; else it is counted."""
        rules = self._by_kind.get(event.kind)
        if rules is None:
            rules = self._by_kind[event.kind] = self._rules_for(event.kind)
        paths = [path for name in _PATHS if isinstance(path := event.data.get(name), str)]
        for rule in rules:
            if rule.matches(event, paths):
                self._counts[rule.name] += 1
                self._first = self._first or event.at
                self._last = max(self._last, event.at)
                return False
        if paths and event.kind != "file.burst" and kinds.family(event.kind) == "file":
            return not self._bursts.absorbs(event, paths[-1])
        return True

    def due(self, at: int, up: int, boot: str, *, end: bool = False) -> Iterator[Event]:
        """What is to be reported at this time: bursts that are over, and the hour's counts."""
        yield from self._bursts.due(at, up, boot, end=end)
        if self._reported is None:
            self._reported = up
        if end or up - self._reported >= self._every:
            self._reported = up
            if self._counts:
                data = {
                    "count": self._counts.total(),
                    "rules": dict(sorted(self._counts.items())),
                    "first": self._first,
                    "last": self._last,
                }
                yield Event("collect.suppressed", at, up, boot, data=data)
                self._counts.clear()
                self._first = self._last = 0

    def _rules_for(self, kind: str) -> list[_Rule]:
        family = kinds.family(kind)
        if family not in FAMILIES or kinds.urgent(kind):
            return []
        return [rule for rule in self._rules if not rule.kinds or {kind, family} & rule.kinds]


class _Rule:
    """One rule, made ready for matching."""

    __slots__ = ("_below", "_glob", "_inside", "_program", "_separator", "_starts", "kinds", "name")

    def __init__(self, rule: policy.NoiseRule, homes: Sequence[str], separator: str) -> None:
        self.name, self.kinds = rule.name, frozenset(rule.kinds)
        self._separator = separator
        self._below = frozenset(path.rstrip(separator) for text in rule.paths for path in _homes(text, homes))
        self._starts = tuple(path + separator for path in self._below)
        whole, inside = [], []
        for text in rule.globs:
            for glob in _homes(text, homes):
                name = glob.removeprefix("**/").removesuffix("/**")
                if glob == f"**/{name}/**" and "**" not in name:
                    inside.append(_regex(name, separator))
                else:
                    whole.append(_regex(glob, separator))
        # Most globs are "anything inside a folder of that name": one search finds them all.
        between = re.escape(separator)
        self._inside = re.compile(f"{between}(?:{'|'.join(inside)}){between}").search if inside else None
        self._glob = re.compile("|".join(whole)).fullmatch if whole else None
        programs = [_regex(glob, separator) for glob in rule.programs]
        self._program = re.compile("|".join(programs)).fullmatch if programs else None

    def matches(self, event: Event, paths: list[str]) -> bool:
        """Whether every path of the event, or its program, falls under the rule. So a file that is moved
        out of a cache is recorded."""
        if paths and all(map(self._covers, paths)):
            return True
        if self._program is None:
            return False
        names = (event.data.get("exe"), event.data.get("process"))
        return any(isinstance(name, str) and self._program(name) for name in names)

    def _covers(self, path: str) -> bool:
        return (
            path.startswith(self._starts)
            or path in self._below
            or (self._inside is not None and self._inside(path) is not None)
            or (self._glob is not None and self._glob(path) is not None)
        )


def _homes(text: str, homes: Sequence[str]) -> list[str]:
    return [home + text[1:] for home in homes] if text == "~" or text[:2] in ("~/", "~\\") else [text]


def _regex(glob: str, separator: str) -> str:
    """A glob as a regular expression: `*` and `?` stay within a name, `**` crosses folders."""
    between = re.escape(separator)
    other = f"[^{between}]"
    output, rest = "", glob
    while rest:
        if rest.startswith("**/"):
            output, rest = output + f"(?:.*{between})?", rest[3:]
        elif rest.startswith("**"):
            output, rest = output + ".*", rest[2:]
        elif rest[0] == "*":
            output, rest = output + other + "*", rest[1:]
        elif rest[0] == "?":
            output, rest = output + other, rest[1:]
        elif rest[0] == "/":
            output, rest = output + between, rest[1:]
        else:
            output, rest = output + re.escape(rest[0]), rest[1:]
    return f"(?:{output})"


def as_text(paths: Sequence[bytes]) -> list[str]:
    """Folders as they are spelled in entries."""
    return [os.fsencode(path).decode("utf-8", "backslashreplace") for path in paths]
