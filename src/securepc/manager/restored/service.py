"""From a restored home to a log that goes on, each step to be repeated by whoever was killed in it.

1. The log takes nothing. What was destroyed since the backup is destroyed again; the manager makes itself a
   device of its own anew, since the old one said things that are lost; policies rise to a higher epoch.
2. PCs and witnesses show the highest checkpoints that they have.
3. Once all have, or after a time, or by the owner's word, the leaf that opens the successor is signed and
   written down: it follows the highest. The tree's own checkpoint key is staged.
4. The leaf is on the ledger, under the new key. PCs are told of it, trust/ is published, the log takes again.

A PC that was off may show a higher checkpoint later. Then the log goes on as another tree once more.

An older state of the manager that was started without a restore shows in the same way: somebody has a larger
checkpoint of the very tree that grows here. Then the log takes nothing more, until the newer disk is back,
or until somebody who may says that it is lost; the steps are then those of a restore.

Where validators order blocks only step 1 is needed: their ledger is ahead of the backup. Instead of
checkpoints PCs bring keys (`restored.brought`), and nothing of what came after the backup is opened before
they have, or the time is over, or somebody gave the word.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from securepc.ledger.checkpoint import Checkpoint, tree_name
from securepc.ledger.store import StoreError
from securepc.manager import clock, setup
from securepc.manager.alerts import service as alerts
from securepc.manager.audit import service as audit
from securepc.manager.database import after_commit
from securepc.manager.restored import behind, mark, older, own, shown
from securepc.manager.restored.brought import Brought
from securepc.manager.restored.model import RestoredLog
from securepc.manager.restored.older import OLDER_ALERT
from securepc.manager.restored.rows import ALONE, LATE, OLDER, new_row, open_row, waits
from securepc.wire.signed import batch as headers
from securepc.wire.signed import block, documents, leaf
from securepc.wire.signed.documents import b64encode

if TYPE_CHECKING:
    from securepc.manager.core import Manager
    from securepc.manager.witnesses.client import Witness

logger = logging.getLogger("securepc.manager")
WITNESSES_EVERY = 10 * clock.SECOND


class Gathered(NamedTuple):
    """How far a log that waits has come. `missing`: PCs and witnesses that have shown nothing yet; `until`:
    when it goes on without them (microseconds UTC), None before the first has shown something. `older`: an
    older state was started without a restore; it goes on by nobody's word but the owner's."""

    since: int
    kept: int
    shown: int
    missing: int
    highest: int
    until: int | None
    older: bool


class Restored:
    """At `manager.restored`."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._mark = mark.read(manager.home.manager)
        self._lock = threading.Lock()
        self._asked = 0
        self._brought: dict[bytes, Brought] = {}
        self._held: set[bytes] = set()
        self._older: set[bytes] = set()
        if self._mark is not None:
            self._note(self._mark)
        if manager.ordering.elsewhere:
            behind.note(manager)
        with manager.database.read() as session:
            for row in session.scalars(select(RestoredLog).where(RestoredLog.opened_at.is_(None))):
                if manager.ordering.elsewhere:
                    self._held.add(row.log)
                if manager.ordering.elsewhere and row.word != OLDER:
                    self._brought[row.log] = Brought(manager, row.log, row.kept)
                else:
                    manager.waiting.add(row.log)
                    self._older |= {row.log} if manager.ordering.elsewhere else set()

    def start(self) -> None:
        """Step 1, and what was decided before the manager was last stopped. Before anything else starts."""
        if self._mark is not None and (self._manager.waiting or self._brought):
            self._prepare(self._mark)
        for log in self._brought:
            self._part_once(log)
        self._go_on(decided=True)

    def holds(self, log: bytes) -> bool:
        """Whether nothing more of a log is to be opened now: the keys are still to come."""
        return log in self._held

    def require(self, log: bytes, device: bytes, first: int) -> None:
        """Send a PC back to what only it has the keys of; `first`: the first epoch that it comes with.

        Raises:
            Refused: "gap", with what it is to send.
        """
        if log in self._brought:
            self._brought[log].require(device, first)

    def take(self, log: bytes, device: bytes, epochs: Iterable[int]) -> None:
        """A PC sent these batches, and their keys are on the disk."""
        if log in self._brought:
            self._brought[log].take(device, epochs)

    def look(self) -> None:
        """Ask witnesses; open what is ready. Called by the ticker."""
        for log in list(self._older):
            self._go_on_behind(log)
        for log in list(self._brought):
            self._see_to(log)
        if self._manager.waiting:
            if clock.now() - self._asked >= WITNESSES_EVERY:
                self._asked = clock.now()
                self._ask_witnesses()
            self._go_on(decided=False)

    def show(self, log: bytes, device: bytes, data: bytes) -> None:
        """A PC shows its checkpoint (empty: it has none).

        Raises:
            NoteError: it is none of this log.
        """
        seen = shown.parse(self._manager, log, data) if data else shown.NOTHING
        known = self._manager.devices.find(device)
        self.doubt(log, device.hex(), known.name if known else device.hex(), seen)

    def doubt(self, log: bytes, who: str, name: str, seen: Checkpoint) -> None:
        """Somebody has a checkpoint that the log's own key signed. Where the log does not have all of it, the
        log takes nothing more for now.

        Args:
            who: what tells one from another: a PC's handle, a witness's key, `BACKUP`.
            name: for people.
        """
        if self._manager.ordering.elsewhere:
            return  # a validator that is behind catches up
        at = clock.now()
        with self._manager.database.write() as session:
            shown.keep(session, log, who, seen, at)
            if open_row(session, log) is None and not shown.covered(self._manager.log, log, seen):
                if self._was_ahead(log, seen):
                    self._stop(session, log, at, OLDER)
                    older.tell(self._manager, session, log, name, seen)
                else:
                    self._stop(session, log, at, LATE)

    def _was_ahead(self, log: bytes, seen: Checkpoint) -> bool:
        """Whether somebody has seen more of the very tree that grows here, or of one that is to come."""
        origins = self._manager.log.origins(log)
        return seen.origin == origins[-1] or (self._mark is None and seen.origin not in origins)

    def gathered(self, log: bytes) -> Gathered | None:
        """How far a log has come; None where it does not wait."""
        with self._manager.database.read() as session:
            row = open_row(session, log)
            if row is None:
                return None
            found = shown.since(session, log, row.at)
        if (brought := self._brought.get(log)) is not None:
            heard, lacking = brought.heard(), brought.missing()
            until = row.at + self._patience if heard else None
            size = self._manager.log.size(log)
            return Gathered(row.at, row.kept, len(heard - lacking), len(lacking), size, until, False)
        expected = self._expected(log)
        answered = expected & found.keys()
        highest = max([one.size for one in found.values()], default=0)
        return Gathered(
            row.at,
            row.kept,
            len(answered),
            len(expected - answered),
            max(highest, row.kept),
            row.at + self._patience if answered and row.word != OLDER else None,
            row.word == OLDER,
        )

    def is_older(self) -> bool:
        """Whether any log waits because an older state was started."""
        with self._manager.database.read() as session:
            return any(waits(session, log) == OLDER for log in self._manager.log.logs())

    @property
    def _patience(self) -> int:
        return int(self._manager.config.backup.gather_minutes * 60) * clock.SECOND

    def _see_to(self, log: bytes) -> None:
        """Open what is on the validators' ledger, once its keys are here or need not be waited for."""
        brought = self._brought[log]
        brought.look()
        state, missing = self.gathered(log), brought.missing()
        with self._manager.database.write() as session:
            row = open_row(session, log)
            over = state is not None and state.until is not None and clock.now() >= state.until
            if row is not None and not missing:
                row.opened_at, row.word = clock.now(), row.word or ALONE
            if row is not None and missing and not row.word and not over:
                return
        if not missing:
            del self._brought[log]
        if log in self._held:
            self._held.discard(log)
            logger.warning(
                "log %s is opened on from leaf %d; to be brought: %d",
                log.hex(),
                state.kept if state else 0,
                len(missing),
            )

    def _go_on_behind(self, log: bytes) -> None:
        """An older state was started: go on as after a restore, by somebody's word that none is newer."""
        at, manager = clock.now(), self._manager
        with manager.database.write() as session:
            row = open_row(session, log)
            if row is None or row.word == OLDER:
                return
            row.opened_at, kept = at, row.kept
            session.add(new_row(log, at, kept))
            alerts.close(session, log, OLDER_ALERT)
        manager.retention.replay()
        self._part_once(log)
        self._brought[log] = Brought(manager, log, kept)
        self._older.discard(log)
        manager.waiting.discard(log)
        setup.complete_agency(manager, log)
        manager.devices.resume()

    def _part_once(self, log: bytes) -> None:
        with self._manager.database.read() as session:
            row = open_row(session, log)
        if row is not None and not row.prepared:
            self._part(log, row.at)

    # -- step 1

    def _note(self, found: mark.Mark) -> None:
        with self._manager.database.write() as session:
            for name, kept in found.logs.items():
                log = bytes.fromhex(name)
                if session.get(RestoredLog, (log, found.at)) is None:
                    # What waited when the backup was made was decided for another disk.
                    stale = RestoredLog.opened_at.is_(None)
                    session.execute(delete(RestoredLog).where(RestoredLog.log == log, stale))
                    session.add(new_row(log, found.at, kept))

    def _prepare(self, found: mark.Mark) -> None:
        manager = self._manager
        for grave in found.graves:
            if not manager.backups.beside.bury(grave):
                raise RuntimeError(f"nobody here can destroy a {grave.get('kind')} again")
        manager.retention.replay()
        for name in found.logs:
            self._part(bytes.fromhex(name), found.at)

    def _part(self, log: bytes, at: int) -> None:
        """Part with what was said here since the state that is lost, by the manager and in policies."""
        self._manager.policies.raise_epoch(log, at // clock.SECOND)
        with self._manager.database.write() as session:
            row = session.get(RestoredLog, (log, at))
            if row is not None and not row.prepared:
                own.give_up(self._manager, session, log)
                row.prepared = True

    # -- step 2

    def _expected(self, log: bytes) -> set[str]:
        devices = {one.device.hex() for one in self._manager.devices.all(log) if one.state == "enrolled"}
        return devices | {str(one.key) for one in self._manager.witnesses.witnesses}

    def _ask_witnesses(self) -> None:
        for log in self._manager.log.logs():
            for witness in self._manager.witnesses.witnesses if log in self._manager.waiting else ():
                self.ask(log, witness)

    def ask(self, log: bytes, witness: Witness) -> None:
        """Have a witness show what it cosigned last."""
        seen = shown.ask(self._manager, log, witness)
        if seen is not None:
            self.doubt(log, str(witness.key), witness.name, seen)

    def _stop(self, session: Session, log: bytes, at: int, word: str) -> None:
        """Have the log take nothing more before it went on as another tree."""
        row = new_row(log, at, self._manager.log.size(log))
        row.word, row.prepared = word, word == LATE
        session.add(row)
        after_commit(session, lambda: self._manager.waiting.add(log))

    # -- steps 3 and 4

    def _go_on(self, *, decided: bool) -> None:
        if self._manager.ordering.elsewhere:
            return  # no successor
        with self._lock:
            with self._manager.database.read() as session:
                query = select(RestoredLog).where(RestoredLog.opened_at.is_(None))
                rows = [row for row in session.scalars(query) if row.leaf is not None or not decided]
            for row in rows:
                data = row.leaf or self._decide(row)
                if data is not None:
                    self._open(row, data)

    def _decide(self, row: RestoredLog) -> bytes | None:
        """Step 3, if it is time."""
        manager, state = self._manager, self.gathered(row.log)
        if state is None or state.older:
            return None
        over = state.until is not None and clock.now() >= state.until
        if state.missing and not over and not row.word:
            return None
        if not row.prepared:
            self._part(row.log, row.at)
        follows = self._highest(row)
        keys = manager.keys.log(row.log)
        value = {
            "log": row.log.hex(),
            "at": clock.now(),
            "registrar": b64encode(keys.registrar.public),
            "intake": b64encode(keys.intake.public),
            "follows": {"log": row.log.hex(), "size": follows.size, "root": b64encode(follows.root)},
        }
        data = leaf.frame("log", documents.encode("log", value), keys.registrar.sign)
        manager.keys.stage([_secret(row.log)])
        with manager.database.write() as session:
            changed = update(RestoredLog).where(RestoredLog.log == row.log, RestoredLog.at == row.at)
            session.execute(changed.values(leaf=data, word=row.word or ALONE))
        return data

    def _highest(self, row: RestoredLog) -> Checkpoint:
        """The highest checkpoint among those that the log does not have; the log's own where it has all."""
        log, reader = row.log, self._manager.log
        with self._manager.database.read() as session:
            found = shown.since(session, log, 0 if row.word == LATE else row.at).values()
        beyond = [one for one in found if not shown.covered(reader, log, one)]
        size = reader.size(log)
        own = Checkpoint(reader.origins(log)[-1], size, reader.root(log, size))
        return max(beyond, key=lambda one: (one.size, one.root), default=own)

    def _open(self, row: RestoredLog, data: bytes) -> None:
        """Step 4."""
        manager, log = self._manager, row.log
        name = tree_name(headers.message_hash(data))
        if name not in [tree.name for tree in manager.log.trees(log)]:
            manager.keys.promote([_secret(log)])
            transaction = block.Transaction(log, [block.Item(data, b"")])
            try:
                manager.sequencer.submit(block.encode_transaction(transaction)).result()
            except StoreError as error:
                logger.warning("the successor of log %s is opened later: %s", log.hex(), error)
                return
        manager.keyring.announce(log)
        setup.publish_trust(manager)
        with manager.database.write() as session:
            manager.witnesses.begin_anew(session, log)
            alerts.close(session, log, OLDER_ALERT)
            found = session.get(RestoredLog, (log, row.at))
            assert found is not None
            found.opened_at = clock.now()
            data_of_act = {"name": "successor", "previous": str(row.kept), "state": name}
            audit.record(session, log, "admin.setting", found.word, data_of_act)
        manager.waiting.discard(log)
        setup.complete_agency(manager, log)
        manager.devices.resume()
        logger.warning("log %s goes on as %s", log.hex(), manager.log.origins(log)[-1])


def _secret(log: bytes) -> str:
    return f"{log.hex()}/checkpoint"
