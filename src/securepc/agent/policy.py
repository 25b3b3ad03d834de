"""The policy in force: signed, never older than the last one, kept over restarts.

An expired policy goes on applying: prohibitions stay; openings, where a policy has any, end with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from securepc.agent import known
from securepc.agent.config import Config
from securepc.agent.state import State
from securepc.wire.policy import Policy, Rules, parse_policy
from securepc.wire.signed import documents
from securepc.wire.signed.canonical import Malformed

Report = Callable[[str, dict[str, Any]], None]
"""(kind, data): record an event about a policy."""
_DEFAULTS = Rules()


class PolicyHolder:
    """Holds the policy; every thread may ask it."""

    def __init__(self, config: Config, state: State, report: Report) -> None:
        self._config = config
        self._state = state
        self._report = report
        self._lock = threading.Lock()
        self._policy: Policy | None = None
        self._raw: Mapping[str, Any] = {}
        self._refused = ""
        self._told_expired: tuple[int, int] | None = None
        stored = state.get("policy")
        if stored is not None:
            try:
                self._policy = self._parse(stored, self._config.retired_commands)
                self._raw = self._policy.raw
            except Malformed:
                self._policy = None  # altered on the disk: the manager will send it again

    @property
    def rules(self) -> Rules:
        """The rules as this version understands them; the defaults before the first policy."""
        policy = self._policy
        return policy.rules if policy else _DEFAULTS

    def raw(self) -> Mapping[str, Any]:
        """The rules as received: the same object until they change."""
        return self._raw

    @property
    def name(self) -> str:
        """How entries name the policy they were made under; empty before the first."""
        policy = self._policy
        return policy.name if policy else ""

    @property
    def version(self) -> tuple[int, int]:
        """(epoch, counter) that a newer policy must exceed."""
        policy = self._policy
        return policy.version if policy else (0, 0)

    @property
    def expires(self) -> int | None:
        """When the policy expires (microseconds UTC)."""
        policy = self._policy
        return policy.expires if policy else None

    def expired(self, now: int) -> bool:
        """Whether the policy in force has expired by `now` (microseconds UTC): its openings no longer
        hold."""
        policy = self._policy
        return policy is not None and now >= policy.expires

    def offer(self, frame: object) -> bool:
        """Take a policy that the manager offers, if it may be; says whether it did.

        A refusal is an event, once for each different reason.
        """
        try:
            if not isinstance(frame, str):
                raise Malformed("it is not a frame")
            data = documents.b64decode(frame)
            policy = self._parse(data)
        except Malformed as error:
            self._refuse("", str(error))
            return False
        with self._lock:
            current = self._policy
            if current is not None and policy.version < current.version:
                reason = f"it is older than {current.name}, which is in force"
            elif current is not None and policy.version == current.version:
                if policy == current:
                    return False
                reason = "it has the same version as the one in force and another content"
            else:
                reason = ""
                self._state.put("policy", data)
                self._policy, self._raw, self._refused = policy, policy.raw, ""
        if reason:
            self._refuse(policy.name, reason)
            return False
        self._report(
            "policy.applied",
            {
                "version": policy.name,
                "previous": current.name if current else "",
                "expires": policy.expires,
            },
        )
        return True

    def check_expiry(self, now: int) -> None:
        """Record, once, that the policy in force has expired by `now` (microseconds UTC)."""
        policy = self._policy
        if policy is None or now < policy.expires or self._told_expired == policy.version:
            return
        self._told_expired = policy.version
        self._report("policy.expired", {"version": policy.name, "expires": policy.expires})

    def _parse(self, frame: bytes, retired: Sequence[bytes] = ()) -> Policy:
        policy = known.by_any(lambda key: parse_policy(frame, key), (self._config.commands, *retired))
        if policy.log != self._config.log or policy.device not in (None, self._config.device):
            raise Malformed("it is for another device")
        return policy

    def _refuse(self, version: str, reason: str) -> None:
        with self._lock:
            if self._refused == (told := f"{version} {reason}"):
                return
            self._refused = told
        self._report("policy.refused", {"version": version, "reason": reason})
