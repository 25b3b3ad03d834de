"""Inventories in parts, their digest, and what the rules say of a program."""

from __future__ import annotations

import json

import pytest

from securepc.wire import software
from securepc.wire.batch import MAX_ENTRY
from securepc.wire.doors import Software, SoftwareRule
from securepc.wire.software import Program, judge

MANY = [Program("dpkg", f"package-{n}", "amd64", f"1.{n}", "架空 <a@b>" * 5) for n in range(3_000)]


def test_parts_hold_every_program_and_fit_an_entry() -> None:
    parts = list(software.parts(MANY))
    assert [software.read_row(row) for part in parts for row in part] == [
        one._replace(publisher=one.publisher[:120]) for one in MANY
    ]
    assert max(len(json.dumps(part)) for part in parts) < MAX_ENTRY
    assert list(software.parts([])) == [[]]


def test_the_digest_is_of_the_set() -> None:
    assert software.digest(MANY) == software.digest(reversed(MANY))
    assert software.digest(MANY) != software.digest(MANY[1:])
    assert software.digest(MANY) == software.digest([one._replace(title="x", auto=True) for one in MANY])


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        ["dpkg", "vim", "amd64", "1", "", ""],
        ["", "vim", "amd64", "1", "", "", 0],
        ["dpkg", "", "amd64", "1", "", "", 0],
        ["dpkg", "x" * 201, "", "", "", "", 0],
        ["dpkg", "vim", "amd64", 1, "", "", 0],
        ["dpkg", "vim", "amd64", "1", "", "", 2],
        ["dpkg", "vim", "amd64", "1", "", "", "0"],
        {"source": "dpkg"},
    ],
)
def test_what_is_no_row_is_none(row: object) -> None:
    assert software.read_row(row) is None


@pytest.mark.parametrize(
    ("name", "publisher", "fits"),
    [
        ("anydesk", "", True),
        ("AnyDesk*", "", True),
        ("*desk", "", True),
        ("any[d]esk", "", False),
        ("anydes?", "", False),
        ("anydesk", "*Software GmbH*", True),
        ("", "*gmbh*", True),
        ("", "", False),
        ("anydesk", "Other", False),
        ("遠隔*", "", True),
    ],
)
def test_patterns(name: str, publisher: str, fits: bool) -> None:
    program = Program("dpkg", "anydesk", "amd64", "6.3", "AnyDesk Software GmbH <a@b>", "遠隔デスクトップ")
    assert software.fits(SoftwareRule(name=name, publisher=publisher), program) is fits


def test_deny_wins() -> None:
    program = Program("dpkg", "vim")
    both = Software(allow=(SoftwareRule(name="vim"),), deny=(SoftwareRule(name="v*", reason="なし"),))
    assert judge(both, program, frozenset({("dpkg", "vim")}), needed=True) == ("denied", "v*", "なし")
    assert judge(Software(), program, frozenset()).verdict == "allowed"
