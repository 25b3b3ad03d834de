from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from running_manager import Keeper, Running, make_home


@pytest.fixture(scope="session")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two agencies, to copy."""
    home = tmp_path_factory.mktemp("fresh") / "home"
    make_home(home, "架空商事", "架空設計")
    return home


@pytest.fixture
def home(fresh_home: Path, tmp_path: Path) -> Path:
    import shutil

    shutil.copytree(fresh_home, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def running(home: Path, keeper: Keeper) -> Iterator[Running]:
    with Running(home, lambda manager: manager.opener.subscribe(keeper)) as running:
        yield running
