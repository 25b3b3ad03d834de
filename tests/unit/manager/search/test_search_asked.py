"""What a search may be asked for, and how it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from securepc.manager.search import asked
from securepc.manager.search.model import Cursor, Invalid, Query

DEVICES = {b"\x01" * 16: "営業1号機", b"\x02" * 16: "営業2号機", b"\x03" * 16: "営業1号機"}
ONE, TWO, THREE = ("01" * 16, "02" * 16, "03" * 16)


@pytest.mark.parametrize(
    ("values", "query"),
    [
        ({}, Query()),
        ({"text": [""], "device": [], "limit": ""}, Query()),
        ({"from": "2026-11-23T09:00:00+09:00"}, Query(start=1_795_392_000_000_000)),
        ({"to": ["2026-11-23T00:00:00.000001Z"]}, Query(end=1_795_392_000_000_001)),
        ({"to": ["0001-01-01T00:00:00+23:00"]}, Query(end=0)),
        ({"from": 5, "to": "7"}, Query(start=5, end=7)),
        ({"device": ["営業1号機", TWO]}, Query(devices=(ONE, THREE, TWO))),
        ({"kind": ["file.*", "process.start"]}, Query(kinds=("file.*", "process.start"))),
        ({"text": "見積", "user": "テスト", "result": "ok"}, Query(text="見積", user="テスト", result="ok")),
        ({"limit": "3"}, Query(limit=3)),
        ({"before": f"9.{ONE}.4.5"}, Query(before=Cursor(9, ONE, 4, 5))),
        ({"before": f"9.{ONE}.4"}, Query(before=Cursor(9, ONE, 4, -1))),
    ],
)
def test_what_is_understood(values: dict[str, Any], query: Query) -> None:
    assert asked.read(values, DEVICES) == query


@pytest.mark.parametrize(
    "values",
    [
        {"form": "1"},
        {"from": "2026-11-23T09:00:00"},
        {"from": "yesterday"},
        {"from": "9" * 18},
        {"device": "営業9号機"},
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "1.5"},
        {"limit": True},
        {"limit": ["1", "2"]},
        {"text": "あ" * 501},
        {"text": {"a": 1}},
        {"text": None},
        {"kind": ["x"] * 1_001},
        {"before": "1.2.3"},
    ],
)
def test_what_is_refused_says_so_in_both_languages(values: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        asked.read(values, DEVICES)
    assert refused.value.ja.strip() and refused.value.en.strip()


def test_a_search_is_described_for_the_record() -> None:
    query = Query(start=5, devices=(ONE, TWO), text="見積", limit=3)
    assert asked.described(query) == f"from=5 device={ONE},{TWO} text=見積 limit=3"


def test_an_entry_may_be_named_by_its_devices_first_digits() -> None:
    assert str(asked.entry("010101.7", DEVICES)) == f"{ONE}.7"
    assert str(asked.entry(f"{TWO}.7", DEVICES)) == f"{TWO}.7"
    for wrong in ("01010.7", "0a0a0a.7", "010101.", "010101.07", "zz.7"):
        with pytest.raises(Invalid):
            asked.entry(wrong, DEVICES)
    with pytest.raises(Invalid, match="2 devices"):
        asked.entry("010101.7", {**DEVICES, b"\x01\x01\x01" + bytes(13): "別の端末"})
