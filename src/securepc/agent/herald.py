"""What goes up before it is sealed: open lines within a second, a heartbeat every minute.

Both are best effort: nothing is acknowledged by them, and what does not get through comes sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from securepc.agent import absence
from securepc.agent.client import Client, is_private
from securepc.agent.config import Config
from securepc.agent.journal import Journal, Lines
from securepc.agent.platform.base import Clock
from securepc.agent.session import Session, read_frame, read_object
from securepc.agent.state import State
from securepc.agent.trouble import garbled
from securepc.wire.signed.documents import b64encode

MAX_BYTES = 256 * 1024
"""Bytes of lines in one request; JSON at worst doubles them, and the manager takes 1 MiB."""


class Herald:
    """One request at a time; no thread of its own."""

    def __init__(
        self, config: Config, journal: Journal, state: State, session: Session, client: Client, clock: Clock
    ) -> None:
        self._config = config
        self._journal = journal
        self._state = state
        self._session = session
        self._client = client
        self._clock = clock
        self._announced = 0

    def announce(self) -> bool:
        """Send the durable lines of the open epoch that were not sent yet; says whether there were any.

        Not where others could read them: a batch is encrypted, its lines before are not.

        Raises:
            Trouble: it did not work; the same lines go up next time, if they are not sealed by then.
        """
        lines = self._journal.open_lines(self._announced) if is_private(self._config.address) else None
        if lines is None:
            return False
        taken, size = 0, 0
        for entry in lines.entries:
            size += len(entry)
            if taken and size > MAX_BYTES:
                break
            taken += 1
        self._session.call(self._client, "POST", "provisional", _provisional(lines, taken))
        self._announced = lines.first + taken - 1
        return True

    def beat(self, status: Callable[[], dict[str, Any]]) -> int:
        """Send a heartbeat, keep it countersigned; gives the manager's time (microseconds UTC).

        Raises:
            Trouble: it did not work, or what came back is not the countersigned heartbeat.
        """
        view = self._journal.view()
        said = {
            "boot": view.boot.hex(),
            "epoch": view.epoch,
            "sequence": view.durable,
            "head": b64encode(view.head),
        }
        body = {**said, "at": self._clock.at(), "up": self._clock.up(), "status": status()}
        answer = self._session.call(self._client, "POST", "heartbeat", msgspec.json.encode(body))
        frame = read_object(answer, "heartbeat").get("frame")
        value = read_frame(frame, "heartbeat", self._config.identity)
        said |= {"log": self._config.log.hex(), "device": self._config.device.hex()}
        if any(value[name] != said[name] for name in said):
            raise garbled("a heartbeat that is not ours")
        assert isinstance(frame, str)
        absence.heard(self._state, self._clock, frame.encode("ascii"), int(value["at"]))
        self._session.heard(value["at"])
        return int(value["at"])


def _provisional(lines: Lines, count: int) -> bytes:
    return msgspec.json.encode(
        {
            "boot": lines.boot.hex(),
            "epoch": lines.epoch,
            "first": lines.first,
            "lines": [entry.decode("utf-8", "replace") for entry in lines.entries[:count]],
        }
    )


class News(NamedTuple):
    """What the manager had to say: a newer policy's frame or None, orders' frames, whether to seal now."""

    policy: object
    orders: object
    seal: bool
    keys: int  # number of the newest key notice


def listen(session: Session, client: Client, version: tuple[int, int], taken: int, keys: int) -> News:
    """Wait up to 25 s for what the manager has to say to a PC that has this policy, these orders and these
    key notices.

    Raises:
        Trouble: it did not work.
    """
    epoch, counter = version
    path = f"wait?epoch={epoch}&counter={counter}&taken={taken}&keys={keys}"
    answer = read_object(session.call(client, "GET", path, wait=30.0), "wait")
    newest = answer.get("keys")
    newest = newest if type(newest) is int else 0
    return News(answer.get("policy"), answer.get("orders"), answer.get("seal") is True, newest)
