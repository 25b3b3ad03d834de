"""Long numbers: no row group that has one is left out, and nearly all that have not are."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_office import DAY, NOON, Ledger, Searching, file_entry

from securepc.manager.search import beside, grams, numbers, skipping, texts
from securepc.manager.search.rows import fold

PIECES = st.text("0123456789-－０１９ a契\n", max_size=14)
TYPED = st.from_regex(r"[0-9](-?[0-9]){5,8}", fullmatch=True)


def saved(folder: Path, *groups: list[str]) -> tuple[Path, int]:
    """What stands beside a file whose row groups have these values."""
    path = folder / "day.parquet"
    path.write_bytes(b"seven..")
    found = numbers.Numbers()
    for values in groups:
        found.add(max(1, len(values)), pa.array(values, pa.string()))
    found.save(path)
    return path, 7


@given(PIECES, PIECES, PIECES)
def test_whatever_has_a_text_has_its_runs(before: str, text: str, after: str) -> None:
    whole = fold(before) + fold(text) + fold(after)
    assert set(numbers.wanted(text).tolist()) <= set(numbers.wanted(whole).tolist())


@given(
    PIECES,
    PIECES | TYPED,
    PIECES,
    st.lists(st.sampled_from(["", "-", "ー", "\u2212"]), min_size=14, max_size=14),
)
def test_what_the_database_would_find_is_never_left_out(
    before: str, text: str, after: str, hyphens: list[str]
) -> None:
    spelled = "".join(c + hyphen for c, hyphen in zip(text.replace("-", ""), hyphens, strict=False))
    found = texts.words(text.replace("\n", " "))
    of_letters, of_numbers = texts.runs(found)
    for whole in map(fold, (before + text + after, before + spelled + after)):
        values: dict[str, str] = {}
        conditions = " AND ".join(["true", *texts.conditions(found, values)])
        sql = f"SELECT {conditions} FROM (SELECT $value AS words, NULL::VARCHAR AS folded)"
        if duckdb.execute(sql, {**values, "value": whole}).fetchone() == (True,):
            had = grams._hashes("\n".join([*grams._digits(), whole]))
            assert set(of_letters.runs.tolist()) <= set(had.tolist())
            assert set(of_numbers.tolist()) <= set(numbers._runs(whole).tolist())


def test_row_groups_without_the_number_are_left_out(tmp_path: Path) -> None:
    path, size = saved(tmp_path, ["90417724", "a"], ["証券_904177.pdf"], ["tel:03-1234-5678"], [])
    looked = {
        text: numbers.rows_with(path, size, numbers.wanted(text))
        for text in ("90417724", "904177", "417724", "0312345678", "03-1234-56", "99999999", "90417", "契約")
    }
    assert looked == {
        "90417724": range(2),
        "904177": range(3),
        "417724": range(2),
        "0312345678": range(3, 4),
        "03-1234-56": range(3, 4),
        "99999999": range(0),
        "90417": range(5),  # too short to tell
        "契約": range(5),
    }


def test_each_number_is_found_in_its_own_row_group(tmp_path: Path) -> None:
    drawn = random.Random(20261123)
    groups = [[str(drawn.randrange(10**5, 10**9)) for _ in range(300)] for _ in range(130)]
    path, size = saved(tmp_path, *groups)
    spans = []
    for number, values in enumerate(groups):
        for value in values[:5]:
            found = numbers.rows_with(path, size, numbers.wanted(value))
            assert found is not None and number * 300 in found
            spans.append(len(found))
    assert sum(spans) / len(spans) < 1_500  # of 39,000; 130 groups share 64 bits
    assert beside.at(path, beside.NUMBERS).stat().st_size < 10 * 39_000  # four runs a number


def test_damaged_ones_hide_nothing(tmp_path: Path) -> None:
    path, size = saved(tmp_path, ["90417724"], ["12345678"])
    standing = beside.at(path, beside.NUMBERS)
    whole = standing.read_bytes()
    text = numbers.wanted("90417724")
    assert numbers.rows_with(path, size, text) == range(1) and numbers.intact(path, size)
    assert numbers.rows_with(path, size + 1, text) is None and not numbers.intact(path, size + 1)
    for place in (*range(64), *range(64, len(whole), 29)):
        standing.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert not numbers.intact(path, size)
        assert numbers.rows_with(path, size, text) in (None, range(1))  # of other blocks nothing is asked
        standing.write_bytes(whole[:place])
        assert not numbers.intact(path, size)
        assert numbers.rows_with(path, size, text) in (None, range(1))
    standing.unlink()
    assert numbers.rows_with(path, size, text) is None and not numbers.intact(path, size)


def test_more_row_groups_than_are_read_at_once(tmp_path: Path) -> None:
    path, size = saved(tmp_path, *([f"{number:08}"] for number in range(3_000)))
    found = numbers.rows_with(path, size, numbers.wanted("00002999"))
    assert found is not None and 2_999 in found and len(found) < 200


def test_a_search_for_a_number_reads_the_days_that_may_have_it(
    searching: Searching, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(4):
        at = NOON + day * DAY
        ledger.accept([file_entry(n, at=at, name=f"証券{90417720 + day}") for n in range(3)], time=at)
    searching.catch_up(ledger)
    searching.keeper.tidy(everything=True)
    read: list[tuple[str, int]] = []
    look = skipping.Skipper._look

    def looked(self: skipping.Skipper, file: object) -> range:
        found = look(self, file)  # type: ignore[arg-type]
        read.append((file.day, len(found)))  # type: ignore[attr-defined]
        return found

    monkeypatch.setattr(skipping.Skipper, "_look", looked)
    assert len(searching.all(text="９０４１７７２２")) == 3
    assert sorted(read) == [("2026-11-23", 0), ("2026-11-24", 0), ("2026-11-25", 3), ("2026-11-26", 0)]
    assert searching.all(text="90417724") == []
    assert len(searching.all(text="9041772")) == 12
