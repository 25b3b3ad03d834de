"""What is left unread never hides a hit, and what could be left unread is."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from search_office import DAY, LOG, NOON, Ledger, Searching, file_entry, fill, open_search

from securepc.manager.search import beside, files, grams, skipping
from securepc.manager.search.manifest import DAILY
from securepc.manager.search.rows import Source, fold, joined, of_entries
from securepc.wire.event import Event, to_entry

LETTERS = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), max_size=12)
RELATED = st.text("kKK\u017fsSßẞσςΣİiIıåÅÅﾐﾂミツ見積鰻重\U0002000b\U000a1234 9", max_size=8)


@given(LETTERS | RELATED, LETTERS | RELATED, LETTERS | RELATED)
@example("", "K", "")
@example("", "ẞ", "")
@example("", "ς", "")
def test_whatever_a_search_finds_has_the_runs_of_its_text(before: str, text: str, after: str) -> None:
    whole = before + text + after
    for word in (text, text.swapcase(), text.lower(), text.upper(), text.casefold(), fold(text)):
        folded = fold(word)
        pattern = "".join(f"\\{c}" if c.isascii() and not c.isalnum() and c != "_" else c for c in folded)
        found = duckdb.execute("SELECT regexp_matches(?, ?, 'i')", [fold(whole), pattern]).fetchone()
        if found == (True,):
            assert set(grams.wanted(folded).runs.tolist()) <= set(grams._hashes(fold(whole)).tolist())


def batch_of(*names: str) -> pa.RecordBatch:
    entries = [to_entry(Event("file.create", 1, 1, "b0" * 16, "u", data={"path": name})) for name in names]
    return joined(of_entries(Source("0" * 32, 1, 1, 0, 0, 0), entries))


def written(folder: Path, *groups: tuple[str, ...]) -> tuple[Path, int]:
    """A file with a row group of each of these."""
    path = folder / "day.parquet"
    found = files.write(path, [batch_of(*names) for names in groups], 1, skippable=True)
    assert found is not None and pq.ParquetFile(path).num_row_groups == len(groups)
    return path, found.size


def test_row_groups_without_the_text_are_left_out(tmp_path: Path) -> None:
    path, size = written(tmp_path, ("a.txt", "/書類/鰻重.txt"), ("見積.xlsx",) * 3, ("Kaiyaku.docx", "ｳﾅｷﾞ"))
    looked = {
        text: grams.rows_with(path, size, grams.wanted(text))
        for text in ("鰻重", "鰻", "見積", "KAIYAKU", "ウナギ", "xlsx", "重見", "kayaku", "20", "\u0378")
    }
    assert looked == {
        "鰻重": range(2),
        "鰻": range(2),
        "見積": range(2, 5),
        "KAIYAKU": range(5, 7),
        "ウナギ": range(5, 7),
        "xlsx": range(2, 5),
        "重見": range(0),
        "kayaku": range(0),
        "20": range(7),  # numbers are not told apart
        "\u0378": range(7),  # nor is what is no letter
    }


def test_more_row_groups_than_bits_share_them(tmp_path: Path) -> None:
    path, size = written(tmp_path, *((f"名{chr(0x4E00 + 3 * n)}.txt",) for n in range(130)))
    for number in (0, 63, 64, 128, 129):
        found = grams.rows_with(path, size, grams.wanted(f"名{chr(0x4E00 + 3 * number)}"))
        assert found is not None and number in found and len(found) <= 3


def test_damaged_ones_hide_nothing(tmp_path: Path) -> None:
    path, size = written(tmp_path, ("a.txt",), ("見積.xlsx",))
    runs, text = beside.at(path, beside.GRAMS), grams.wanted("鱧")
    whole = runs.read_bytes()
    assert grams.rows_with(path, size, text) == range(0)
    assert grams.rows_with(path, size + 1, text) is None  # of another file
    for place in (*range(64), *range(64, len(whole), 97)):
        runs.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert grams.rows_with(path, size, text) is None
        runs.write_bytes(whole[:place])
        assert grams.rows_with(path, size, text) is None
    runs.unlink()
    assert grams.rows_with(path, size, text) is None
    files.remake_sieve(path)
    assert runs.read_bytes() == whole


def test_a_search_reads_only_files_that_may_match(
    searching: Searching, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day, name in enumerate(("見積", "申込", "請求", "見積")):
        at = NOON + day * DAY
        ledger.accept([file_entry(n, at=at, name=name) for n in range(3)], time=NOON + day * DAY)
    searching.catch_up(ledger)
    searching.keeper.tidy(everything=True)
    listed = searching.store.status(LOG)[0]
    assert len(listed) == 4 and all(file.level >= DAILY for file in listed)
    read: list[tuple[str, int]] = []
    look = skipping.Skipper._look

    def looked(self: skipping.Skipper, file: object) -> range:
        found = look(self, file)  # type: ignore[arg-type]
        read.append((file.day, len(found)))  # type: ignore[attr-defined]
        return found

    monkeypatch.setattr(skipping.Skipper, "_look", looked)
    assert len(searching.all(text="申込")) == 3
    assert sorted(read) == [("2026-11-23", 0), ("2026-11-24", 3), ("2026-11-25", 0), ("2026-11-26", 0)]
    assert searching.all(text="鱧料理") == []
    assert len(searching.all(text="見積")) == 6


def test_missing_ones_are_made_again_and_no_answer_changes(tmp_path: Path, ledger: Ledger) -> None:
    fill(ledger, 2)
    searching = open_search(tmp_path / "s", ledger)
    searching.catch_up(ledger, step=5)
    searching.keeper.tidy(everything=True)
    asked = [{"text": text} for text in ("見積_000001", "鱧", "xlsx", "1001", "key", "000004", "90417724")]
    answers = [searching.all(**each) for each in asked]
    assert [len(each) > 0 for each in answers] == [True, False, True, True, True, True, False]
    listed = [searching.store.folder / file.path for file in searching.store.status(LOG)[0]]
    standing = [each for path in listed for each in beside.paths(path)]
    contents = [path.read_bytes() for path in standing]
    assert len(standing) >= 8 and all(contents)
    standing[0].unlink()
    standing[2].write_bytes(contents[2][:-1])
    standing[5].write_bytes(contents[5][:-1] + bytes([contents[5][-1] ^ 1]))
    standing[7].unlink()
    assert [searching.all(**each) for each in asked] == answers
    for _ in range(2 * len(listed)):  # one a second
        searching.keeper.tidy()
    assert [path.read_bytes() for path in standing] == contents
    searching.store.close()
    again = open_search(tmp_path / "s", ledger)  # what is listed keeps what stands beside it
    assert [path.read_bytes() for path in standing] == contents
    assert [again.all(**each) for each in asked] == answers
    again.store.close()


def test_what_is_forgotten_leaves_no_runs_behind(searching: Searching, ledger: Ledger) -> None:
    ledger.accept([file_entry(1, name="鰻重"), file_entry(2)])
    searching.catch_up(ledger)
    searching.keeper.tidy(everything=True)
    word = grams.wanted("鰻重")
    [file] = searching.store.status(LOG)[0]
    assert grams.rows_with(searching.store.folder / file.path, file.size, word) == range(2)
    searching.service.redact(LOG, ledger.opened[0].header, 0, [1])
    [file] = searching.store.status(LOG)[0]
    assert grams.rows_with(searching.store.folder / file.path, file.size, word) == range(0)
    assert set(searching.store.folder.rglob("*.parquet.*")) == set(
        beside.paths(searching.store.folder / file.path)
    )
    searching.service.expire(LOG, "2026-11")
    assert not [path for path in (searching.store.folder / "daily").rglob("*") if path.is_file()]
