"""A manager's outbox in a process of its own, to be killed: HOME PORT [write].

`write` puts a mail into it and dies at once by SIGKILL.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from securepc.manager.app import assemble
from securepc.manager.config import Mail as Settings
from securepc.manager.mail.service import Mail

if __name__ == "__main__":
    manager = assemble(Path(sys.argv[1]))
    settings = Settings("127.0.0.1", int(sys.argv[2]), "none", sender="securepc@agency.example")
    manager.mail = Mail(manager.database, settings, lambda: "https://manager.example")
    if sys.argv[3:] == ["write"]:
        with manager.database.write() as session:
            manager.mail.send(
                session, manager.devices.agencies()[0], "clock", {"name": "営業-01", "seconds": 9}
            )
        os.kill(os.getpid(), signal.SIGKILL)
    manager.mail.start()
    while True:
        time.sleep(1)
