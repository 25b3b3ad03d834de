"""A network guard with this system's real networks and firewall, driven by lines of JSON on its standard
input: {"rules": {…}} sets the rules, {"remove": true} uninstalls; each is answered by a line with what the
guard sees, and so is {}."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from securepc.agent.enforce import Context
from securepc.agent.enforce.doors import Doors
from securepc.agent.platform import linux
from securepc.agent.removal import _context
from securepc.agent.state import State
from securepc.wire.doors import Doors as DoorRules
from securepc.wire.doors import Networks
from securepc.wire.event import Event
from securepc.wire.policy import Rules


def main() -> None:
    folder = Path(sys.argv[1])
    rules = Rules()
    told: list[dict[str, Any]] = []

    def record(event: Event) -> bool:
        told.append({"kind": event.kind, **event.data})
        return True

    context: Context = _context(folder, State(folder))._replace(rules=lambda: rules, record=record)
    guard = linux._networks(context)
    doors = Doors(context, [guard])
    if "--look" not in sys.argv:
        doors.start()
    for line in sys.stdin:
        asked = json.loads(line)
        if "rules" in asked:
            rules = Rules(doors=DoorRules(networks=msgspec.convert(asked["rules"], Networks)))
            doors.wake()
        if asked.get("remove"):
            doors.stop()
            guard.remove()
        answer = {
            "status": doors.status().get("networks"),
            "place": context.situation.place._asdict(),
            "told": told,
            "notices": [one._asdict() for one in context.notices.after(0, "")],
        }
        print(json.dumps(answer), flush=True)
    doors.stop()


if __name__ == "__main__":
    main()
