"""One demo for all tests of this folder that only look at it."""

from collections.abc import Iterator

import pytest
from running_demo import RunningDemo, Tree


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    running = RunningDemo(Tree(tmp_path_factory.mktemp("system")))
    yield running
    running.stop()
