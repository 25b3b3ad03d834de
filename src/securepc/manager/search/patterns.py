"""Take entries apart by what entries of the same shape looked like: most of them differ in values only.

A pattern is a regular expression for the exact bytes of such entries, in our own spelling and no other, with
a group for each value. One match therefore says what decoding an entry, encoding it again, comparing the two
and taking its data apart (`shape`) would say, in a third of the time. What no pattern matches goes that way;
a shape that is met often gets a pattern of its own. Only data of strings and whole numbers, side by side, has
one; a string with an escape in it is matched by none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from securepc.manager.search.shape import STRING

OFTEN = 64
"""Entries of a shape, taken apart the long way, after which it gets a pattern; making one takes 1 ms."""
_OF_A_KIND = 8
"""Patterns of a kind: when there are more the oldest goes."""
_KINDS = 512
"""Kinds with patterns, and shapes that are counted. Who makes up more only makes everybody slower."""

_TEXT = rb'([^"\\\x00-\x1f]*+)'
_SOME_TEXT = rb'([^"\\\x00-\x1f]++)'
_WHOLE = rb"(0|-?[1-9][0-9]{0,17})"
_TIME = rb"(0|[1-9][0-9]{0,17})"
_SEPARATOR = STRING.encode()
_KIND = len(b'{"kind":"')
_encode = msgspec.json.Encoder().encode


class Fixed(NamedTuple):
    """What entries of a pattern have in common; `result` None where they name none."""

    kind: str
    result: str | None
    shape: str


class Apart(NamedTuple):
    """Entries that were taken apart, as far as patterns matched: `heads` are at, up, boot, user, policy, and
    `words` the values of their data. `missing` says of which entries there is None in each list."""

    fixed: list[Fixed | None]
    heads: list[tuple[bytes, ...] | None]
    words: list[bytes | None]
    missing: list[int]


class _Pattern(NamedTuple):
    match: Callable[[bytes], re.Match[bytes] | None]
    fixed: Fixed


class Patterns:
    """The patterns of one process. Not thread-safe."""

    def __init__(self) -> None:
        self._known: dict[bytes, list[_Pattern]] = {}
        self._met: Counter[tuple[object, ...]] = Counter()

    def take_apart(self, entries: Sequence[bytes]) -> Apart:
        """Take entries apart, those that a pattern matches."""
        fixed: list[Fixed | None] = []
        heads: list[tuple[bytes, ...] | None] = []
        words: list[bytes | None] = []
        missing = []
        patterns_of, nothing = self._known.get, ()
        for i, entry in enumerate(entries):
            for pattern in patterns_of(entry[_KIND : entry.find(b'"', _KIND)], nothing):
                found = pattern.match(entry)
                if found is not None:
                    groups = found.groups()
                    fixed.append(pattern.fixed)
                    heads.append(groups[:5])
                    words.append(_SEPARATOR.join(groups[5:]))
                    break
            else:
                missing.append(i)
                fixed.append(None)
                heads.append(None)
                words.append(None)
        return Apart(fixed, heads, words, missing)

    def meet(self, fixed: Fixed, user: str, policy: str, data: dict[str, object]) -> None:
        """An entry of our own spelling was taken apart the long way."""
        types = tuple(map(type, data.values()))
        if not data or not {str, int}.issuperset(types):
            return
        met = (fixed, bool(user), bool(policy))
        if len(self._met) >= _KINDS:
            self._met.clear()
        self._met[met] += 1
        if self._met[met] >= OFTEN:
            del self._met[met]
            self._learn(fixed, user, policy, data)

    def _learn(self, fixed: Fixed, user: str, policy: str, data: dict[str, object]) -> None:
        if len(self._known) >= _KINDS:
            self._known.clear()
        kind = _encode(fixed.kind)
        fields = [
            re.escape(_encode(name)) + b":" + (b'"' + _TEXT + b'"' if isinstance(value, str) else _WHOLE)
            for name, value in data.items()
        ]
        parts = [
            rb'\{"kind":' + re.escape(kind) + rb',"at":' + _TIME + rb',"up":' + _TIME,
            rb',"boot":"' + _TEXT + b'"',
            rb',"user":"' + _SOME_TEXT + b'"' if user else b"()",
            rb',"policy":"' + _SOME_TEXT + b'"' if policy else b"()",
            b"" if fixed.result is None else rb',"result":' + re.escape(_encode(fixed.result)),
            rb',"data":\{' + b",".join(fields) + rb"\}\}",
        ]
        expression = b"".join(parts)
        known = self._known.setdefault(kind[1:-1], [])
        known.insert(0, _Pattern(re.compile(expression).fullmatch, fixed))
        del known[_OF_A_KIND:]
