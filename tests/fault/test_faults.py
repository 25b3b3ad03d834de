"""Each call that changes the ledger's files fails or is the last before the power goes, in turn."""

from __future__ import annotations

from pathlib import Path

import pytest
import shim

pytestmark = pytest.mark.lab
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shim.build(tmp_path_factory.mktemp("shim"))


def test_the_harness_finds_a_writer_that_does_not_sync(library: Path, tmp_path: Path) -> None:
    tries = shim.sweep(library, HERE / "leaky_workload.py", tmp_path / "leaky", ["power"])
    assert {t.call for t in tries} == {"create", "write"}
    assert all(t.died for t in tries)
    # Nothing is promised before the first file is written; after that every cut loses something.
    assert [bool(t.error) for t in tries] == [False, False, True, True, True, True]
    assert not any(
        t.error for t in shim.sweep(library, HERE / "leaky_workload.py", tmp_path / "kill", ["kill"])
    )


def test_the_harness_has_no_complaint_about_a_careful_writer(library: Path, tmp_path: Path) -> None:
    tries = shim.sweep(library, HERE / "careful_workload.py", tmp_path / "careful")
    print(shim.summary(tries))
    assert {t.call for t in tries} >= {"create", "write", "fsync", "rename"}
    assert not [t for t in tries if t.error]


@pytest.mark.timeout(1200)
def test_the_ledger_survives_every_fault(library: Path, tmp_path: Path) -> None:
    tries = shim.sweep(library, HERE / "ledger_workload.py", tmp_path / "ledger")
    print(shim.summary(tries))
    assert {t.kind for t in tries} == set(shim.KINDS)
    assert {t.call for t in tries} >= {"create", "pwrite"}
    bad = [t for t in tries if t.error]
    assert not bad, f"{len(bad)} of {len(tries)}: {bad[0]}"


@pytest.mark.timeout(1200)
def test_setting_up_and_the_key_store_survive_every_fault(library: Path, tmp_path: Path) -> None:
    tries = shim.sweep(library, HERE / "setup_workload.py", tmp_path / "setup")
    print(shim.summary(tries))
    assert {t.call for t in tries} >= {"create", "pwrite", "fsync", "rename"}
    bad = [t for t in tries if t.error]
    assert not bad, f"{len(bad)} of {len(tries)}: {bad[0]}"


@pytest.mark.timeout(1200)
def test_the_agents_journal_survives_every_fault(library: Path, tmp_path: Path) -> None:
    tries = shim.sweep(library, HERE / "journal_workload.py", tmp_path / "journal")
    print(shim.summary(tries))
    assert {t.kind for t in tries} == set(shim.KINDS)
    assert {t.call for t in tries} >= {"create", "pwrite", "fdatasync", "fsync", "rename", "unlink"}
    bad = [t for t in tries if t.error]
    assert not bad, f"{len(bad)} of {len(tries)}: {bad[0]}"
