"""A manager whose disk is lost, copied, put back or restored, and real PCs that send by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from by_hand import Pc
from middle import Middle
from running_agent import MACHINE, OFTEN, QUICK
from running_manager import Running, make_home, wait_for

from securepc.agent import config as configs
from securepc.agent.enrol import enrol
from securepc.agent.service import Agent, no_collectors, no_doors
from securepc.agent.trouble import Trouble
from securepc.ledger.keys import open_keys
from securepc.manager import clock
from securepc.manager.backup.restore import restore
from securepc.manager.backup.target import Folder
from securepc.manager.core import Manager
from securepc.manager.restored.rows import give_word
from securepc.wire.recovery import RecoveryKey

SETTINGS = """
[backup]
folder = "{nas}"
minutes = 1000
test_minutes = 1000
"""
PATIENCE = 120.0
"""Seconds for what takes one on a machine that has nothing else to do."""


class Site:
    """`home` is that of the manager that runs; `nas` has its backups, where it makes any."""

    def __init__(self, folder: Path, *, backups: bool = True) -> None:
        self.folder, self.home, self.nas = folder, folder / "home", folder / "nas"
        self.nas.mkdir()
        self.recovery = RecoveryKey.generate()
        make_home(self.home, settings=SETTINGS.format(nas=self.nas) if backups else "")
        keys = open_keys(self.home / "manager" / "keys.sqlite")
        keys.set_recovery(self.recovery.public)
        keys.close()
        self.middle = Middle("http://127.0.0.1:9").__enter__()
        self.pcs: list[Pc] = []
        self.running: Running | None = None

    def close(self) -> None:
        """End all of it."""
        for pc in self.pcs:
            pc.agent.stop(grace=0.0)
        self.stop()
        self.middle.__exit__(None, None, None)

    @property
    def manager(self) -> Manager:
        """The one that runs."""
        assert self.running is not None
        return self.running.manager

    @property
    def log(self) -> bytes:
        """The first agency's."""
        assert self.running is not None
        return self.running.log

    def start(self, home: Path, prepare: Callable[[Manager], None] | None = None) -> Running:
        """Start the manager of a home; PCs reach it where they reached the one before."""
        self.home, self.running = home, Running(home, prepare)
        self.middle.host = self.running.address.removeprefix("http://")
        return self.running

    def stop(self) -> None:
        """Stop it."""
        if self.running is not None:
            self.running.__exit__()
            self.running = None

    def copy(self, name: str) -> Path:
        """Copy the home of a manager that is stopped, as a snapshot of its machine would."""
        assert self.running is None
        shutil.copytree(self.home, self.folder / name)
        return self.folder / name

    def back_up(self) -> int:
        """Have a backup made and restored on trial; gives its number."""
        backups, asked = self.manager.backups, clock.now()
        backups.ask("backup", "test")

        def tested() -> int | None:
            runs = [run for run in backups.state().runs if run.at >= asked]
            assert not any(run.error for run in runs), [run.error for run in runs]
            made = {run.number for run in runs if run.kind == "backup" and run.moment >= asked}
            return next((run.number for run in runs if run.kind == "test" and run.number in made), None)

        return wait_for(tested, PATIENCE) or 0

    def lose(self) -> None:
        """The disk is gone."""
        self.stop()
        shutil.rmtree(self.home)

    def restore(self, name: str, number: int | None = None) -> Path:
        """A home from a backup."""
        restore(self.folder / name, Folder(self.nas), self.recovery, number=number, environ={})
        return self.folder / name

    def pc(self, name: str) -> Pc:
        """A PC that is enrolled."""
        assert self.running is not None
        config = enrol(self.folder / name, self.running.token(), MACHINE)
        configs.write(self.folder / name, replace(config, address=self.middle.address))
        agent = Agent(
            self.folder / name,
            collectors=no_collectors,
            doors=no_doors,
            machine=MACHINE,
            limits=QUICK,
            intervals=OFTEN,
        )
        self.pcs.append(Pc(agent, self.running))
        return self.pcs[-1]

    def go_on(self) -> None:
        """The owner's word; then the log takes again."""
        with self.manager.database.write() as session:
            assert give_word(session, self.log, "owner")
        self.until_open()

    def until_open(self) -> None:
        """Wait until the log takes again."""
        wait_for(lambda: self.log not in self.manager.waiting, PATIENCE)

    def whole(self, pc: Pc) -> bool:
        """Whether the ledger has each batch that a PC sent, once, in their order, with all its entries.

        The PC's journal seals by itself after a minute: what it sealed since then may still wait there.
        """
        pc.manager = self.running  # type: ignore[assignment]
        found = pc.ledger()
        epochs = [header.epoch for header in found]
        all_of_them = sum(header.size for header in found) >= pc.count
        return epochs == list(range(1, pc.uploader.acknowledged + 1)) and all_of_them


def turned_away(pc: Pc) -> str:
    """The code of what is in the way when a PC sends something new."""
    pc.seal()
    with pytest.raises(Trouble) as found:
        pc.uploader.step()
    return found.value.code


def deliver(pc: Pc) -> None:
    """Send all, as the courier does: what is in the way is told, and tried again."""
    failures: list[Trouble] = []

    def sent() -> bool:
        try:
            pc.send_all()
        except Trouble as trouble:
            failures.append(trouble)
            pc.agent._trouble(trouble)
            return False
        return True

    try:
        wait_for(sent, PATIENCE)
    except AssertionError:
        raise AssertionError([str(one) for one in failures[-3:]]) from None
