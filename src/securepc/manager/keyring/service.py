"""Change keys, one at a time. Each change takes the same steps in the same order, and each may be repeated:
a manager that was killed in between goes on when it starts.

1. the new key is staged in the key store
2. PCs are told by a key notice, signed by the identity key in force before; the act is an entry, with it
3. the new key is in use
4. trust/ is published; what the old key signed and is still to be delivered is signed anew
5. the entry of the act brings a block, and with it a checkpoint under the log's new key
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from securepc.ledger import note
from securepc.ledger.note import VerifierKey
from securepc.manager import clock, setup
from securepc.manager.audit import service as audit
from securepc.manager.keyring.model import KeyNotice
from securepc.manager.refusal import N_, Refusal
from securepc.wire import notice
from securepc.wire.notice import Notice

if TYPE_CHECKING:
    from securepc.manager.core import Manager

SHARED = ("identity",)
"""The whole manager's."""
OWN = ("checkpoint", "commands")
"""Each agency has its own."""


class Keyring:
    """At `manager.keyring`."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def newest(self, log: bytes) -> int:
        """The number of an agency's newest key notice, 0 where there is none."""
        with self._manager.database.read() as session:
            return session.scalar(select(func.max(KeyNotice.number)).where(KeyNotice.log == log)) or 0

    def notices(self, log: bytes, after: int) -> list[bytes]:
        """The frames of an agency's notices above a number, oldest first, `notice.MOST` at once."""
        with self._manager.database.read() as session:
            query = (
                select(KeyNotice.frame)
                .where(KeyNotice.log == log, KeyNotice.number > after)
                .order_by(KeyNotice.number)
                .limit(notice.MOST)
            )
            found = list(session.scalars(query))
        gone = self._manager.moves.notice(log)
        return [*found, gone.notice] if gone is not None and gone.number > after else found

    def rotate(self, name: str, log: bytes, *, actor: str) -> None:
        """Change a key, in a manager that was not started; whoever starts it next has the new one.

        Args:
            name: one of `SHARED` and `OWN`.
            log: the agency, of a key that is one agency's.

        Raises:
            Refusal: validators order blocks here, and the key is theirs to know; or a restored log waits.
        """
        if name == "checkpoint" and self._manager.log.genesis().voted:
            raise Refusal(N_("Where validators order blocks, the key of checkpoints cannot be changed."))
        if self._manager.waiting:
            raise Refusal(N_("A restored log waits for its successor: change keys once it is open."))
        secret = name if name in SHARED else f"{log.hex()}/{name}"
        self._manager.keys.stage([secret])
        self._go_on(secret, actor)

    def announce(self, log: bytes) -> None:
        """Tell an agency's PCs of the keys in use: the log's has another name after a restore."""
        self._announce(log, "checkpoint", "")
        self._follow_up(log)

    def resume(self) -> None:
        """Finish what was begun before the manager was last stopped."""
        for secret in self._manager.keys.staged():
            handle = bytes.fromhex(secret.rpartition("/")[0])
            if handle not in self._manager.waiting:  # that one is its successor's
                self._go_on(secret, "")
        for log in self._manager.devices.agencies():
            self._follow_up(log)

    def _go_on(self, secret: str, actor: str) -> None:
        """Steps 2 to 4."""
        manager = self._manager
        handle, _, name = secret.rpartition("/")
        logs = [bytes.fromhex(handle)] if handle else manager.devices.agencies()
        for log in logs:
            self._announce(log, name, actor)
        manager.keys.promote([secret])
        setup.publish_trust(manager)
        for log in logs:
            self._follow_up(log)

    def _announce(self, log: bytes, name: str, actor: str) -> None:
        """Step 2, in one transaction; nothing where PCs were told already."""
        said, identity = self._coming(log), self._manager.keys.identity
        with self._manager.database.write() as session:
            last = _last(session, log)
            if last is not None and last._replace(at=0, number=0, by=b"", address="") == said:
                return
            number = last.number + 1 if last else 1
            signed = said._replace(at=clock.now(), number=number, by=identity.public)
            frame = notice.frame(signed, identity.sign)
            session.add(KeyNotice(log=log, number=number, at=signed.at, frame=frame))
            data = {"name": f"key {name}", "previous": "", "state": "changed"}
            audit.record(session, log, "admin.setting", actor, data)

    def _coming(self, log: bytes) -> Notice:
        """What is in use once the staged keys are."""
        keys, prefix = self._manager.keys, f"{log.hex()}/"
        public = keys.coming(prefix + "checkpoint").public
        return Notice(
            log,
            0,
            0,
            b"",
            keys.coming("identity").public,
            str(VerifierKey(self._manager.log.origins(log)[-1], note.ED25519, public)),
            keys.coming(prefix + "commands").public,
        )

    def _follow_up(self, log: bytes) -> None:
        """Step 4, and on the way to 5."""
        manager = self._manager
        public = manager.keys.log(log).commands.public
        manager.policies.sign_anew(log, public)
        manager.commands.sign_anew(log, public)
        manager.enrolments.sign_anew(log)
        if manager.log.key(log).public != manager.keys.log_key(log).public:
            manager.audit.hurry(log)


def _last(session: Session, log: bytes) -> Notice | None:
    query = select(KeyNotice.frame).where(KeyNotice.log == log).order_by(KeyNotice.number.desc()).limit(1)
    frame = session.scalar(query)
    return notice.parse(frame) if frame is not None else None
