"""Searches: what is found, in which order, page by page; compared with looking at every entry in turn."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from search_office import DAY, LOG, NOON, Ledger, Searching, device_of, file_entry, fill, open_search

from securepc.manager.search import forgetting
from securepc.manager.search import query as asking
from securepc.manager.search import store as storing
from securepc.manager.search.model import Cursor, EntryId, Hit, Invalid, Query
from securepc.wire.event import Event, from_entry, to_entry

HALF, COMPOSED, APART = "\uff76\uff9e\uff7d", "\u30ac\u30b9", "\u30ab\u3099\u30b9"
"""ガス in half width, as usual, and as macOS names files."""
PATHS = [
    "/家/顧客/見積書_100%.xlsx",
    r"C:\Users\Test\Documents\Keiyaku (1).DOCX",
    "C:\\Users\\テスト\\契約[最終].pdf",
    f"/srv/{HALF}料金/ABC株式会社.txt",
    f"/srv/{COMPOSED}料金/ABC株式会社.txt",
    f"/srv/{APART}料金/ABC株式会社.txt",
    "a.b*c+d?e^f$g|h\\d(i){j}",
    "Straße/ÉCOLE.txt",
]


def of(path: str, kind: str = "file.create", user: str = "テスト太郎", **more: Any) -> bytes:
    return to_entry(Event(kind, NOON, 1, "b", user, data={"path": path, "size": 42}, **more))


@pytest.fixture
def filled(searching: Searching, ledger: Ledger) -> Searching:
    ledger.accept([of(path) for path in PATHS])
    searching.catch_up(ledger)
    return searching


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("見積", {1}),
        ("100%", {1}),
        ("100%", {1}),
        ("keiyaku (1).docx", {2}),
        (r"users\test", {2}),
        ("USERS", {2, 3}),
        ("契約[最終]", {3}),
        (COMPOSED, {4, 5, 6}),
        (HALF, {4, 5, 6}),
        (APART, {4, 5, 6}),
        ("abc株式", {4, 5, 6}),
        ("a.b*c+d?e^f$g|h\\d(i){j}", {7}),
        (".*", set()),
        ("\\d", {2, 7}),
        ("É", {8}),
        ("aße/é", {8}),
        ("42", set(range(1, 9))),
        ("path", set()),  # a field's name is not what happened
        ("' OR 1=1 --", set()),
        (f"株式会社 {HALF}", {4, 5, 6}),  # words: all of them, in whatever order
        ("keiyaku\u3000DOCX", {2}),
        ("見積 契約", set()),
        ('"keiyaku (1)"', {2}),
        ('"(1) keiyaku"', set()),
        ("\uff02Keiyaku (1)\uff02 users", {2}),
        ("”keiyaku (1)” 42", {2}),
        ("“(1) keiyaku”", set()),
        ('"keiyaku', set()),  # one quote alone is a quote
        ("ＡＢＣ株式会社．ｔｘｔ", {4, 5, 6}),
        (" 見積 ", {1}),
        ("   ", set(range(1, 9))),
    ],
)
def test_text(filled: Searching, text: str, numbers: set[int]) -> None:
    assert {hit.sequence for hit in filled.all(text=text)} == numbers
    filled.store.flush(force=True)
    assert {hit.sequence for hit in filled.all(text=text)} == numbers


NUMBERS = [
    "証券_90417724.pdf",
    "/顧客/9041-7724/申込書.pdf",
    "０３ー１２３４ー５６７８",
    "TEL 03(1234)5678",
    "03-1234-5678.vcf",
    "0312345678 0.9041 7724",
    "904177",
]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("90417724", {1, 2}),
        ("９０４１７７２４", {1, 2}),
        ("9041-7724", {1, 2}),
        ("90-417724", {1, 2}),
        ("904177", {1, 2, 7}),
        ("0312345678", {3, 5, 6}),
        ("03-1234-5678", {3, 5, 6}),
        ("03\u22121234\u22125678", {3, 5, 6}),
        ('"03-1234-5678" vcf', {5}),
        ("9041-", {2}),
        ("7724", {1, 2, 6}),
        ("9041 7724", {1, 2, 6}),
        ("03(1234)5678", {4}),
        ("90417725", set()),
    ],
)
def test_numbers_are_found_however_they_are_hyphenated(
    searching: Searching, ledger: Ledger, text: str, numbers: set[int]
) -> None:
    ledger.accept([of(name) for name in NUMBERS])
    searching.catch_up(ledger)
    assert {hit.sequence for hit in searching.all(text=text)} == numbers
    searching.keeper.tidy(everything=True)
    assert {hit.sequence for hit in searching.all(text=text)} == numbers


def test_text_that_cannot_be_searched_for_is_refused(filled: Searching) -> None:
    for text in ("あ" * 501, "a\x1fb", "a\nb", " ".join(map(str, range(21)))):
        with pytest.raises(Invalid) as refused:
            filled.all(text=text)
        assert refused.value.ja and refused.value.en


def test_kinds_families_users_and_results(searching: Searching, ledger: Ledger) -> None:
    ledger.accept(
        [
            of("1"),
            of("2", "file.delete", user="Test.Hanako"),
            of("3", "folder.create"),
            of("4", "process.start", result="failed"),
            of("5", "filed.away"),
            of("6", "future.kind", user=""),
        ]
    )
    searching.catch_up(ledger)

    def found(**conditions: Any) -> set[int]:
        return {hit.sequence for hit in searching.all(**conditions)}

    assert found(kinds=("file.create",)) == {1}
    assert found(kinds=("file.*",)) == {1, 2, 3}  # folders are of the family
    assert found(kinds=("future.*", "process.start")) == {4, 6}
    assert found(kinds=("nonsense",)) == set()
    assert found(user="test.hanako") == {2}
    assert found(user="テスト太郎", kinds=("file.*",)) == {1, 3}
    assert found(result="failed") == {4}
    assert found(result="ok") == {1, 2, 3, 5, 6}


def test_a_search_does_not_find_itself(searching: Searching, ledger: Ledger) -> None:
    ledger.accept(
        [
            to_entry(Event(kind, NOON, 1, "b", data={"query": "text=顧客名簿"}))
            for kind in ("admin.search", "admin.export", "admin.device")
        ]
    )
    searching.catch_up(ledger)
    assert [hit.kind for hit in searching.all(text="顧客名簿")] == ["admin.device"]
    assert len(searching.all(text="顧客名簿", kinds=("admin.*",))) == 3
    assert len(searching.all()) == 3


def test_what_is_found_is_what_the_device_wrote(searching: Searching, ledger: Ledger) -> None:
    entries = [of(PATHS[2], result="blocked"), b"\xff raw", b'{"kind":"x.y","at":5,"later":1}']
    batch = ledger.accept(entries)
    searching.catch_up(ledger)
    found = sorted(searching.all(), key=lambda hit: hit.sequence)
    assert [hit.entry for hit in found] == entries
    assert found[0].id == f"{device_of(1).hex()}.1"
    assert (found[0].happened, found[0].up, found[0].received) == (NOON, 1, batch.block_time)
    assert (found[0].kind, found[0].user, found[0].result, found[0].leaf) == (
        "file.create",
        "テスト太郎",
        "blocked",
        0,
    )
    assert found[0].data == '{"path":"C:\\\\Users\\\\テスト\\\\契約[最終].pdf","size":42}'
    assert (found[1].data, found[2].data, found[2].kind, found[2].happened) == ("null", "null", "x.y", 5)


def test_an_entry_and_its_surroundings(
    searching: Searching, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ledger)
    monkeypatch.setattr(storing, "FLUSH_SECONDS", 0.0)
    searching.catch_up(ledger, step=9)
    searching.keeper.tidy()
    searching.announce(303, [file_entry(1)], device=1, epoch=99)
    for sequence in (1, 150, 300):
        hit = searching.service.entry(LOG, EntryId(device_of(1), sequence))
        assert hit is not None and hit.sequence == sequence and hit.device == device_of(1).hex()
    around = searching.service.between(LOG, device_of(1), 298, 310)
    assert [(hit.sequence, hit.sealed) for hit in around] == [
        (298, True),
        (299, True),
        (300, True),
        (303, False),
    ]
    assert searching.service.entry(LOG, EntryId(device_of(1), 400)) is None
    assert searching.service.entry(LOG, EntryId(device_of(9), 1)) is None


def test_agencies_see_nothing_of_each_other(tmp_path: Path) -> None:
    ours, theirs = Ledger(b"A" * 16), Ledger(b"B" * 16)
    ours.accept([of("/ours")])
    theirs.accept([of("/theirs")])
    searching = open_search(tmp_path / "s", ours)
    for force in (False, True):
        searching.catch_up(ours)
        searching.catch_up(theirs)
        assert [hit.entry for hit in searching.all(ours.log)] == [of("/ours")]
        assert [hit.entry for hit in searching.all(theirs.log, text="/")] == [of("/theirs")]
        assert searching.all(b"C" * 16) == []
        assert searching.service.entry(theirs.log, EntryId(device_of(1), 1)).entry == of("/theirs")  # type: ignore[union-attr]
        searching.store.flush(force=force)
    folders = {path.parent.name for path in (tmp_path / "s").rglob("*.parquet")}
    assert folders == {ours.log.hex(), theirs.log.hex()}
    forgetting.expire(searching.store, ours.log, "2026-11")
    assert searching.all(ours.log) == [] and len(searching.all(theirs.log)) == 1
    searching.store.close()


def plainly(hits: list[Hit], query: Query) -> list[Hit]:
    """The same search by looking at each entry."""
    found = []
    for hit in hits:
        event = from_entry(hit.entry)
        text = unicodedata.normalize("NFKC", " ".join(map(str, event.data.values()))) if event else hit.data
        if (
            (query.start is None or hit.happened >= query.start)
            and (query.end is None or hit.happened < query.end)
            and (not query.devices or hit.device in query.devices)
            and (not query.text or unicodedata.normalize("NFKC", query.text).lower() in text.lower())
            and (query.before is None or hit.cursor < query.before)
        ):
            found.append(hit)
    found.sort(key=lambda hit: hit.cursor, reverse=True)
    return found[: query.limit]


@pytest.mark.parametrize("window", [1, 40, 50_000])
def test_any_search_finds_what_looking_at_every_entry_finds(
    searching: Searching, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    fill(ledger, 4)
    monkeypatch.setattr(storing, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(asking, "FIRST_WINDOW", window)
    monkeypatch.setattr(asking, "WANTED", 30)
    for start in range(0, len(ledger.opened), 6):
        batches = ledger.opened[start : start + 6]
        searching.follower.follow(LOG, batches, start + len(batches))
        if start % 4:
            searching.keeper.tidy()
    everything = searching.all()
    assert len(everything) == 4 * 201
    assert everything == plainly(everything, Query())
    choose = random.Random(window)
    for _ in range(60):
        around = choose.choice(everything).happened
        query = Query(
            start=choose.choice([None, around, around - DAY]),
            end=choose.choice([None, around + 1, around + DAY]),
            devices=choose.choice([(), (device_of(2).hex(),), (device_of(1).hex(), device_of(3).hex())]),
            text=choose.choice([None, None, "見積_000001", "100", "無い"]),
            limit=choose.choice([None, 1, 7, 1_000]),
            before=choose.choice([None, None, choose.choice(everything).cursor]),
        )
        assert list(searching.service.search(LOG, query)) == plainly(everything, query), query


def test_pages_put_together_are_the_whole(searching: Searching, ledger: Ledger) -> None:
    # Everything at one moment: only device and number tell the rows apart.
    for device in (1, 2, 3):
        ledger.accept([of(f"/{n}") for n in range(30)], device=device)
    ledger.accept(None, size=0, device=1, at=NOON)  # beside the number of the entry that follows it
    ledger.accept([of("/last")], device=1)
    searching.catch_up(ledger)
    whole = searching.all()
    pages: list[Hit] = []
    before = None
    while page := searching.all(limit=7, before=before):
        pages += page
        before = Cursor.parse(str(page[-1].cursor))
    assert pages == whole and len(whole) == 92


@pytest.mark.parametrize("text", ["", "x", "1.2.3", f"1.{'a' * 32}", f"-1.{'a' * 32}.1", f"1.{'A' * 32}.1"])
def test_cursors_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Cursor.parse(text)


@pytest.mark.parametrize(
    "text", ["", "x", f"{'a' * 31}.1", f"{'a' * 32}.01", f"{'a' * 32}.-1", f"{'A' * 32}.1"]
)
def test_entry_ids_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        EntryId.parse(text)
    assert str(EntryId.parse(f"{'a' * 32}.17")) == f"{'a' * 32}.17"
