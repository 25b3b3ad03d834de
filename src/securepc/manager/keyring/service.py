"""Change keys, one at a time. Each change takes the same steps in the same order, and each may be repeated:
a manager that was killed in between goes on when it starts.

1. the new key is staged in the key store; a registrar's with the intake key, as the ledger takes them
   together, and it is told to the ledger, by the registrar before
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
from securepc.ledger.state.records import LogRecord
from securepc.ledger.state.rules import NOBODY
from securepc.manager import clock, setup
from securepc.manager.audit import service as audit
from securepc.manager.ingest import verdicts
from securepc.manager.keyring.model import KeyNotice
from securepc.manager.refusal import N_, Refusal
from securepc.manager.restored.model import restored_at
from securepc.wire import notice
from securepc.wire.notice import Notice
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.documents import b64encode

if TYPE_CHECKING:
    from securepc.manager.core import Manager

BLOCK = "block"
SHARED = ("identity", BLOCK)
"""The whole manager's."""
OWN = ("checkpoint", "commands", "registrar")
"""Each agency has its own."""
_WITH = {"registrar": "intake"}
"""What is changed together with a key."""


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

    def changed(self, log: bytes) -> dict[str, int]:
        """When each key was changed last, microseconds since 1970 UTC, by its name; without those that never
        were."""
        with self._manager.database.read() as session:
            query = select(KeyNotice.name, func.max(KeyNotice.at)).where(KeyNotice.log == log)
            return {row[0]: row[1] for row in session.execute(query.group_by(KeyNotice.name))}

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
        if name == BLOCK:
            self._order_successor(actor)
            return
        self._manager.keys.stage(_together(secret))
        self._go_on(secret, actor)

    def _order_successor(self, actor: str) -> None:
        """The next key of blocks: the next block hands over to it, and from then on it signs. Who asked
        stands in an entry, which brings that block; PCs need not know of it.

        Raises:
            Refusal: validators vote on blocks here.
        """
        manager = self._manager
        if manager.log.genesis().voted:
            raise Refusal(N_("Validators vote on blocks here: no key signs them."))
        with manager.database.write() as session:
            for log in manager.devices.agencies():
                data = {"name": f"key {BLOCK}", "previous": "", "state": "ordered"}
                audit.record(session, log, "admin.setting", actor, data)
        manager.keys.stage([BLOCK])

    def look(self) -> None:
        """Finish the change of the key of blocks once a block has handed over. Called by the ticker."""
        coming = self._manager.keys.next_block_key()
        if coming is not None and self._manager.log.block_keys().last == coming.public:
            self._manager.keys.promote([BLOCK])
            setup.publish_trust(self._manager)

    def announce(self, log: bytes) -> None:
        """Tell an agency's PCs of the keys in use: the log's has another name after a restore."""
        self._announce(log, "checkpoint", "")
        self._follow_up(log)

    def resume(self) -> None:
        """Finish what was begun before the manager was last stopped."""
        staged = self._manager.keys.staged()
        for secret in staged:
            handle = bytes.fromhex(secret.rpartition("/")[0])
            if secret == BLOCK:
                self.look()
                for log in self._manager.devices.agencies():
                    self._manager.audit.hurry(log)
                continue
            if handle in self._manager.waiting:  # that one is its successor's
                continue
            if not any(secret in _together(other)[1:] for other in staged):
                self._go_on(secret, "")
        for log in self._manager.devices.agencies():
            self._follow_up(log)

    def _go_on(self, secret: str, actor: str) -> None:
        """Steps 1 (the ledger) to 4."""
        manager = self._manager
        handle, _, name = secret.rpartition("/")
        logs = [bytes.fromhex(handle)] if handle else manager.devices.agencies()
        for log in logs:
            if name == "registrar":
                self._tell_ledger(log)
            self._announce(log, name, actor)
        manager.keys.promote(_together(secret))
        setup.publish_trust(manager)
        for log in logs:
            self._follow_up(log)

    def _tell_ledger(self, log: bytes) -> None:
        """The `registrar` leaf, unless the ledger has it already."""
        keys = self._manager.keys
        coming, intake = keys.coming(f"{log.hex()}/registrar"), keys.coming_box(f"{log.hex()}/intake")
        head = next(record for record in self._manager.log.records(log) if isinstance(record, LogRecord))
        if head.registrar == coming.public:
            return
        value = {
            "log": log.hex(),
            "at": clock.now(),
            "key": b64encode(coming.public),
            "intake": b64encode(intake.public),
            "proof": b64encode(coming.sign(documents.proof_message("registrar", log, NOBODY, coming.public))),
        }
        body = documents.encode("registrar", value)
        self._manager.submit(log, leaf.frame("registrar", body, keys.log(log).registrar.sign)).result()

    def _announce(self, log: bytes, name: str, actor: str) -> None:
        """Step 2, in one transaction; nothing where PCs were told already."""
        said, identity = self._coming(log), self._manager.keys.identity
        with self._manager.database.write() as session:
            last = _last(session, log)
            if last is not None and last._replace(at=0, number=0, by=b"", address="") == said:
                return
            number = max(last.number + 1 if last else 1, restored_at(session, log) // clock.SECOND)
            signed = said._replace(at=clock.now(), number=number, by=identity.public)
            frame = notice.frame(signed, identity.sign)
            session.add(KeyNotice(log=log, number=number, at=signed.at, frame=frame, name=name))
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
            # PCs of a version that does not know of it follow all changes but this one.
            intake=keys.coming_box(prefix + "intake").public
            if keys.generation(prefix + "intake") > 1
            else None,
        )

    def _follow_up(self, log: bytes) -> None:
        """Step 4, and on the way to 5."""
        manager = self._manager
        public = manager.keys.log(log).commands.public
        manager.policies.sign_anew(log, public)
        manager.commands.sign_anew(log, public)
        manager.enrolments.sign_anew(log)
        manager.devices.sign_anew(log)
        verdicts.sign_anew(manager, log)
        if manager.log.key(log).public != manager.keys.log_key(log).public:
            manager.audit.hurry(log)


def _together(secret: str) -> list[str]:
    """The name of a key in the key store, and what is changed with it."""
    prefix, _, name = secret.rpartition("/")
    return [secret] + ([f"{prefix}/{_WITH[name]}"] if name in _WITH else [])


def _last(session: Session, log: bytes) -> Notice | None:
    query = select(KeyNotice.frame).where(KeyNotice.log == log).order_by(KeyNotice.number.desc()).limit(1)
    frame = session.scalar(query)
    return notice.parse(frame) if frame is not None else None
