"""Backup, restore and the opening of a successor, struck in the middle: each goes on, and nothing is half."""

from __future__ import annotations

from pathlib import Path

import pytest
import shim

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shim.compiler() is None:
        pytest.skip("no C compiler")
    return shim.build(tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize(
    ("workload", "step"), [("restore_workload", 2), ("successor_workload", 23), ("backup_workload", 41)]
)
@pytest.mark.parametrize("kind", ["kill", "power"])
def test_struck_anywhere_it_goes_on(
    library: Path, tmp_path: Path, workload: str, kind: str, step: int
) -> None:
    """Every so many calls that change files: a manager's databases are written in hundreds, which have sweeps
    of their own."""
    tries = shim.sweep(library, HERE / f"{workload}.py", tmp_path / "sweep", [kind], step=step, seconds=2300)
    print(shim.summary(tries))
    assert len(tries) >= 8
    assert all(tried.died for tried in tries)
    bad = [tried for tried in tries if tried.error]
    assert not bad, f"{len(bad)} of {len(tries)}: {bad[0]}"
