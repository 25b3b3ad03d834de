"""Back up on schedule, restore on trial, tell PCs what is safe, and raise the alarm when nothing is."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, select

from securepc import __version__
from securepc.manager import clock
from securepc.manager.alerts import service as alerts
from securepc.manager.audit import service as audit
from securepc.manager.backup import check, moment, newer
from securepc.manager.backup.beside import Beside
from securepc.manager.backup.model import Asked, Held, Run
from securepc.manager.backup.progress import STEPS, Doing, Progress
from securepc.manager.backup.target import open_target
from securepc.manager.backup.trouble import explained, in_both
from securepc.manager.backup.vault import (
    Damaged,
    Log,
    Snapshot,
    Vault,
    VaultError,
    Written,
    month_name,
    open_vault,
)
from securepc.manager.devices.model import Device
from securepc.manager.keyring.model import KeyNotice
from securepc.manager.refusal import N_
from securepc.wire.signed import documents, leaf
from securepc.wire.signed.documents import b64encode

if TYPE_CHECKING:
    from securepc.manager.core import Manager

logger = logging.getLogger(__name__)
LATE = clock.DAY
"""So long without a good backup is an alarm. A backup is good once it was restored on trial."""
LATE_ALERT, FAILED_ALERT = "backup-late", "backup-failed"
_LOOK = 1.0
_PAUSE = 60.0
"""Seconds before what failed is tried again."""
_SOON = 10.0
"""Seconds between two backups, however much happens that asks for one."""
_KEPT = 500
"""Runs that are remembered."""


class State(NamedTuple):
    """What the page shows. `good`: when the newest snapshot was taken that was restored on trial; `doing`:
    the run in hand; `asked`: the kinds that people or parts of the manager wait for."""

    configured: bool
    sealed: bool  # the owner has a recovery key
    good: int | None
    late: bool
    last: Run | None
    tested: Run | None
    runs: list[Run]
    doing: Doing | None
    asked: frozenset[str]


class Backups:
    """At `manager.backups`. One thread; killed anywhere, the next backup goes on from what is there."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._settings = manager.config.backup
        self.beside = Beside(manager)
        self._vault: Vault | None = None
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._asked: set[str] = set()
        self._asking = threading.Lock()
        self._not_before = {"backup": 0.0, "test": 0.0}
        self._progress: Progress | None = None
        self._frames: dict[bytes, tuple[int, str]] = {}
        self._held: dict[bytes, tuple[int, int]] = {}
        self._people: object = None
        self._distrusted: set[str] = set()
        self._started = clock.now()
        self.late = False
        """No good backup for a day; as of the last `look`."""
        self._thread = threading.Thread(target=self._run, name="backup", daemon=True)

    @property
    def is_configured(self) -> bool:
        """Whether the settings name a place for backups."""
        return bool(self._settings.folder or self._settings.bucket)

    @property
    def place(self) -> str:
        """Where they go, for people."""
        one = self._settings
        return one.folder or (f"{one.url}/{one.bucket}/{one.prefix}".rstrip("/") if one.bucket else "")

    def start(self) -> None:
        """Begin, where there is a place for backups."""
        shutil.rmtree(self._manager.home.scratch, ignore_errors=True)
        with self._manager.database.read() as session:
            self._held = {row.log: (row.size, row.at) for row in session.scalars(select(Held))}
            self._asked |= set(session.scalars(select(Asked.kind)))
        if self.is_configured:
            self._thread.start()

    def close(self) -> None:
        """End with the run in hand."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def ask(self, *kinds: str) -> None:
        """Have a backup ("backup") or a test restore ("test") made now."""
        with self._asking:
            self._asked.update(kinds)
            for kind in kinds:
                self._not_before[kind] = 0.0
        self._wake.set()

    def order(self, log: bytes, *, actor: str) -> None:
        """Have a backup made and tested now, as a person asks: it is remembered until both are done.

        Args:
            log: the agency whose entries say who asked.
        """
        with self._manager.database.write() as session:
            for kind in ("backup", "test"):
                session.merge(Asked(kind=kind, at=clock.now()))
            audit.record(
                session, log, "admin.setting", actor, {"name": "backup", "previous": "", "state": "ordered"}
            )
        self.ask("backup", "test")

    def held(self, log: bytes) -> tuple[int, int] | None:
        """How many leaves of a log are in a tested backup, and when it was tested; None before one."""
        return self._held.get(log)

    def watermark(self, log: bytes) -> str | None:
        """The signed word that a log's first leaves are in a tested backup (base64); None before one."""
        held = self._held.get(log)
        if held is None:
            return None
        size, at = held
        frame = self._frames.get(log)
        if frame is None or frame[0] != size:
            value = {"log": log.hex(), "size": size, "at": at}
            signed = leaf.frame(
                "watermark", documents.encode("watermark", value), self._manager.keys.identity.sign
            )
            frame = self._frames[log] = size, b64encode(signed)
        return frame[1]

    def state(self) -> State:
        """How it stands."""
        with self._manager.database.read() as session:
            runs = list(session.scalars(select(Run).order_by(Run.id.desc()).limit(30)))
            good = session.scalar(select(func.max(Run.moment)).where(Run.kind == "test", Run.error == ""))
        last = next((run for run in runs if run.kind == "backup"), None)
        tested = next((run for run in runs if run.kind == "test"), None)
        sealed = self._manager.keys.recovery is not None
        late = self.is_configured and self._is_late(good)
        progress = self._progress
        doing = progress.now if progress and progress.now.kind in STEPS else None
        return State(
            self.is_configured, sealed, good, late, last, tested, runs, doing, frozenset(self._asked)
        )

    def look(self) -> None:
        """Raise or close the alarm. Called by the ticker."""
        if not self.is_configured:
            return
        state = self.state()
        self.late = state.late
        with self._manager.database.write() as session:
            if state.late:
                hours = (clock.now() - (state.good or self._began())) // clock.HOUR
                reason = next(((run.error_ja, run.error) for run in state.runs if run.error), ("", ""))
                data = {"hours": hours, "ja": reason[0], "error": reason[1]}
                alerts.raise_alert(session, b"", LATE_ALERT, data=data)
            elif alerts.is_open(session, b"", LATE_ALERT):
                alerts.close(session, b"", LATE_ALERT)

    # -- the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            for work in (self._keep_beside, self._back_up, self._test):
                # What waits for its successor is not what is to be found in the newest backup.
                if not self._stop.is_set() and not self._manager.waiting:
                    work()
            self._wake.wait(_LOOK)

    def _keep_beside(self) -> None:
        """Months' keys and graves, as soon as there are new ones."""
        if self._due("beside"):
            with self._noting("beside"):
                self.beside.keep(self._open())

    def _back_up(self) -> None:
        if not self._due("backup", self._settings.minutes * 60):
            return
        with self._noting("backup") as (run, progress), self._scratch() as folder:
            vault = self._open()
            progress.step("copy")
            taken_at, people = clock.now(), self._seen_people()
            taken = moment.take(self._manager, folder)
            self.beside.keep(vault)  # after it: no month of the moment may be without its key
            number = max([*vault.numbers(), self._last_number()]) + 1
            files, written = {}, Written(0, 0)
            progress.step("send", sum(path.stat().st_size for path in folder.iterdir()))
            for path in sorted(folder.iterdir()):
                files[path.name], one = vault.put_file(path, progress.add)
                written = Written(written.total + one.total, written.sent + one.sent)
            logs = {
                log.hex(): Log(size, b64encode(root), self._manager.log.key(log).name)
                for log, (size, root) in taken.logs.items()
            }
            months = [month_name(log, name) for log, name in taken.months]
            vault.put_snapshot(
                Snapshot(
                    number,
                    taken_at,
                    __version__,
                    taken.height,
                    logs,
                    months,
                    files,
                    b64encode(taken.head),
                )
            )
            run.number, run.moment = number, taken_at
            run.total, run.sent = written
            self._people = people
            self._distrusted.clear()
            progress.step("tidy")
            old = clock.now() - self._settings.keep_days * clock.DAY
            vouched = self._vouched_numbers()  # PCs may have forgotten what is in these
            vault.drop_snapshots(lambda one: one.at >= old or one.number in vouched)

    def _test(self) -> None:
        """Restore the newest snapshot on trial; from then on PCs may forget what it holds."""
        if "backup" in self._asked:
            return  # asked for while another was made: that one comes first, and is the one to be tested
        if not self._due("test", self._settings.test_minutes * 60):
            return
        newest = self._last_number()
        if not newest:
            return
        with self._noting("test") as (run, progress), self._scratch() as folder:
            vault = self._open()
            snapshot = vault.get_snapshot(newest)
            run.number, run.moment = newest, snapshot.at
            run.total = sum(file.size for file in snapshot.files.values())
            try:
                check.check(self._manager, vault, snapshot, folder, progress)
            except Damaged as damaged:
                self._distrusted.add(damaged.chunk)
                self.ask("backup")  # which sends it again
                raise
            self._vouch(snapshot)

    def _vouched_numbers(self) -> set[int]:
        with self._manager.database.read() as session:
            return set(session.scalars(select(Held.number)))

    def _vouch(self, snapshot: Snapshot) -> None:
        now = clock.now()
        with self._manager.database.write() as session:
            for name, log in snapshot.logs.items():
                session.merge(Held(log=bytes.fromhex(name), size=log.size, number=snapshot.number, at=now))
        self._held = {bytes.fromhex(name): (log.size, now) for name, log in snapshot.logs.items()}

    def _open(self) -> Vault:
        """The vault; opened anew after trouble.

        Raises:
            VaultError, TargetError: it can't be; or it holds more than there is here.
        """
        if self._vault is None:
            keys, target = self._manager.keys, open_target(self._settings)
            recovery = keys.recovery
            if recovery is None:
                raise VaultError(
                    N_("The owner has no recovery key yet, and without it no backup could be opened.")
                )
            assert target is not None
            self._vault = open_vault(target, keys.backup_key(), recovery.box)
            self._vault.distrust(self._distrusted)
            newer.look(self._manager, self._vault)
        return self._vault

    def _due(self, kind: str, every: float = 0.0) -> bool:
        """Whether it is time: asked for, or so many seconds after the last one."""
        if time.monotonic() < self._not_before.get(kind, 0.0):
            return False
        if kind == "beside" or kind in self._asked:
            return True
        with self._manager.database.read() as session:
            last = session.scalar(select(func.max(Run.at)).where(Run.kind == kind, Run.error == ""))
        if last is None or clock.now() - last >= every * clock.SECOND:
            return True
        return (
            kind == "backup"
            and self._people != self._seen_people()
            and clock.now() - last >= _SOON * clock.SECOND
        )

    def _take(self, kind: str) -> bool:
        """Whether this was asked for, which it no longer is. A test that was asked for together with a
        backup stays so until that is made: what is tested meanwhile is an older one."""
        with self._asking:
            asked = kind in self._asked and not (kind == "test" and "backup" in self._asked)
            if asked:
                self._asked.discard(kind)
            return asked

    def _seen_people(self) -> object:
        """What PCs could not make good by sending it again: who is enrolled, which keys they were told of,
        which key signs blocks. It is backed up at once."""
        with self._manager.database.read() as session:
            query = select(Device.state, func.count(), func.max(Device.enrolled_at)).group_by(Device.state)
            changed = session.execute(select(func.count(), func.max(KeyNotice.at))).one()
            people = sorted(tuple(row) for row in session.execute(query))
        return people, tuple(changed), self._manager.log.block_keys().changes

    @contextmanager
    def _noting(self, kind: str) -> Iterator[tuple[Run, Progress]]:
        """Write down how a run went; what keeps failing is tried again later."""
        asked, at = self._take(kind), clock.now()
        run = Run(kind=kind, at=at, ended_at=at, number=0, moment=0, total=0, sent=0, error="", error_ja="")
        self._progress = progress = Progress(kind)
        try:
            yield run, progress
        except Exception as error:
            trouble, expected = explained(error)
            logger.log(
                logging.WARNING if expected else logging.ERROR, "%s: %s", kind, error, exc_info=not expected
            )
            run.error_ja, run.error = in_both(trouble)
            self._vault = None
            self.beside.forget()
            with self._asking:
                if kind not in self._asked:  # what was asked for meanwhile does not wait
                    self._not_before[kind] = time.monotonic() + _PAUSE
                if asked and kind == "backup":  # what fails its test would fail it again
                    self._asked.add(kind)
        finally:
            self._progress = None
        if kind == "beside" and not run.error:
            return
        run.ended_at = clock.now()
        with self._manager.database.write() as session:
            if run.error:
                data = {"ja": run.error_ja, "error": run.error}
                alerts.raise_alert(session, b"", FAILED_ALERT, data=data, level="note")
            elif kind == "backup":
                alerts.close(session, b"", FAILED_ALERT)
            if asked and kind not in self._asked:
                session.execute(delete(Asked).where(Asked.kind == kind, Asked.at <= run.at))
            session.add(run)
            session.flush()
            session.execute(delete(Run).where(Run.id <= run.id - _KEPT))

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """An empty folder that is gone afterwards."""
        root = Path(self._settings.scratch) if self._settings.scratch else self._manager.home.scratch
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="securepc-", dir=root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _last_number(self) -> int:
        with self._manager.database.read() as session:
            return (
                session.scalar(select(func.max(Run.number)).where(Run.kind == "backup", Run.error == "")) or 0
            )

    def _is_late(self, good: int | None) -> bool:
        return clock.now() - (good or self._began()) > LATE

    def _began(self) -> int:
        """Since when there should be backups: the first try, or this start."""
        with self._manager.database.read() as session:
            return session.scalar(select(func.min(Run.at))) or self._started
