"""An agent process under load, to be killed: `python busy_agent.py FOLDER FIRST`.

Records events numbered from FIRST and prints each number once it is promised, that is durable.
"""

from __future__ import annotations

import sys
from pathlib import Path

from running_agent import MACHINE, OFTEN, QUICK, event

from securepc.agent.service import Agent, no_collectors, no_doors


def main(folder: Path, number: int) -> None:
    limits = QUICK._replace(seal_entries=40, seal=1.0)
    agent = Agent(
        folder, collectors=no_collectors, doors=no_doors, machine=MACHINE, limits=limits, intervals=OFTEN
    )
    agent.start()
    print("ready", flush=True)
    while True:
        for _ in range(7):
            kind = "media.denied" if number % 50 == 0 else "file.create"
            assert agent.record(event(agent, number, kind, n=number))
            number += 1
        assert agent.journal.flush(10.0)
        print(number - 1, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
