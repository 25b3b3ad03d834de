"""The worked examples of docs/formats: fenced blocks with a name after the language."""

from __future__ import annotations

import re
from pathlib import Path

FORMATS = Path(__file__).parents[2] / "docs" / "formats"
_BLOCK = re.compile(r"^```[a-z]+ ([^\n]+)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def text(page: str) -> str:
    """A page's whole text."""
    return (FORMATS / f"{page}.md").read_text(encoding="utf-8")


def examples(page: str) -> dict[str, str]:
    """The contents of a page's named blocks by name, without their last line feed."""
    found = _BLOCK.findall(text(page))
    assert len(found) == len(dict(found)), "two blocks of one name"
    return dict(found)


def rows(page: str) -> list[list[str]]:
    """The cells of all table rows of a page, heads and rules left out."""
    lines = [line for line in text(page).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
