"""Every test that docs/security.md names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
TESTS = {
    path.name: set(
        re.findall(r"^ *(?:async )?def (test_\w+)|^class (Test\w+)", path.read_text("utf-8"), re.M)
    )
    for path in (ROOT / "tests").rglob("test_*.py")
}
FUNCTIONS = {name for found in TESTS.values() for pair in found for name in pair if name}


def test_named_files_are_there() -> None:
    named = set(re.findall(r"\btest_\w+\.py\b", PAGE))
    assert len(named) > 30
    assert named <= set(TESTS)


def test_named_functions_are_where_they_are_said_to_be() -> None:
    missing = [
        f"{file}::{function}"
        for file, function in re.findall(r"\b(test_\w+\.py)::(\w+)", PAGE)
        if not any(function in pair for pair in TESTS.get(file, ()))
    ]
    assert missing == []


def test_functions_named_without_a_file_are_somewhere() -> None:
    named = set(re.findall(r"`(?:…::)?(test_\w+)`", PAGE))
    assert named and named <= FUNCTIONS
