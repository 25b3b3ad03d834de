"""Sign policies, and know which one a device is to follow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.audit import service as audit
from securepc.manager.database import Database
from securepc.manager.policy.model import PolicyVersion
from securepc.wire import keys, policy
from securepc.wire.signed import documents, leaf

LIFETIME = 90 * clock.DAY
"""After this a policy keeps its prohibitions and loses its openings."""
RENEW = 45 * clock.DAY
EPOCH = 1
"""The first. It rises when a manager is restored from a backup: what it forgot stays below what it signs."""

Sign = Callable[[bytes, bytes], bytes]
"""(log, message) → signature by that agency's commands key."""


class Current(NamedTuple):
    """The policy in force; `counter` is unique in its agency and only rises."""

    epoch: int
    counter: int
    frame: bytes


class Policies:
    """All policies of the manager. Thread-safe."""

    def __init__(self, database: Database, sign: Sign, changed: Callable[[bytes | None], None]) -> None:
        """`changed` is told of a device, or None for all, after its policy changed."""
        self._database = database
        self._sign = sign
        self._changed = changed
        self._lock = threading.Lock()
        self._editing = threading.RLock()
        self._current: dict[tuple[bytes, bytes], Current | None] = {}

    def current(self, log: bytes, device: bytes) -> Current | None:
        """The newest policy of a device: its own or its agency's, whichever was signed later."""
        with self._lock:
            key = log, device
            if key not in self._current:
                with self._database.read() as session:
                    self._current[key] = _newest(session, log, device)
            return self._current[key]

    def change(
        self,
        log: bytes,
        rules: dict[str, Any],
        *,
        actor: str,
        device: bytes = b"",
        act: bool = True,
        also: Callable[[Session], None] | None = None,
    ) -> Current:
        """Sign new rules for an agency, or for one device of it.

        Args:
            act: an administrator did this, so it is audited; False where the manager renews by itself.
            also: called in the same SQL transaction, for what must be recorded with it.

        Raises:
            Malformed: rules that no device could follow.
        """
        policy.check_rules(rules)
        with self._database.write() as session:
            new = self._add(session, log, device, rules, actor)
            if act:
                last = new.counter - 1
                data = {
                    "version": f"{new.epoch}.{new.counter}",
                    "previous": f"{new.epoch}.{last}" if last else "",
                    "device": device.hex(),
                }
                audit.record(session, log, "admin.policy", actor, data)
            if also is not None:
                also(session)
        self._forget(device or None)
        return new

    def edit(
        self,
        log: bytes,
        change: Callable[[dict[str, Any]], dict[str, Any]],
        *,
        actor: str,
        also: Callable[[Session], None] | None = None,
    ) -> bool:
        """Change some of an agency's rules and leave the others as they are, whoever else changes them now.

        Args:
            change: gives new rules for the present ones, which it does not touch; where they are the same,
                nothing is signed.
            actor, also: as `change` has them.

        Raises:
            Malformed: rules that no device could follow.
        """
        with self._editing:
            rules = self.rules(log)
            changed = change(rules)
            if changed == rules:
                return False
            self.change(log, changed, actor=actor, also=also)
            return True

    def edit_door(
        self,
        log: bytes,
        door: str,
        change: Callable[[dict[str, Any]], dict[str, Any]],
        *,
        actor: str,
        also: Callable[[Session], None] | None = None,
    ) -> bool:
        """`edit` of `rules.doors.<door>` alone."""

        def whole(rules: dict[str, Any]) -> dict[str, Any]:
            doors = dict(rules.get("doors", {}))
            before = dict(doors.get(door, {}))
            changed = change(before)
            return rules if changed == before else {**rules, "doors": {**doors, door: changed}}

        return self.edit(log, whole, actor=actor, also=also)

    def rules(self, log: bytes) -> dict[str, Any]:
        """The rules that hold for every device of an agency; the default where none were signed."""
        with self._database.read() as session:
            found = _newest(session, log, b"")
        if found is None:
            return policy.default_rules()
        value = documents.decode("policy", leaf.split(found.frame).body)
        return dict(value["rules"])

    def versions(self, log: bytes, limit: int = 100) -> list[PolicyVersion]:
        """An agency's policies, the newest first."""
        with self._database.read() as session:
            return list(
                session.scalars(
                    select(PolicyVersion)
                    .where(PolicyVersion.log == log)
                    .order_by(PolicyVersion.counter.desc())
                    .limit(limit)
                )
            )

    def renew(self, logs: list[bytes]) -> None:
        """Sign anew what would expire in the next 45 days, with the same rules and in the same order."""
        for log in logs:
            self._sign_where(log, lambda row: row.expires < clock.now() + RENEW)

    def sign_anew(self, log: bytes, commands: bytes) -> None:
        """Sign anew, in the same way, what another than this commands key (32 bytes, Ed25519) signed."""
        self._sign_where(log, lambda row: not leaf.signed_by(row.frame, "policy", commands, keys.verify))

    def raise_epoch(self, log: bytes, epoch: int) -> None:
        """Sign all anew, in the same way, in an epoch that is at least this one."""
        with self._database.read() as session:
            last = _epoch(session, log)
        if last < epoch:
            self._sign_where(log, lambda row: True, epoch)

    def _sign_where(self, log: bytes, stale: Callable[[PolicyVersion], bool], epoch: int = 0) -> None:
        """A device's own policy and its agency's: whichever was signed later holds, so all or none, and in
        their order."""
        with self._database.write() as session:
            latest = (
                select(func.max(PolicyVersion.counter))
                .where(PolicyVersion.log == log)
                .group_by(PolicyVersion.device)
            )
            rows = list(
                session.scalars(
                    select(PolicyVersion)
                    .where(PolicyVersion.log == log, PolicyVersion.counter.in_(latest))
                    .order_by(PolicyVersion.counter)
                )
            )
            if not any(stale(row) for row in rows):
                return
            for row in rows:
                value = documents.decode("policy", leaf.split(row.frame).body)
                self._add(session, log, row.device, value["rules"], "", epoch)
        self._forget(None)

    def _add(
        self, session: Session, log: bytes, device: bytes, rules: dict[str, Any], actor: str, epoch: int = 0
    ) -> Current:
        epoch = max(epoch, _epoch(session, log))
        last = session.scalar(select(func.max(PolicyVersion.counter)).where(PolicyVersion.log == log)) or 0
        now = clock.now()
        value = {
            "log": log.hex(),
            "device": device.hex() or None,
            "epoch": epoch,
            "counter": last + 1,
            "issued": now,
            "expires": now + LIFETIME,
            "rules": rules,
        }
        frame = leaf.frame("policy", documents.encode("policy", value), lambda text: self._sign(log, text))
        session.add(
            PolicyVersion(
                log=log,
                device=device,
                epoch=epoch,
                counter=last + 1,
                issued=now,
                expires=now + LIFETIME,
                frame=frame,
                author=actor,
            )
        )
        session.flush()
        return Current(epoch, last + 1, frame)

    def _forget(self, device: bytes | None) -> None:
        with self._lock:
            self._current.clear()
        self._changed(device)


def _epoch(session: Session, log: bytes) -> int:
    return session.scalar(select(func.max(PolicyVersion.epoch)).where(PolicyVersion.log == log)) or EPOCH


def _newest(session: Session, log: bytes, device: bytes) -> Current | None:
    row = session.scalar(
        select(PolicyVersion)
        .where(PolicyVersion.log == log, PolicyVersion.device.in_((device, b"")))
        .order_by(PolicyVersion.epoch.desc(), PolicyVersion.counter.desc())
        .limit(1)
    )
    return None if row is None else Current(row.epoch, row.counter, row.frame)
