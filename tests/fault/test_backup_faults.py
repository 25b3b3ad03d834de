"""Backup, restore and the opening of a successor, struck in the middle: each goes on, and nothing is half."""

from __future__ import annotations

from pathlib import Path

import pytest
import shim

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shim.build(tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize(
    ("workload", "step"), [("restore_workload", 9), ("successor_workload", 46), ("backup_workload", 70)]
)
@pytest.mark.parametrize("kind", ["kill", "power"])
@pytest.mark.parametrize("finer", [1, pytest.param(4, marks=pytest.mark.soak)])
def test_struck_anywhere_it_goes_on(
    library: Path, tmp_path: Path, workload: str, step: int, kind: str, finer: int
) -> None:
    """Every so many calls that change files: a manager's databases are written in hundreds, which have sweeps
    of their own."""
    script = HERE / f"{workload}.py"
    tries = shim.sweep(library, script, tmp_path / "sweep", [kind], step=step // finer, seconds=2300)
    print(shim.summary(tries))
    assert len(tries) >= 6 * finer
    assert all(tried.died for tried in tries)
    bad = [tried for tried in tries if tried.error]
    assert not bad, f"{len(bad)} of {len(tries)}: {bad[0]}"
