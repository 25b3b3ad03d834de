"""Chooses the operating system, here and nowhere else.

clock()             both clocks and the boot id of this PC
machine()           host name, operating system, user
collectors(context) every collector there is for this system, not yet started
doors(context)      every enforcer there is for this system, not yet started
positioner()        the system's location service
sessions(folder)    people's sessions, and who may log in
teller()            tells people something where no tray runs
"""

from __future__ import annotations

import sys

from securepc.agent.platform.base import Clock, Machine, Unsupported

if sys.platform == "linux":
    from securepc.agent.platform.linux import clock, collectors, doors, machine, positioner, sessions, teller
else:
    raise Unsupported(
        f"このOS({sys.platform})にはまだ対応していません。", f"{sys.platform} is not supported yet."
    )

__all__ = [
    "Clock",
    "Machine",
    "Unsupported",
    "clock",
    "collectors",
    "doors",
    "machine",
    "positioner",
    "sessions",
    "teller",
]
