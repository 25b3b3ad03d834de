"""What people at the PC may ask its agent, beyond what each door answers (docs/formats/local.md)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from securepc.agent.enforce import Context
from securepc.agent.local.server import Peer, Refused
from securepc.wire.kinds import family_title
from securepc.wire.unrecorded import unrecorded

_WAIT = 25.0
_FRESH = 0.5
_RECORDED = {
    "files": "file",
    "opens": "file",
    "processes": "process",
    "sessions": "session",
    "power": "power",
    "network": "network",
    "visits": "web",
    "downloads": "web",
    "mounts": "media",
    "prints": "output",
    "screen": "output",
}
"""Collector → the family of what it records."""


class People:
    """Answers `status`, `doors`, `notices` and `records`.

    Args:
        doors: what was last read back of each door.
        collectors: what each collector sees now.
        report: the agent's whole status.
    """

    def __init__(
        self,
        context: Context,
        doors: Callable[[], Mapping[str, Mapping[str, Any]]],
        collectors: Callable[[], Mapping[str, Mapping[str, Any]]],
        report: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._context = context
        self._doors, self._collectors, self._report = doors, collectors, _fresh(report)
        for name, handler in (
            ("status", self._status),
            ("doors", self._ask_doors),
            ("notices", self._notices),
            ("records", self._records),
        ):
            context.local.on(name, handler)

    def _status(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """How this PC is, without what concerns one of its users only."""
        full, place = self._report(), self._context.situation.place
        queue, journal = full["queue"], full["journal"]
        return {
            "version": full["version"],
            "device": full["device"],
            "manager": full["manager"],
            "at": full["at"],
            "user": peer.user,
            "last_contact": full["last_contact"],
            "reachable": full["reachable"],
            "queue": {"batches": queue["batches"], "unsent": queue["unsent"], "bytes": queue["bytes"]},
            "journal": {"lost": journal["lost"], "trouble": journal["trouble"]},
            "policy": {**full["policy"], "expired": self._context.expired()},
            "error": full["error"],
            "place": {
                "known": place.known,
                "connected": place.connected,
                "registered": bool(place.network),
                "name": place.name,
                "fixed": place.fixed,
            },
            "collectors": self._plain(self._collectors()),
            "doors": self._plain(self._doors()),
            "notices": self._context.notices.last,
        }

    def _ask_doors(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        doors = self._doors()
        if peer.uid in (0, os.geteuid()):
            return {"doors": dict(doors)}
        return {"doors": self._plain(doors)}

    @staticmethod
    def _plain(states: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        kept = ("state", "ja", "en", "at")
        return {name: {key: one[key] for key in kept if key in one} for name, one in states.items()}

    def _notices(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        after = question.get("after", 0)
        if type(after) is not int:
            raise Refused("malformed", "番号を確認してください。", "after: not a number")
        wait = _WAIT if question.get("wait") is True else 0.0
        notices = self._context.notices
        found = notices.after(after, peer.user, wait)
        return {
            "notices": [notice._asdict() for notice in found],
            "last": notices.last,
            "series": notices.series,
        }

    def _records(self, peer: Peer, question: dict[str, Any]) -> dict[str, Any]:
        """What is recorded of the people here, and what is not, under the policy in force."""
        recorded = []
        for name, one in self._collectors().items():
            family = _RECORDED.get(name, name)
            recorded.append(
                {
                    "name": name,
                    "title": {"ja": family_title(family), "en": family_title(family, "en")},
                    "state": one["state"],
                    "ja": one["ja"],
                    "en": one["en"],
                }
            )
        rules = self._context.rules()
        return {
            "recorded": recorded,
            "unrecorded": [sentence._asdict() for sentence in unrecorded(rules)],
            "policy": self._report()["policy"]["version"],
            "years": rules.retention.years,
        }


def _fresh(report: Callable[[], Mapping[str, Any]]) -> Callable[[], Mapping[str, Any]]:
    """The same, made anew after `_FRESH` seconds only: it looks through the queue, and anybody may ask."""
    lock = threading.Lock()
    last: list[tuple[float, Mapping[str, Any]]] = []

    def ask() -> Mapping[str, Any]:
        with lock:
            if not last or time.monotonic() - last[0][0] >= _FRESH:
                last[:] = [(time.monotonic(), report())]
            return last[0][1]

    return ask
