"""A name is found however it is spelled, exactly where it is asked for so, and never skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_office import DAY, NOON, Ledger, Searching, file_entry

from securepc.manager.search import files, grams, texts, variants
from securepc.manager.search.manifest import DAILY
from securepc.manager.search.rows import Source, fold, joined, of_entries
from securepc.manager.search.skipping import Skipper

NAMES = [
    "髙橋商店",
    "高橋様_見積",
    "高𣘺",
    "渡邉Ichiro",
    "渡辺ichiro",
    "齋藤",
    "斉藤",
    "𠮷田",
    "龍ヶ崎",
    "竜ケ崎",
    "吉野",
]
LETTERS = st.text("高髙橋𣘺槗斎齋斉齊邊邉辺様樣aA ケ10", min_size=1, max_size=8)


def test_the_table_holds_each_letter_once_as_searches_see_it() -> None:
    letters = "".join(variants.GROUPS)
    assert len(set(letters)) == len(letters) and fold(letters) == letters
    assert all(2 <= len(group) <= 4 for group in variants.GROUPS)
    assert grams._points(letters).all()  # letters that runs are made of
    assert letters.lower() == letters.upper() and not any(c.isdigit() or c.isascii() for c in letters)
    assert {"高髙", "吉𠮷", "辺邊邉", "斎齋斉齊"} <= set(variants.GROUPS)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("高橋", {1, 2, 3}),
        ("髙橋", {1, 2, 3}),
        ("髙𣘺", {1, 2, 3}),
        ("高橋 様", {2}),
        ('"高橋"', {2}),
        ('"髙橋"', {1}),
        ("“高橋” 樣", {2}),
        ("渡邊", {4, 5}),
        ("渡邊ICHIRO", {4, 5}),
        ("齊藤", {6, 7}),
        ('"斉藤"', {7}),
        ("吉", {8, 11}),
        ("𠮷田", {8}),
        ("竜ヶ崎", {9, 10}),
        ("龍ヶ﨑", {9, 10}),
        ("高崎", set()),
    ],
)
def test_a_name_is_found_in_all_its_spellings(
    searching: Searching, ledger: Ledger, text: str, numbers: set[int]
) -> None:
    for day, name in enumerate(NAMES):
        at = NOON + day * DAY
        ledger.accept([file_entry(0, at=at, name=name)], time=at)
    searching.catch_up(ledger)
    assert {hit.sequence for hit in searching.all(text=text)} == numbers
    searching.store.flush(force=True)
    assert {hit.sequence for hit in searching.all(text=text)} == numbers
    searching.keeper.tidy(everything=True)
    assert {hit.sequence for hit in searching.all(text=text)} == numbers


def test_only_days_with_one_of_the_spellings_are_read(searching: Searching, ledger: Ledger) -> None:
    for day, name in enumerate(NAMES):
        at = NOON + day * DAY
        ledger.accept([file_entry(0, at=at, name=name)], time=at)
    searching.catch_up(ledger)
    searching.keeper.tidy(everything=True)

    def read(text: str) -> set[str]:
        with searching.store.view(ledger.log) as view:
            assert len(view.files) == len(NAMES) and all(file.level >= DAILY for file in view.files)
            skipper = Skipper(view, texts.words(text))
            return {file.day[-2:] for file in view.files if skipper.rows(file)}

    assert len(read("xlsx")) == len(NAMES)
    assert len(read("髙槗")) == 3
    assert len(read('"髙橋"')) == 1
    assert len(read("渡辺")) == 2
    assert read("高崎") == set()


@given(LETTERS, LETTERS, LETTERS)
def test_whatever_the_database_finds_has_the_runs(before: str, text: str, after: str) -> None:
    found = texts.words(text)
    letters, _ = texts.runs(found)
    turned = "".join(forms[-1] for forms in variants.forms(text))
    for whole in (before + text + after, before + turned + after, before + after):
        values: dict[str, Any] = {}
        conditions = " AND ".join(["true", *texts.conditions(found, values)])
        sql = f"SELECT {conditions} FROM (SELECT $value AS words, NULL::VARCHAR AS folded)"
        matches = duckdb.execute(sql, {**values, "value": whole}).fetchone() == (True,)
        assert matches or turned not in whole or " " in text or "0" in text or '"' in text
        if matches:
            had = set(grams._hashes("\n".join([*grams._digits(), whole])).tolist())
            assert all(had & set(run.tolist()) for run in letters.spelled())


def test_a_word_of_nothing_else_stays_bounded(tmp_path: Path) -> None:
    word = "斎" * texts.MAX_TEXT
    [found] = texts.words(word)
    assert found.forms == ("斎齋斉齊",) * variants.MAX_OPEN + ("斎",) * (texts.MAX_TEXT - variants.MAX_OPEN)
    letters, _ = texts.runs(texts.words(" ".join("辺斎高浜喜" * 4 + chr(0x4E00 + n) for n in range(19))))
    assert len(letters.runs) < 20_000
    entries = [file_entry(1, name="齋" * variants.MAX_OPEN + name) for name in ("斎" * 484, "齋" * 484)]
    batch = joined(of_entries(Source("0" * 32, 1, 1, 0, 0, 0), entries))
    values: dict[str, Any] = {}
    [condition] = texts.conditions([found], values)
    table = pa.Table.from_batches([batch])
    with duckdb.connect() as connection:
        connection.register("entries", table)
        rows = connection.execute(f"SELECT {condition} FROM entries", values).fetchall()
    assert rows == [(True,), (False,)]
    written = files.write(tmp_path / "day.parquet", [batch], 1, skippable=True)
    assert written is not None
    assert grams.rows_with(tmp_path / "day.parquet", written.size, texts.runs([found])[0]) == range(2)


@pytest.mark.parametrize("name", ["髙橋.txt", "髙橋 様.txt", "見積 書.txt", "plain.txt"])
def test_a_name_that_is_meant_exactly_is_asked_for_exactly(name: str) -> None:
    [word] = texts.words(texts.exact(name))
    assert word.text == name and all(len(forms) == 1 for forms in word.forms)
