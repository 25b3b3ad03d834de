"""A real manager that backs up to a folder, and the owner's recovery key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_manager import Running, make_home, wait_for

from securepc.ledger.keys import open_keys
from securepc.wire.recovery import RecoveryKey

SETTINGS = """
[backup]
folder = "{folder}"
minutes = 1000
test_minutes = 1000
"""


@pytest.fixture
def recovery() -> RecoveryKey:
    return RecoveryKey.generate()


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    folder = tmp_path / "nas"
    folder.mkdir()
    return folder


@pytest.fixture
def home(tmp_path: Path, nas: Path, recovery: RecoveryKey) -> Path:
    home = tmp_path / "home"
    make_home(home, "架空商事", "架空設計", settings=SETTINGS.format(folder=nas))
    keys = open_keys(home / "manager" / "keys.sqlite")
    keys.set_recovery(recovery.public)
    keys.close()
    return home


@pytest.fixture
def running(home: Path) -> Iterator[Running]:
    with Running(home) as running:
        yield running


@pytest.fixture
def back_up(running: Running) -> Callable[[], int]:
    """Has a backup made and restored on trial; gives the snapshot's number."""

    def now() -> int:
        backups = running.manager.backups
        before = backups.state()
        backups.ask("backup", "test")

        def tested() -> int | None:
            state = backups.state()
            for run in state.runs:
                if before.runs and run.id <= before.runs[0].id:
                    break
                assert not run.error, run.error
                if run.kind == "test":
                    return run.number
            return None

        number = wait_for(tested, 60)
        assert number is not None
        return number

    return now
