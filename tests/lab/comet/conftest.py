"""Four validators, fresh for each test; CometBFT is built once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import go_tools
import pytest
from validators import Testnet


@pytest.fixture(scope="session")
def program() -> Path:
    return go_tools.build(Path(__file__).parent, "github.com/cometbft/cometbft/cmd/cometbft") / "cometbft"


@pytest.fixture(scope="module")
def shared(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testnet]:
    """One for the tests of a module that harm nobody."""
    with Testnet(tmp_path_factory.mktemp("shared") / "net", program) as net:
        yield net


@pytest.fixture
def net(program: Path, tmp_path: Path) -> Iterator[Testnet]:
    with Testnet(tmp_path / "net", program) as net:
        yield net
