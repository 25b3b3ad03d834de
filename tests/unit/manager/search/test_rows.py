"""Rows give back the exact bytes of every entry, whatever a device sends."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securepc.manager.search import shape
from securepc.manager.search.rows import COLUMNS, Source, fold, joined, of_entries
from securepc.manager.search.service import hit_of
from securepc.wire.event import Event, to_entry

SOURCE = Source("ab" * 16, 7, 3, 11, 1_795_401_300_000_000, 1_795_401_200_000_000)
_names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4)
)
_data = st.dictionaries(_names, _json, max_size=6)
_events = st.builds(
    Event,
    kind=_names,
    at=st.integers(0, 2**57),
    up=st.integers(0, 2**57),
    boot=_names,
    user=_names,
    policy=_names,
    result=_names,
    data=_data,
)


def entry_text(row: dict[str, Any]) -> bytes:
    return hit_of((*(row[name] for name in COLUMNS), True)).entry


def rows_of(entries: list[bytes]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = joined(of_entries(SOURCE, entries)).to_pylist()
    return rows


@given(_data)
def test_data_is_put_together_again(data: dict[str, Any]) -> None:
    try:
        (taken,), (words,) = shape.take_apart([data])
    except shape.Shapeless:
        assert shape.STRING in msgspec.json.encode(data).decode().replace("\\u001f", shape.STRING)
        return
    assert shape.put_together(taken, words).encode() == msgspec.json.encode(data)


@given(st.lists(_events, min_size=1, max_size=5))
def test_entries_of_events_come_back_byte_for_byte(events: list[Event]) -> None:
    entries = [to_entry(event) for event in events]
    rows = rows_of(entries)
    assert [entry_text(row) for row in rows] == entries
    assert [row["sequence"] for row in rows] == list(range(7, 7 + len(entries)))
    for row, event in zip(rows, events, strict=True):
        if event.at <= 253_402_300_799_999_999 >= event.up:
            assert (row["happened"], row["happened"] - row["skew"]) == (event.at, event.up)
            assert (row["kind"], row["account"], row["outcome"]) == (event.kind, event.user, event.result)


@given(st.lists(st.one_of(st.binary(min_size=1), _events.map(to_entry)), min_size=1, max_size=6))
def test_any_bytes_come_back(entries: list[bytes]) -> None:
    entries = [entry.replace(b"\n", b" ") for entry in entries]
    assert [entry_text(row) for row in rows_of(entries)] == entries


TRICKS = [
    [b'{"kind":"a","at":1,"up":1,"boot":"b","data":{"x":[1', b",2]}}"],
    [b'{"kind":"a","at":1,"up":1,"boot":"b"}{"kind":"c","at":1,"up":1,"boot":"b"}', b" "],
    [b'{"kind":"a","at":1,"up":1,"boot":"b","data":{"x":1}', b"}"],
    [b'{"kind":"a","kind":"b","at":1,"up":1,"boot":"b"}'],
    [b'{"at":1,"kind":"a","up":1,"boot":"b"}'],
    [b'{"kind":"a","at":1,"up":1,"boot":"b","data":{"x":"\\ud800"}}'],
    [b'{"kind":"a","at":1,"up":1,"boot":"b","data":{"x":1e999}}'],
    [b'{"kind":"a","at":-5,"up":1,"boot":"b"}'],
    [b'{"kind":"a","at":99999999999999999999999999,"up":1,"boot":"b"}'],
    [b'{"kind":"a","at":1,"up":1,"boot":"b","data":{"x":99999999999999999999999999}}'],
    [b'{"kind":"a","at":1,"up":1,"boot":"b","data":' + b'{"x":' * 2000 + b"1" + b"}" * 2000 + b"}"],
    [b"[" * 5000],
    [b"\xff\xfe\x00"],
    [b'{"kind":"a","at":1,"up":1,"boot":"b","future":{"path":"\\u898b\\u7a4d"}}'],
    [b'{"kind":"a","at":1,"up":1,"boot":"b","data":{"x":"\\u001f","y":"z"}}'],
]


@pytest.mark.parametrize("entries", TRICKS)
def test_a_hostile_spelling_moves_no_row_and_loses_no_byte(entries: list[bytes]) -> None:
    good = to_entry(Event("file.create", 5, 5, "b", data={"path": "/家/見積.xlsx"}))
    rows = rows_of([good, *entries, good])
    assert [entry_text(row) for row in rows] == [good, *entries, good]
    assert rows[-1]["words"] == "/家/見積.xlsx"


def test_what_is_not_an_event_is_searched_by_its_text_and_its_values() -> None:
    (later,) = rows_of([b'{"kind":"a","at":1,"up":1,"boot":"b","new":"\\u898b\\u7a4d \\\\\\\\srv"}'])
    assert "見積 \\\\srv" in later["words"]
    assert '"new":"\\u898b' in later["words"]
    assert (later["kind"], later["happened"]) == ("a", 1)
    (raw,) = rows_of(["手書き".encode() + b"\xff"])
    assert raw["words"] == "手書き\ufffd"
    assert (raw["kind"], raw["happened"]) == ("", SOURCE.happened)


def test_width_and_composition_are_folded() -> None:
    event = Event("file.create", 5, 5, "b", data={"path": "カ゛ラス①A.txt", "size": 3})
    (row,) = rows_of([to_entry(event)])
    assert row["folded"] == fold("カ゛ラス①A.txt\x1f3") != row["words"]
    (plain,) = rows_of([to_entry(Event("file.create", 5, 5, "b", data={"path": "ガラス1A.txt"}))])
    assert plain["folded"] is None


def test_field_names_made_up_by_a_device_do_not_pile_up() -> None:
    for number in range(10_000):
        shape.take_apart([{f"field{number}": 1}])
    assert len(shape._flat_shapes) <= 4_096
