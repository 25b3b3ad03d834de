"""A real manager that backs up to a folder, and the owner's recovery key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_manager import Running, make_home, wait_for

from securepc.ledger.keys import open_keys
from securepc.manager import clock
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
        asked = clock.now()
        backups.ask("backup", "test")

        def tested() -> int | None:
            """Another may have been under way when this one was asked for: its snapshot is older."""
            runs = backups.state().runs
            made = {run.number for run in runs if run.kind == "backup" and run.moment >= asked}
            for run in runs:
                assert run.at < asked or not run.error, run.error
                if run.kind == "test" and run.number in made:
                    return run.number
            return None

        number = wait_for(tested, 120)
        assert number is not None
        return number

    return now
