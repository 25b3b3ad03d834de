"""`python eager_manager.py HOME`: a manager that has small pieces judged beside it; it says how far
it has come, a line each time, until it is killed or has read everything."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from securepc.manager.app import assemble
from securepc.manager.ingest import ahead, workers

WORTH_IT, PIECE = 500, 12


def main(home: Path) -> None:
    ahead.WORTH_IT, ahead.PIECE = WORTH_IT, PIECE
    workers.cores = lambda: 2
    manager = assemble(home)
    log = manager.devices.agencies()[0]
    manager.start()
    said = -1
    while (position := manager.search.position(log)) < manager.log.size(log):
        if position > said:
            said = position
            print(position, len(manager.opener.workers()), flush=True)
        time.sleep(0.002)
    manager.close()
    print("all", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
