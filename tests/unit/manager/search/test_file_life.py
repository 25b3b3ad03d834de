"""A file is followed through renames, moved folders, programs that save; another of its name is not."""

from __future__ import annotations

from typing import Any

from search_office import NOON, Ledger, Searching, device_of

from securepc.manager.search import life
from securepc.manager.search.model import EntryId
from securepc.wire.event import Event, to_entry

SECOND = 1_000_000
PAPER = "/home/test/書類/見積書.xlsx"


def told(ledger: Ledger, *acts: tuple[int, str, dict[str, Any]], device: int = 1) -> None:
    """Entries of a PC at these seconds."""
    ledger.accept(
        [
            to_entry(Event(kind, NOON + at * SECOND, 1_000, "b0" * 16, "test", data=data))
            for at, kind, data in acts
        ],
        device=device,
    )


def followed(
    searching: Searching, ledger: Ledger, number: int, device: int = 1
) -> tuple[list[str], list[int]]:
    """The names of the file that an entry is about, and the numbers of its life's entries, oldest first."""
    searching.catch_up(ledger)
    hit = searching.service.entry(ledger.log, EntryId(device_of(device), number))
    assert hit is not None
    start = life.anchor(hit)
    assert start is not None
    found = life.trace(lambda query: searching.service.search(ledger.log, query), *start)
    assert found.whole
    return list(found.names), [step.hit.sequence for step in reversed(found.steps)]


def test_renames_and_moved_folders_are_followed_both_ways(searching: Searching, ledger: Ledger) -> None:
    new, moved, last = (
        PAPER.replace("見積書", "請求書"),
        "/home/test/保管/請求書.xlsx",
        "/mnt/usb/請求書.xlsx",
    )
    told(
        ledger,
        (0, "file.create", {"path": PAPER, "size": 1}),
        (10, "file.modify", {"path": PAPER, "size": 2}),
        (15, "file.modify", {"path": PAPER + ".bak", "size": 2}),
        (20, "file.rename", {"from": PAPER, "to": new, "size": 2}),
        (30, "folder.rename", {"from": "/home/test/書類", "to": "/home/test/保管"}),
        (35, "folder.rename", {"from": "/home/test/書", "to": "/home/test/本"}),
        (40, "file.rename", {"from": moved, "to": last, "size": 2}),
        (50, "file.delete", {"path": last}),
        (60, "file.create", {"path": PAPER, "size": 9}),  # another file
        (70, "file.create", {"path": last, "size": 9}),
    )
    told(ledger, (5, "file.modify", {"path": PAPER}), device=2)  # another PC's
    whole = [PAPER, new, moved, last], [1, 2, 4, 5, 7, 8]
    for number in (1, 2, 4, 7, 8):
        assert followed(searching, ledger, number) == whole
    assert followed(searching, ledger, 9) == ([PAPER], [9])
    assert followed(searching, ledger, 10) == ([last], [10])
    assert followed(searching, ledger, 1, device=2) == ([PAPER], [1])


def test_a_program_that_saves_does_not_end_a_life(searching: Searching, ledger: Ledger) -> None:
    written, put_away = "/home/test/書類/A1B2.tmp", "/home/test/書類/C3D4.tmp"
    told(
        ledger,
        (0, "file.create", {"path": PAPER, "size": 1}),
        (10, "file.create", {"path": written, "size": 2}),
        (10, "file.rename", {"from": written, "to": PAPER, "size": 2}),  # over the old one
        (20, "file.create", {"path": written, "size": 3}),
        (20, "file.rename", {"from": PAPER, "to": put_away, "size": 2}),  # the old one first
        (20, "file.rename", {"from": written, "to": PAPER, "size": 3}),
        (21, "file.delete", {"path": put_away}),
        (30, "file.modify", {"path": PAPER, "size": 4}),
    )
    for number in (1, 3, 6, 8):
        assert followed(searching, ledger, number) == ([PAPER], [1, 3, 5, 6, 8])


def test_a_download_begins_under_another_name(searching: Searching, ledger: Ledger) -> None:
    part = PAPER + ".part"
    told(
        ledger,
        (0, "file.create", {"path": part, "size": 0}),
        (2, "file.modify", {"path": part, "size": 10}),
        (3, "file.rename", {"from": part, "to": PAPER, "size": 10}),
    )
    assert followed(searching, ledger, 3) == ([part, PAPER], [1, 2, 3])


def test_names_that_go_round_in_circles_come_to_an_end(searching: Searching, ledger: Ledger) -> None:
    pair = ("/a/x", "/a/y")
    acts = [(10 * n, "file.rename", {"from": pair[n % 2], "to": pair[1 - n % 2]}) for n in range(6)]
    told(ledger, *acts)
    names, entries = followed(searching, ledger, 3)
    assert set(names) == set(pair) and entries == [1, 2, 3, 4, 5, 6]


def test_copies_are_found_by_name_and_by_contents(searching: Searching, ledger: Ledger) -> None:
    medium = {"medium": "架空USB", "size": 5}
    told(
        ledger,
        (0, "file.create", {"path": PAPER, "size": 5}),
        (10, "media.write", {"path": "/mnt/usb/見積書.xlsx", "sha256": "ab" * 32, **medium}),
        (20, "media.write", {"path": "/mnt/usb/古い見積書.xlsx", "sha256": "cd" * 32, **medium}),
    )
    told(
        ledger,
        (30, "media.write", {"path": "/mnt/usb/別名.xlsx", "sha256": "ab" * 32, **medium}),
        (40, "print.job", {"document": "見積書.xlsx", "path": "C:\\書類\\見積書.xlsx", "pages": 2}),
        device=2,
    )
    searching.catch_up(ledger)

    def leavings(number: int) -> list[tuple[str, int]]:
        hit = searching.service.entry(ledger.log, EntryId(device_of(1), number))
        assert hit is not None
        start = life.anchor(hit)
        assert start is not None
        found = life.trace(lambda query: searching.service.search(ledger.log, query), *start)
        return [(each.device, each.sequence) for each in found.leavings]

    other, own = device_of(2).hex(), device_of(1).hex()
    assert leavings(1) == [(other, 2), (own, 2)]
    assert leavings(2) == [(other, 2), (other, 1)]  # its own contents under another name


def test_only_entries_about_files_have_one(searching: Searching, ledger: Ledger) -> None:
    told(
        ledger,
        (0, "process.start", {"exe": "/usr/bin/soffice"}),
        (1, "file.create", {"path": ""}),
        (2, "file.create", {"path": 7}),
        (3, "file.create", {"path": "x" * 501}),
        (4, "folder.rename", {"from": "/a", "to": "/b"}),
    )
    searching.catch_up(ledger)
    assert [life.anchor(hit) for hit in searching.all()] == [None] * 5
