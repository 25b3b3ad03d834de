"""An agent whose uploads a test makes by hand."""

from __future__ import annotations

from typing import Any

import pytest
from running_agent import event
from running_manager import Running

from securepc.agent.service import Agent
from securepc.agent.trouble import Trouble
from securepc.wire.signed import batch as headers
from securepc.wire.signed import leaf


class Pc:
    """An agent whose journal runs and whose uploads are made by hand."""

    def __init__(self, agent: Agent, manager: Running) -> None:
        self.agent = agent
        self.manager = manager
        self.told: list[tuple[str, dict[str, Any]]] = []
        agent.journal.start()
        self.uploader = agent.uploader
        self.uploader._report = lambda kind, data: self.told.append((kind, data))
        self.count = 0

    def seal(self, batches: int = 1, entries: int = 2) -> None:
        for _ in range(batches):
            for _ in range(entries):
                self.count += 1
                assert self.agent.record(event(self.agent, self.count))
            assert self.agent.journal.seal(5.0)

    def ledger(self) -> list[headers.BatchHeader]:
        """This device's batches in the log, in its order."""
        log = self.agent.config.log
        found = []
        for stored in self.manager.manager.log.leaves(log, 0, self.manager.manager.log.size(log)):
            if leaf.split(stored.leaf).kind == "batch":
                header = headers.of_leaf(stored.leaf)
                if header.device == self.agent.config.device:
                    found.append(header)
        return found

    def epochs(self) -> list[int]:
        return [header.epoch for header in self.ledger()]

    def send_all(self) -> None:
        while self.uploader.step():
            pass


def trouble(pc: Pc) -> Trouble:
    with pytest.raises(Trouble) as found:
        pc.uploader.step()
    return found.value
