"""Fixtures of the search tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from search_office import Ledger, Searching, open_search


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def searching(tmp_path: Path, ledger: Ledger) -> Iterator[Searching]:
    opened = open_search(tmp_path / "search", ledger)
    yield opened
    opened.store.close()
