"""What a pattern says of an entry is what taking it apart the long way says, whatever a device sends."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securepc.manager.search import patterns, rows
from securepc.manager.search.patterns import Patterns
from securepc.manager.search.rows import Source, joined, of_entries
from securepc.wire.event import Event, to_entry

SOURCE = Source("ab" * 16, 7, 3, 11, 1_795_401_300_000_000, 1_795_401_200_000_000)
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_events = st.builds(
    Event,
    kind=st.sampled_from(["file.create", "k", '"']),
    at=st.integers(0, 2**57),
    up=st.integers(0, 2**57),
    boot=_text,
    user=_text,
    policy=_text,
    result=st.sampled_from(["ok", "blocked", '"']),
    data=st.fixed_dictionaries(
        {"path": _text}, optional={'a"é': _text, "size": st.integers(-(2**63), 2**64 - 1), "n": st.just(0)}
    ),
)
ONE = b'{"kind":"k","at":5,"up":3,"boot":"b","user":"u","policy":"p","data":{"path":"x","size":1}}'


def rows_by(known: Patterns, often: int, entries: list[bytes]) -> list[dict[str, Any]]:
    with patch.object(patterns, "OFTEN", often), patch.object(rows, "_patterns", lambda: known):
        found: list[dict[str, Any]] = joined(of_entries(SOURCE, entries)).to_pylist()
    return found


def the_long_way(entries: list[bytes]) -> list[dict[str, Any]]:
    return rows_by(Patterns(), 10**9, entries)


@given(st.lists(_events, min_size=1, max_size=5), st.lists(_events, min_size=1, max_size=5))
def test_it_says_what_the_long_way_says(first: list[Event], second: list[Event]) -> None:
    known = Patterns()
    entries = [to_entry(event) for event in first]
    assert rows_by(known, 1, entries) == the_long_way(entries)
    assert rows_by(known, 1, entries) == the_long_way(entries)
    others = [*entries, *map(to_entry, second)]
    assert rows_by(known, 1, others) == the_long_way(others)


@given(_events.map(to_entry), st.integers(0, 200), st.integers(0, 200), st.binary(max_size=5))
def test_other_bytes_are_not_taken_for_what_they_resemble(
    entry: bytes, start: int, cut: int, put: bytes
) -> None:
    known = Patterns()
    rows_by(known, 1, [entry, ONE])
    for whole in (entry, ONE):
        changed = (whole[:start] + put + whole[start + cut :]).replace(b"\n", b" ") or b" "
        assert rows_by(known, 10**9, [changed]) == the_long_way([changed])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"at":5', b'"at":05'),
        (b'"at":5', b'"at":-5'),
        (b'"at":5', b'"at":5.0'),
        (b'"at":5', b'"at":253402300800000000'),
        (b'"up":3', b'"up":999999999999999999'),
        (b'"up":3', b'"up":9999999999999999999'),
        (b'"size":1', b'"size":-0'),
        (b'"size":1', b'"size":00'),
        (b'"size":1', b'"size":-1'),
        (b'"size":1', b'"size":true'),
        (b'"size":1', b'"size":"1"'),
        (b'"size":1', b'"size":18446744073709551616'),
        (b'"x"', b'"\xff"'),
        (b'"x"', b'"\xed\xa0\x80"'),
        (b'"x"', b'"\x1f"'),
        (b'"x"', b'"\\u001f"'),
        (b'"x"', b'"\\\\"'),
        (b'"x"', b'"\x7f\xe2\x80\xa8"'),
        (b'"x"', b'"x","path":"y"'),
        (b'"x"', '"ｶﾞ"'.encode()),
        (b'"b"', b'"\xff"'),
        (b'"u"', b'""'),
        (b'"u"', b'"\xff"'),
        (b'"policy":"p"', b'"policy":"p","result":"ok"'),
        (b'"policy":"p"', b'"policy":"p","more":1'),
        (b"}}", b"}} "),
        (b"}}", b"}}}"),
        (b":{", b": {"),
    ],
)
def test_a_spelling_that_is_almost_ours(old: bytes, new: bytes) -> None:
    known = Patterns()
    rows_by(known, 1, [ONE])
    assert not known.take_apart([ONE]).missing, "there is a pattern for it"
    changed = ONE.replace(old, new)
    assert changed != ONE
    assert rows_by(known, 10**9, [changed]) == the_long_way([changed])
    mixed = [ONE, changed, ONE]
    assert rows_by(known, 10**9, mixed) == the_long_way(mixed)


def test_nobody_fills_the_memory_with_shapes() -> None:
    known = Patterns()
    for n in range(600):
        rows_by(known, 1, [ONE.replace(b'"k"', b'"k%d"' % n)])
        rows_by(known, 10**9, [ONE.replace(b'"path"', b'"p%d"' % n)])
        rows_by(known, 1, [ONE.replace(b'"path"', b'"q%d"' % n)])
    assert len(known._known) <= 512 >= len(known._met)
    assert max(map(len, known._known.values())) <= 8
