"""What the agent knows of itself, put in one object: for `agent status`, and in brief for heartbeats."""

from __future__ import annotations

import os
import threading
from typing import Any

import msgspec

from securepc import __version__
from securepc.agent.client import is_private
from securepc.agent.collectors import Collectors
from securepc.agent.config import Config
from securepc.agent.enforce.doors import Doors
from securepc.agent.journal import Journal
from securepc.agent.platform.base import Clock
from securepc.agent.policy import PolicyHolder
from securepc.agent.trouble import Trouble
from securepc.agent.upload import Uploader
from securepc.wire.unrecorded import unrecorded

_MAX_BRIEF = 7 * 1024
"""Bytes; the manager takes a status of 8 KiB."""


class Reporter:
    """Remembers contacts and troubles. `reachable`: whether the manager answered last time."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        uploader: Uploader,
        policy: PolicyHolder,
        collectors: Collectors,
        doors: Doors,
        clock: Clock,
    ) -> None:
        self._config = config
        self._journal = journal
        self._uploader = uploader
        self._policy = policy
        self._collectors = collectors
        self._doors = doors
        self._clock = clock
        self._lock = threading.Lock()
        self._last_contact: int | None = None
        self._error: dict[str, Any] | None = None
        self._seen: set[str] = set()
        self.reachable = True

    @property
    def last_contact(self) -> int | None:
        """When the manager last answered (microseconds UTC by this PC's clock), None since the start."""
        with self._lock:
            return self._last_contact

    def contact(self) -> None:
        """The manager has just answered as it should."""
        with self._lock:
            self._last_contact = self._clock.at()
            self.reachable = True

    def trouble(self, trouble: Trouble) -> None:
        """A request did not work."""
        with self._lock:
            self._error = {
                "at": self._clock.at(),
                "code": trouble.code,
                "ja": trouble.ja,
                "en": trouble.en,
            }
            self.reachable = trouble.code != "unreachable"

    def unexpected(self, where: str, error: Exception) -> bool:
        """Something failed that should not; says whether it is the first time."""
        what = f"{where}: {type(error).__name__}: {error}"
        with self._lock:
            self._error = {"at": self._clock.at(), "code": "internal", "ja": what, "en": what}
            first = what not in self._seen and len(self._seen) < 100
            self._seen.add(what)
        return first

    def status(self) -> dict[str, Any]:
        """Everything. Times are microseconds since 1970 UTC."""
        view = self._journal.view()
        count, size = self._journal.queue.totals()
        acknowledged = self._uploader.acknowledged
        with self._lock:
            contact, error = self._last_contact, dict(self._error) if self._error else None
            reachable = self.reachable
        return {
            "enrolled": True,
            "running": True,
            "pid": os.getpid(),
            "version": __version__,
            "at": self._clock.at(),
            "device": self._config.device.hex(),
            "log": self._config.log.hex(),
            "manager": self._config.address,
            "private": is_private(self._config.address),
            "boot": view.boot.hex(),
            "epoch": view.epoch,
            "durable": view.durable,
            "sealed": view.sealed,
            "acknowledged": acknowledged,
            "queue": {
                "batches": count,
                "bytes": size,
                "unsent": len(self._journal.queue.after(acknowledged, 1_000_000)),
            },
            "journal": {
                "waiting": view.waiting,
                "lost": view.lost,
                "free": view.free,
                "trouble": view.trouble,
            },
            "last_contact": contact,
            "reachable": reachable,
            "error": error,
            "policy": {"version": self._policy.name, "expires": self._policy.expires},
            "collectors": self._collectors.status(),
            "doors": self._doors.status(),
            "unrecorded": [sentence._asdict() for sentence in unrecorded(self._policy.rules)],
        }

    def brief(self) -> dict[str, Any]:
        """What a heartbeat carries: the same without what the manager knows; at most 8 KiB."""
        full = self.status()
        kept = ("version", "acknowledged", "queue", "journal", "policy", "collectors", "doors")
        brief = {name: full[name] for name in kept}
        brief["error"] = full["error"] if self._current(full) else None
        for longest in (300, 100, 0):
            for one in (brief["error"] or {}, *brief["collectors"].values(), *brief["doors"].values()):
                one |= {name: one[name][:longest] for name in ("ja", "en") if name in one}
            if len(msgspec.json.encode(brief)) <= _MAX_BRIEF:
                return brief
        brief["doors"] = {name: {"state": one["state"]} for name, one in brief["doors"].items()}
        return brief

    @staticmethod
    def _current(full: dict[str, Any]) -> bool:
        error, contact = full["error"], full["last_contact"]
        return (
            error is not None
            and error["code"] != "unreachable"
            and error["at"] >= (contact or 0) - 60_000_000
        )
