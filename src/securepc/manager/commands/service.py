"""Sign orders, hand them to their PCs, remember what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from securepc.manager import clock
from securepc.manager.commands.model import Command
from securepc.manager.database import Database, after_commit
from securepc.manager.happenings.service import Happening
from securepc.wire import keys
from securepc.wire.orders import ORDERS
from securepc.wire.signed import documents, leaf

LIFETIME = 30 * clock.DAY
"""A PC that comes back later than this does not carry an order out any more."""
OPEN = ("waiting", "sent", "taken")
_BATCH = 50
"""Orders handed out in one answer."""

Sign = Callable[[bytes, bytes], bytes]
"""(log, message) → signature by that agency's commands key."""


class Commands:
    """At `manager.commands`. Thread-safe."""

    def __init__(self, database: Database, sign: Sign, wake: Callable[[bytes], None]) -> None:
        """`wake` is told of a device, after the commit, that there is something for it."""
        self._database = database
        self._sign = sign
        self._wake = wake

    def issue(
        self,
        session: Session,
        log: bytes,
        device: bytes,
        order: str,
        args: dict[str, Any] | None = None,
        *,
        actor: str,
        lifetime: int = LIFETIME,
    ) -> int:
        """Order a device to do something; gives the order's number. The caller records who did it (audit).

        Args:
            session: of `Database.write`.
            order: one of `wire.orders.ORDERS`.
            args: integers, texts, booleans, lists and objects of these: no fractions (canonical JSON).
            lifetime: microseconds until it is void.
        """
        assert order in ORDERS, order
        now = clock.now()
        value = self._head(session, log, device, now, now + lifetime) | {"order": order, "args": args or {}}
        return self._add(session, "command", value, order, args or {}, actor)

    def grant(
        self,
        session: Session,
        log: bytes,
        device: bytes,
        fields: dict[str, Any],
        *,
        actor: str,
        lifetime: int,
    ) -> int:
        """Sign a grant; `fields` are those of the kind `grant` beyond its head. Gives its number."""
        now = clock.now()
        value = self._head(session, log, device, now, now + lifetime) | fields
        return self._add(session, "grant", value, "grant", fields, actor)

    def waiting(self, device: bytes, above: int) -> list[bytes]:
        """What a device is to be handed that has everything up to number `above`: frames, oldest first."""
        now = clock.now()
        with self._database.read() as session:
            query = (
                select(Command)
                .where(Command.device == device, Command.state.in_(OPEN), Command.expires > now)
                .order_by(Command.number)
            )
            rows = list(session.scalars(query))
        taken = [row.number for row in rows if row.number <= above and row.state != "taken"]
        new = [row for row in rows if row.number > above][:_BATCH]
        sent = [row.number for row in new if row.state == "waiting"]
        if taken or sent:
            with self._database.write() as session:
                _mark(session, taken, "taken", taken_at=now)
                _mark(session, sent, "sent", sent_at=now)
        return [row.frame for row in new]

    def of_device(self, log: bytes, device: bytes, limit: int = 50) -> list[Command]:
        """A device's orders, the newest first."""
        with self._database.read() as session:
            query = (
                select(Command)
                .where(Command.log == log, Command.device == device)
                .order_by(Command.number.desc())
                .limit(limit)
            )
            return list(session.scalars(query))

    def finished(self, session: Session, happening: Happening) -> None:
        """A device says what became of an order (`command.done`, `command.failed`); its last word holds, as a
        PC that lost power in between tries again."""
        name = happening.event.data.get("command_id")
        number = int(name) if isinstance(name, str) and name.isdecimal() and len(name) <= 16 else -1
        row = session.get(Command, number)
        if row is None or row.device != happening.device:
            return
        row.state = "done" if happening.event.kind == "command.done" else "failed"
        row.done_at = happening.block_time
        row.result = dict(happening.event.data)
        row.entry = happening.id

    def expire(self) -> None:
        """Mark what no PC carried out in time."""
        with self._database.write() as session:
            session.execute(
                update(Command)
                .where(Command.state.in_(OPEN), Command.expires <= clock.now())
                .values(state="expired")
            )

    def sign_anew(self, log: bytes, commands: bytes) -> None:
        """Sign the same words anew, where another than this commands key (32 bytes, Ed25519) signed an order
        that its PC may still fetch."""
        with self._database.write() as session:
            query = select(Command).where(Command.log == log, Command.state.in_(OPEN))
            for row in session.scalars(query):
                kind = "grant" if row.order == "grant" else "command"
                if not leaf.signed_by(row.frame, kind, commands, keys.verify):
                    body = leaf.split(row.frame).body
                    row.frame = leaf.frame(kind, body, lambda text: self._sign(log, text))

    def _head(self, session: Session, log: bytes, device: bytes, now: int, expires: int) -> dict[str, Any]:
        last = session.scalar(select(func.max(Command.number))) or 0
        number = max(now, last + 1)  # rises over a restored backup, too
        return {
            "log": log.hex(),
            "device": device.hex(),
            "number": number,
            "issued": now,
            "expires": expires,
        }

    def _add(
        self, session: Session, kind: str, value: dict[str, Any], order: str, args: dict[str, Any], actor: str
    ) -> int:
        log, device = bytes.fromhex(value["log"]), bytes.fromhex(value["device"])
        frame = leaf.frame(kind, documents.encode(kind, value), lambda text: self._sign(log, text))
        session.add(
            Command(
                number=value["number"],
                log=log,
                device=device,
                order=order,
                args=args,
                frame=frame,
                actor=actor,
                issued=value["issued"],
                expires=value["expires"],
                state="waiting",
                result={},
            )
        )
        session.flush()
        after_commit(session, lambda: self._wake(device))
        return int(value["number"])


def _mark(session: Session, numbers: list[int], state: str, **at: int) -> None:
    if numbers:
        session.execute(
            update(Command)
            .where(Command.number.in_(numbers), Command.state.in_(OPEN))
            .values(state=state, **at)
        )
