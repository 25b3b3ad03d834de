"""A notice by a desktop's notification service (Desktop Notifications Specification 1.2), in a process of
its own: a session's bus takes nobody but its user, so the process becomes that user first.

    python -m securepc.agent.platform.linux.toast <'{"title", "body", "level", "uid"?, "gid"?}'

Exit status 0: the service took it, and its number is printed. 1: there is none, or it did not.
"""

from __future__ import annotations

import json
import os
import sys

from securepc.agent.platform.linux.dbus import Bus, DBusError, Reader, Writer, message

_SERVICE, _PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
_URGENCY = {"info": 0, "warn": 1, "block": 2}
_ICONS = {"info": "dialog-information", "warn": "dialog-warning", "block": "dialog-error"}
_LONGEST = 64 * 1024


class SessionBus(Bus):
    """A session's message bus."""

    def notify(self, title: str, body: str, level: str) -> int:
        """Show a notice, one that stays where the level is "block"; gives the service's number of it.

        Raises:
            DBusError: there is no such service, or it refuses; OSError: the bus is gone.
        """
        data = Writer()
        data.text("Secure PC")
        data.number("I", 0)
        for text in (_ICONS.get(level, ""), title, _plain(body)):
            data.text(text)
        data.number("I", 0)  # no actions: an empty array of strings
        hints = Writer()
        hints.text("urgency")
        hints.signature("y")
        hints.number("B", _URGENCY.get(level, 1))
        data.number("I", len(hints.data))
        data.align(8)  # where an array of entries begins; hints are aligned to the same
        data.data += hints.data
        data.number("i", 0 if level == "block" else -1)
        self._serial += 1
        fields = [(1, "o", _PATH), (2, "s", _SERVICE), (3, "s", "Notify"), (6, "s", _SERVICE)]
        fields.append((8, "g", "susssasa{sv}i"))
        self._socket.sendall(message(1, self._serial, fields, bytes(data.data)))
        for _ in range(1_000):
            kind, headers, answer, little = self.receive()
            if headers.get(5) == self._serial:
                values = Reader(answer, little).values(headers.get(8, ""))
                if kind != 2 or not values or type(values[0]) is not int:
                    raise DBusError(str(values[0]) if values else "refused")
                return int(values[0])
        raise DBusError("no answer")


def address(uid: int) -> str:
    """The path of a user's session bus; `\\0name` for an abstract one.

    Raises:
        OSError: the session's variables name a bus of another kind.
    """
    said = os.environ.get("DBUS_SESSION_BUS_ADDRESS", "")
    if not said or uid != os.getuid():
        return f"/run/user/{uid}/bus"
    for one in said.split(";"):
        kind, _, rest = one.partition(":")
        values = dict(pair.split("=", 1) for pair in rest.split(",") if "=" in pair)
        if kind == "unix" and "path" in values:
            return values["path"]
        if kind == "unix" and "abstract" in values:
            return "\0" + values["abstract"]
    raise OSError("a session bus that can't be reached")


def main() -> int:
    """See above."""
    said = json.loads(sys.stdin.read(_LONGEST))
    uid, gid = said.get("uid"), said.get("gid")
    path = address(os.getuid() if uid is None else uid)
    if uid is not None and uid != os.getuid():
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    try:
        bus = SessionBus(path, timeout=5.0)
        number = bus.notify(said["title"], said["body"], said["level"])
        bus.close()
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{number}\n")
    return 0


def _plain(text: str) -> str:
    """Services take a little markup in bodies: what others wrote is to be none."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


if __name__ == "__main__":
    sys.exit(main())
